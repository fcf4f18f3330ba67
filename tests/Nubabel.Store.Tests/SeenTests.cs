using System.Collections.Immutable;

namespace Nubabel.Store.Tests;

/// <summary>What is folded of streams, what it weighs, and how much of it a node keeps.</summary>
public sealed class SeenTests
{
    private static readonly StreamFold<string> text = new("", (all, e) => e.Data is string more ? all + more : all);
    private static readonly StreamFold<Counted?> count = new(null, (row, e) => e.Data is "13" ? throw new InvalidOperationException("thirteen") : new Counted((row?.By ?? 0) + 1));
    private static readonly StreamFolds both = new(text, count);

    [Fact]
    public void A_stream_that_goes_on_is_what_all_its_events_make_and_the_one_before_stays_as_it_was()
    {
        var seen = Seen.Nothing(both).On([Event(1, "a"), Event(2, "b")]);
        var next = seen.On([Event(3, "c")]);
        Assert.Equal(("ab", 2, 2L, 20L), (seen.Value(text), seen.Value(count)!.By, seen.Version, seen.Position));
        Assert.Equal(("abc", 3, 3L, 30L), (next.Value(text), next.Value(count)!.By, next.Version, next.Position));
        Assert.Same(next, next.On([]));
        Assert.Same(count, both.Of<Counted?>());
        Assert.Throws<ArgumentException>(() => both.Of<Labelled>());
        Assert.Equal((0L, 0L, "", null), (Seen.Nothing(both).Version, Seen.Nothing(both).Position, Seen.Nothing(both).Value(text), Seen.Nothing(both).Value(count)));
    }

    [Fact]
    public void An_event_that_does_not_fit_is_named_to_who_asks_for_that_fold_and_to_nobody_else()
    {
        var seen = Seen.Nothing(both).On([Event(1, "a"), Event(2, "13"), Event(3, "c")]);
        Assert.Equal("a13c", seen.Value(text));
        for (var time = 0; time < 2; time++) Assert.Equal(20, Assert.Throws<UnreadableEvent>(() => seen.Value(count)).Position);
        // It has a state, so commands go on with it.
        var kept = new RememberedStreams();
        kept.Keep("t", "s", seen);
        Assert.Same(seen, kept.Find("t", "s"));
        // What has none is not remembered, nor what it was before.
        var stateless = new StreamFolds(count, text);
        kept.Keep("t", "s", Seen.Nothing(stateless).On([Event(1, "a")]));
        kept.Keep("t", "s", Seen.Nothing(stateless).On([Event(1, "a"), Event(2, "13"), Event(3, "c"), Event(4, "d")]));
        kept.Keep("t", "torn", Seen.Nothing(both).On([Event(2, "a"), Event(3, "b")]));
        kept.Keep("t", "empty", Seen.Nothing(both));
        Assert.Equal((null, null, null, 0L), (kept.Find("t", "s"), kept.Find("t", "torn"), kept.Find("t", "empty"), kept.Bytes));
    }

    [Fact]
    public void They_are_bounded_and_those_not_used_for_longest_go_first()
    {
        var one = Of(10).Weight();
        var kept = new RememberedStreams(mostBytes: 13 * one);
        for (var i = 0; i < 13; i++) Use($"{i}", 10);
        Assert.Equal(13 * one, kept.Bytes);
        Assert.NotNull(kept.Find("t", "0"));
        Use("new", 15);
        Assert.InRange(kept.Bytes, 1, 13 * one);
        Assert.NotNull(kept.Find("t", "0"));
        Assert.Null(kept.Find("t", "1"));
        Assert.Null(kept.Find("t", "2"));
        Assert.NotNull(kept.Find("t", "3"));
        Use("new", 14);
        Assert.Equal(15, kept.Find("t", "new")!.Version);
        Use("heavy", 20);
        Assert.Null(kept.Find("t", "heavy"));
        kept.Forget("t", "new");
        Assert.Null(kept.Find("t", "new"));
        for (var i = 0; i < 13; i++) kept.Forget("t", $"{i}");
        Assert.Equal(0, kept.Bytes);
        for (var i = 0; i < 20; i++) Use($"{i}", 1);
        kept.Clear();
        Assert.Equal((0, null), (kept.Bytes, kept.Find("t", "19")));
        Use("after", 10);
        Assert.Equal((one, 10), (kept.Bytes, kept.Find("t", "after")!.Version));

        void Use(string stream, int length)
        {
            for (var time = 0; time < 2; time++) kept.Keep("t", stream, Of(length));
        }
    }

