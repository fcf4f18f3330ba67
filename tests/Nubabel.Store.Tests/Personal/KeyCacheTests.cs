using System.Diagnostics;

namespace Nubabel.Store.Tests.Personal;

/// <summary>What a node remembers of keys is bounded, and what is used stays.</summary>
public sealed class KeyCacheTests
{
    private static KeyCache Heard(int bound)
    {
        var cache = new KeyCache(bound);
        cache.Hear(Stopwatch.GetTimestamp());
        return cache;
    }

    private static void Keep(KeyCache cache, string subject) => cache.Keep("t", subject, [1], cache.Forgettings);

    [Fact]
    public void More_keys_than_the_bound_take_the_place_of_those_that_nobody_used()
    {
        var cache = Heard(100);
        for (var i = 0; i < 10_000; i++)
        {
            Keep(cache, $"user-{i}");
            cache.Hear(Stopwatch.GetTimestamp());
            // One that is used again and again outlives all that come and go.
            Assert.True(cache.TryFind("t", "user-0", out _), $"forgotten after {i}");
            Assert.True(cache.Count <= 100);
        }
        Assert.Equal(100, cache.Count);
        Assert.True(cache.TryFind("t", "user-9999", out _));
        Assert.False(cache.TryFind("t", "user-5000", out _));
    }

    [Fact]
    public void Forgotten_keys_do_not_fill_it()
    {
        var cache = Heard(100);
        for (var i = 0; i < 10_000; i++)
        {
            Keep(cache, "user-1");
            cache.Forget([("t", "user-1")]);
        }
        Assert.Equal(0, cache.Count);
        for (var i = 0; i < 100; i++) Keep(cache, $"user-{i}");
        Assert.Equal(100, cache.Count);
    }

    [Fact]
    public void What_was_read_before_a_forgetting_is_not_kept_after_it()
    {
        var cache = Heard(100);
        var before = cache.Forgettings;
        cache.Forget([("t", "user-2")]);
        cache.Keep("t", "user-1", [1], before);
        Assert.Equal(0, cache.Count);
        cache.Keep("t", "user-1", [1], cache.Forgettings);
        cache.ForgetAll();
        Assert.Equal(0, cache.Count);
    }

    [Fact]
    public void What_was_heard_too_long_ago_is_not_believed()
    {
        var cache = Heard(100);
        Keep(cache, "user-1");
        Assert.True(cache.TryFind("t", "user-1", out _));
        cache.Hear(Stopwatch.GetTimestamp() - (long)(KeyCache.Believed.TotalSeconds * Stopwatch.Frequency));
        Assert.False(cache.TryFind("t", "user-1", out _));
        cache.Hear(Stopwatch.GetTimestamp());
        Assert.True(cache.TryFind("t", "user-1", out _));
    }

    [Fact]
    public void Sealed_texts_go_with_the_key()
    {
        var cache = Heard(100);
        byte[] key = [1], another = [2];
        cache.Keep("t", "user-1", key, cache.Forgettings);
        cache.KeepRecent("t", "user-1", "plain", key, "sealed");
        Assert.Equal("sealed", cache.Recent("t", "user-1", "plain", key));
        Assert.Null(cache.Recent("t", "user-1", "plain", another));
        // A text under a key that is remembered no more is not kept: the forgetting has been there already.
        cache.Forget([("t", "user-1")]);
        Assert.False(cache.Remembers("t", "user-1"));
        cache.KeepRecent("t", "user-1", "plain", key, "sealed");
        Assert.False(cache.Remembers("t", "user-1"));
    }

    /// <summary>Threads that keep, seal and forget at once leave nothing behind of what was forgotten.</summary>
    [Fact]
    public async Task Keeping_and_forgetting_at_once_leaves_nothing_behind()
    {
        var cache = Heard(50);
        using var end = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        await Task.WhenAll(Enumerable.Range(0, 4).Select(n => Task.Run(() =>
        {
            for (var i = 0; !end.IsCancellationRequested; i++)
            {
                var subject = $"user-{i % 80}";
                byte[] key = [1];
                cache.Keep("t", subject, key, cache.Forgettings);
                cache.KeepRecent("t", subject, "plain", key, "sealed");
                if (i % 7 == n) cache.Forget([("t", subject)]);
                if (i % 5_000 == n) cache.ForgetAll();
            }
        })));
        Assert.True(cache.Count <= 50);
        cache.Forget(Enumerable.Range(0, 80).Select(i => ("t", $"user-{i}")));
        Assert.Equal(0, cache.Count);
        for (var i = 0; i < 80; i++) Assert.False(cache.Remembers("t", $"user-{i}"));
    }
}
