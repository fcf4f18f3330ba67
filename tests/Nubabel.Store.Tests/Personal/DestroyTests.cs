using System.Diagnostics;
using Nubabel.Testing;

namespace Nubabel.Store.Tests.Personal;

/// <summary>A destroyed key is gone on every node within a second, whatever has happened to the connections, and never comes back.</summary>
public sealed class DestroyTests
{
    private const string Ada = "user-ada", Bob = "user-bob";
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private readonly string tenant = Guid.NewGuid().ToString(), other = Guid.NewGuid().ToString();

    [Fact]
    public async Task Another_node_forgets_within_a_second()
    {
        await using var here = await KeyNode.Start();
        await using var there = await KeyNode.Start();
        var (ada, bob, others) = (await there.Keys.Seal(tenant, Ada, "Ada", default), await there.Keys.Seal(tenant, Bob, "Bob", default), await there.Keys.Seal(other, Ada, "Ada", default));
        Assert.Equal("Ada", await there.Open(tenant, Ada, ada));
        Assert.True(there.Cache.Remembers(tenant, Ada));

        Assert.Equal([Ada], await here.Keys.Destroy(tenant, [Ada], default));
        var clock = Stopwatch.StartNew();
        Assert.Null(await here.Open(tenant, Ada, ada));
        Assert.True(await here.Refuses(tenant, Ada));
        await Ended(there, ada, clock);
        // What it remembers now is that there is none.
        Assert.True(!there.Cache.TryFind(tenant, Ada, out var key) || key is null);
        Assert.Equal("Bob", await there.Open(tenant, Bob, bob));
        Assert.Equal("Ada", await there.Open(other, Ada, others));
    }

    /// <summary>By hand, by a restore, by whatever writes the table: nodes hear of it all the same.</summary>
    [Fact]
    public async Task A_key_that_is_destroyed_behind_the_nodes_backs_is_forgotten_too()
    {
        await using var node = await KeyNode.Start();
        var cipher = await node.Keys.Seal(tenant, Ada, "Ada", default);
        await (await TestDatabase.Shared).Run($"update nubabel.subject_keys set destroyed = now() where tenant_id = '{tenant}' and subject = '{Ada}'");
        await Ended(node, cipher, Stopwatch.StartNew());
    }

    [Fact]
    public async Task A_node_whose_watch_was_cut_does_not_go_on_with_what_it_remembers()
    {
        var shared = await TestDatabase.Shared;
        var cut = false;
        var looks = 0;
        await using var daemon = new PostgresProxy(shared.DaemonString, sql =>
        {
            Interlocked.Increment(ref looks);
            return Volatile.Read(ref cut) ? throw new IOException("cut") : sql;
        });
        await using var here = await KeyNode.Start();
        await using var there = await KeyNode.Start(daemon: daemon.ConnectionString);
        var (ada, bob) = (await there.Keys.Seal(tenant, Ada, "Ada", default), await there.Keys.Seal(tenant, Bob, "Bob", default));

        Volatile.Write(ref cut, true);
        await daemon.Cut();
        await here.Keys.Destroy(tenant, [Ada], default);
        await Ended(there, ada, Stopwatch.StartNew());
        Assert.False(there.Keys.IsHeard);
        // It works, and asks for each key.
        Assert.Equal("Bob", await there.Open(tenant, Bob, bob));

        Volatile.Write(ref cut, false);
        await TestWait.Until("it hears again", () => Task.FromResult(there.Keys.IsHeard));
        Assert.Null(await there.Open(tenant, Ada, ada));
        Assert.Equal("Bob", await there.Open(tenant, Bob, bob));
        Assert.True(Volatile.Read(ref looks) > 0);
    }