    /// <summary>Thousands that nobody asks for again must not push out what is used.</summary>
    [Fact]
    public void Those_that_are_used_once_make_room_for_each_other_and_take_none_from_those_used_again()
    {
        var one = Of(1).Weight();
        var kept = new RememberedStreams(mostBytes: 100 * one);
        for (var i = 0; i < 40; i++)
            for (var time = 0; time < 2; time++) kept.Keep("t", $"used {i}", Of(1));
        for (var i = 0; i < 5_000; i++)
        {
            kept.Keep("t", $"{i}", Of(1));
            // The rest of the same use.
            kept.Keep("t", $"{i}", Of(2), isUse: false);
        }
        Assert.InRange(kept.Bytes, 85 * one, 100 * one);
        for (var i = 0; i < 40; i++) Assert.NotNull(kept.Find("t", $"used {i}"));
        Assert.Equal(2, kept.Find("t", "4999")!.Version);
        Assert.Null(kept.Find("t", "4900"));
        // Used again: it stays longer than all that are used once behind it.
        kept.Keep("t", "4990", Of(3));
        for (var i = 0; i < 1_000; i++) kept.Keep("t", $"more {i}", Of(1));
        Assert.Equal(3, kept.Find("t", "4990")?.Version);
        Assert.Null(kept.Find("t", "4999"));
    }

    [Fact]
    public void An_object_weighs_what_hangs_on_it_once_and_what_programs_share_weighs_nothing()
    {
        Assert.Equal(0, ObjectWeight.Of([null]));
        // Head and length and end; a place for each character.
        Assert.Equal(16 + 4 + 2 + 2 * 1000, ObjectWeight.Of([new string('a', 1000)]));
        var shared = new string('b', 1000);
        Assert.Equal(16 + 8 + 2 * 8 + 2022, ObjectWeight.Of([new[] { shared, shared }]));
        Assert.Equal(16 + 8 + 4096, ObjectWeight.Of([new byte[4096]]));
        // A value lies in its holder, and what it leads to counts.
        Assert.Equal(16 + 16 + 2022 + 16 + 24, ObjectWeight.Of([Tuple.Create((1, shared), Tuple.Create(Guid.Empty, (int?)7))]) - 8);
        Assert.Equal(16 + 8, ObjectWeight.Of([new Held(typeof(string), null!)]) - 8);
        var many = Enumerable.Range(0, 10_000).ToImmutableDictionary(i => $"key {i}", i => i);
        Assert.InRange(ObjectWeight.Of([many]), 10_000 * 60, 10_000 * 200);
    }

    /// <summary>Weighing costs, so it is not done for each event; in between what has come is added.</summary>
    [Fact]
    public void A_stream_is_never_lighter_than_it_is_and_not_much_heavier_than_twice()
    {
        var label = new StreamFold<string>("", (_, e) => (string)e.Data!);
        var seen = Seen.Nothing(new StreamFolds(label)).On([Event(1, new string('a', 1000))]);
        for (var version = 2; version < 200; version++)
        {
            seen = seen.On([Event(version, new string('a', 1000))]);
            Assert.InRange(seen.Weight(), 2_500, 3 * 2_600);
        }
        var growing = Seen.Nothing(both).On([Event(1, "a")]);
        for (var version = 2; version < 200; version++)
        {
            growing = growing.On([Event(version, new string('a', 1000))]);
            Assert.InRange(growing.Weight(), 2 * 1000 * (version - 1), 3 * (2 * 1000 * version + 2_000));
        }
    }

    private sealed record Held(Type Type, Func<int> Act);

    private static Seen Of(int events) => Seen.Nothing(new StreamFolds(text)).On([.. Enumerable.Range(1, events).Select(v => Event(v, new string('x', 1000)))]);

    private static Recorded Event(int version, string data) => new()
    {
        Position = 10 * version,
        Tenant = "t",
        Stream = "s",
        Version = version,
        Type = "x",
        Data = data,
        At = default,
        Weight = new Weight(data.Length, 0),
    };
}