    /// <summary>The connection stands, and nothing comes back on it: no error says so.</summary>
    [Fact]
    public async Task A_node_whose_watch_gets_no_answer_does_not_go_on_with_what_it_remembers()
    {
        var shared = await TestDatabase.Shared;
        using var open = new ManualResetEventSlim(true);
        await using var daemon = new PostgresProxy(shared.DaemonString, sql =>
        {
            open.WaitHandle.WaitOne();
            return sql;
        });
        await using var here = await KeyNode.Start();
        await using var there = await KeyNode.Start(daemon: daemon.ConnectionString);
        var ada = await there.Keys.Seal(tenant, Ada, "Ada", default);
        open.Reset();
        await here.Keys.Destroy(tenant, [Ada], default);
        await Ended(there, ada, Stopwatch.StartNew());
        open.Set();
    }

    /// <summary>A key that is read while it is destroyed must not be remembered after the destruction was heard of.</summary>
    [Fact]
    public async Task A_key_that_was_read_before_and_arrives_after_is_not_remembered()
    {
        var shared = await TestDatabase.Shared;
        await using var here = await KeyNode.Start();
        var cipher = await here.Keys.Seal(tenant, Ada, "Ada", default);
        using var answered = new ManualResetEventSlim();
        using var deliver = new ManualResetEventSlim(true);
        await using var api = new PostgresProxy(shared.ApiString, answered: () =>
        {
            answered.Set();
            deliver.WaitHandle.WaitOne();
        });
        await using var there = await KeyNode.Start(api: api.ConnectionString);
        await there.Open(other, Ada, cipher);
        answered.Reset();
        deliver.Reset();
        var reading = there.Open(tenant, Ada, cipher);
        Assert.True(answered.Wait(TestWait.Bound));
        await here.Keys.Destroy(tenant, [Ada], default);
        var before = there.Cache.Forgettings;
        await TestWait.Until("it has heard", () => Task.FromResult(there.Cache.Forgettings > before));
        deliver.Set();
        await reading;
        Assert.False(there.Cache.Remembers(tenant, Ada));
        Assert.Null(await there.Open(tenant, Ada, cipher));
    }

    [Fact]
    public async Task Whoever_makes_a_key_while_it_is_destroyed_gets_none_back()
    {
        await using var here = await KeyNode.Start();
        await using var there = await KeyNode.Start();
        foreach (var i in Enumerable.Range(0, 40))
        {
            var subject = $"user-{i}";
            var makers = Enumerable.Range(0, 6).Select(n => Task.Run(async () =>
            {
                try
                {
                    return await (n % 2 == 0 ? here : there).Keys.Seal(tenant, subject, "Ada", default);
                }
                catch (SubjectErased)
                {
                    return null;
                }
            })).ToList();
            var destroyed = await here.Keys.Destroy(tenant, [subject], default);
            var ciphers = await Task.WhenAll(makers);
            Assert.Equal([subject], destroyed);
            Assert.Empty(await here.Keys.Destroy(tenant, [subject], default));
            await using var fresh = await KeyNode.Start();
            Assert.True(await fresh.Refuses(tenant, subject));
            foreach (var cipher in ciphers.OfType<string>()) Assert.Null(await fresh.Open(tenant, subject, cipher));
        }
        Assert.Equal(40L, await (await TestDatabase.Shared).Scalar<long>($"select count(*) from nubabel.subject_keys where tenant_id = '{tenant}' and wrapped is null and destroyed is not null"));
    }

    [Fact]
    public async Task A_subject_that_never_had_a_key_never_gets_one()
    {
        await using var node = await KeyNode.Start();
        Assert.Equal([Ada, Bob], (await node.Keys.Destroy(tenant, [Bob, Ada, Ada], default)).Order());
        Assert.True(await node.Refuses(tenant, Ada));
        Assert.False(await node.Refuses(other, Ada));
        Assert.Empty(await node.Keys.Destroy(tenant, [Ada, Bob], default));
        Assert.Empty(await node.Keys.Destroy(tenant, [], default));
    }

    [Fact]
    public async Task Those_who_destroy_the_same_keys_at_once_do_not_wait_for_each_other_in_a_circle()
    {
        await using var here = await KeyNode.Start();
        await using var there = await KeyNode.Start();
        var subjects = Enumerable.Range(0, 50).Select(i => $"user-{i}").ToArray();
        foreach (var subject in subjects) await here.Keys.Seal(tenant, subject, "x", default);
        var destroyed = await Task.WhenAll(Enumerable.Range(0, 12).Select(i => Task.Run(() =>
            (i % 2 == 0 ? here : there).Keys.Destroy(tenant, i % 3 == 0 ? subjects : [.. subjects.Reverse().Skip(i)], default))));
        Assert.Equal(subjects.Order(), destroyed.SelectMany(d => d).Order());
    }

    [Theory]
    [InlineData("update nubabel.subject_keys set wrapped = 'again', destroyed = null")]
    [InlineData("update nubabel.subject_keys set wrapped = 'again'")]
    [InlineData("update nubabel.subject_keys set destroyed = null")]
    [InlineData("update nubabel.subject_keys set subject = 'user-other'")]
    [InlineData("delete from nubabel.subject_keys")]
    public async Task Not_even_a_superuser_brings_a_key_back_by_mistake(string mistake)
    {
        await using var node = await KeyNode.Start();
        await node.Keys.Destroy(tenant, [Ada], default);
        var refused = await Assert.ThrowsAsync<Npgsql.PostgresException>(async () => await (await TestDatabase.Shared).Run($"{mistake} where tenant_id = '{tenant}'"));
        Assert.Equal("NB007", refused.SqlState);
    }

    [Fact]
    public async Task The_hot_path_asks_nobody()
    {
        await using var api = new PostgresProxy((await TestDatabase.Shared).ApiString);
        await using var node = await KeyNode.Start(api: api.ConnectionString);
        await node.Keys.Seal(tenant, Ada, "192.0.2.1", default);
        var asked = api.RoundTrips;
        Assert.True(asked > 0);
        var clock = Stopwatch.StartNew();
        var free = 0;
        // Longer than a look is believed: it is believed anew by each look.
        for (var i = 0; clock.Elapsed < TimeSpan.FromSeconds(2) || free < 50; i++)
        {
            Assert.True(clock.Elapsed < TestWait.Bound, $"It hears too seldom: {free} of {i}.");
            (asked, var heard) = (api.RoundTrips, node.Keys.IsHeard);
            await node.Keys.Seal(tenant, Ada, "192.0.2.1", default);
            await node.Keys.Seal(tenant, Ada, $"agent {i}", default);
            // A machine that stands still for most of a second is not what is counted here.
            if (heard && node.Keys.IsHeard)
            {
                Assert.Equal(asked, api.RoundTrips);
                free++;
            }
            await Task.Delay(5);
        }
    }

    [Fact]
    public async Task Without_a_watch_nothing_is_remembered()
    {
        var keys = new SubjectKeys((await TestDatabase.Shared).Database, TestDatabase.Master);
        await keys.Seal(tenant, Ada, "Ada", default);
        Assert.Equal(0, keys.Cache.Count);
        Assert.False(keys.Cache.Remembers(tenant, Ada));
    }

    /// <summary>Null for whom was destroyed, and no seal, before the second is over that began when the destruction was confirmed.</summary>
    private async Task Ended(KeyNode node, string cipher, Stopwatch since)
    {
        for (var began = since.Elapsed; await node.Open(tenant, Ada, cipher) is not null || !await node.Refuses(tenant, Ada); began = since.Elapsed)
        {
            Assert.True(began < Second, "After a second the key is still used.");
            await Task.Delay(5);
        }
        // Once it is gone it is gone.
        for (var i = 0; i < 20; i++)
        {
            Assert.Null(await node.Open(tenant, Ada, cipher));
            Assert.True(await node.Refuses(tenant, Ada));
        }
    }
}
