using Nubabel.Testing;
using static Nubabel.Store.Tests.Committing;

namespace Nubabel.Store.Tests;

/// <summary>Commits that share short statements: what happens where one of them is in the way of the others.</summary>
public sealed class StraightTests : IAsyncLifetime, IAsyncDisposable
{
    private readonly string tenant = Tally.Tenant();
    private TestDatabase test = null!;
    private Coalescer node = null!;

    public async Task InitializeAsync()
    {
        test = await TestDatabase.Shared;
        node = new Coalescer(test.Database.Api, new CoalescerBounds(Statements: 1, MostStatements: 1) { Apart = TimeSpan.FromMinutes(1), LongestWait = BehindAnotherWait });
    }

    public Task DisposeAsync() => Task.CompletedTask;

    ValueTask IAsyncDisposable.DisposeAsync() => node.DisposeAsync();

    [Fact]
    public async Task Every_kind_of_commit_goes_straight_and_is_answered_what_is_read_back()
    {
        var (exact, any, made, fresh) = (Tally.Stream(), Tally.Stream(), Tally.Stream(), Tally.Stream());
        ClaimValue x = new("name", "x"), y = new("name", "y");
        await node.Commit(tenant, new StreamAppend(exact, "tally", 0, [new Counted(1)], [x], []));
        await node.Commit(tenant, Tally.On(any, 0, new Counted(1), new Counted(2)));
        var record = new IdempotencyRecord(tenant, "s", "fresh", [2], 201);

        var answers = await node.BehindAnother(test, () =>
        [
            node.Commit(tenant, new StreamAppend(exact, "tally", 1, [new Counted(2), new Counted(3)], [y], [x])),
            node.Commit(tenant, Tally.On(any, StreamAppend.Any, new Counted(3), new Counted(4), new Counted(5))),
            node.Commit(tenant, Tally.On(made, StreamAppend.Any, new Counted(1), new Counted(2))),
            node.Commit(Item(tenant, record, Tally.On(fresh, 0, new Counted(1))), default),
        ]);

        Assert.Equal((1, 4), node.Shared);
        Assert.Equal(0, node.Broken);
        string[] streams = [exact, any, made, fresh];
        for (var i = 0; i < streams.Length; i++)
        {
            var written = Assert.IsType<Appended.Done>(answers[i]).Events;
            var read = await test.Database.Read(tenant, streams[i]);
            Assert.Equal(read.TakeLast(written.Count), written);
            Assert.Equal(Enumerable.Range(1, read.Count).Select(n => (long)n), read.Select(e => e.Version));
            Assert.Equal(Enumerable.Range(1, read.Count), read.Select(e => ((Counted)e.Data!).By));
            Assert.Equal(read.OrderBy(e => e.Position), read);
            Assert.Equal(read.Count, await test.Scalar<long>($"select version from events.mt_streams where tenant_id = '{tenant}' and id = '{streams[i]}'"));
        }
        Assert.Equal("y", await test.Scalar<string>($"select string_agg(value, ',') from nubabel.claims where tenant_id = '{tenant}'"));
        Assert.Equal(new Dictionary<string, long> { [fresh] = 1 }, (await IdempotencyRecord.Find(test.Database.Api, tenant, "s", "fresh", 24, default))!.Versions);
    }

    public static TheoryData<string> Ways => ["a stream that exists", "a version that is past", "a claim that is held", "a key that is known", "an archived stream", "a row that is locked", "any version, and the row is locked"];

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task Who_is_in_the_way_is_answered_and_all_others_are_written_at_the_second_run(string way)
    {
        var (stream, other) = (Tally.Stream(), Tally.Tenant());
        var (claim, record) = (new ClaimValue("name", "held"), new IdempotencyRecord(tenant, "s", "known", [1], 200));
        await node.Commit(Item(tenant, record, new StreamAppend(stream, "tally", 0, [new Counted(1)], [claim], [])), default);
        if (way == "an archived stream") await test.Run($"update events.mt_streams set is_archived = true where tenant_id = '{tenant}' and id = '{stream}'");
        var isLocked = way.EndsWith("locked", StringComparison.Ordinal);
        var holding = isLocked ? await Holding.OfRow(test, stream) : null;
        Task<Appended> InTheWay() => way switch
        {
            "a stream that exists" => node.Commit(tenant, new StreamAppend(stream, "tally", 0, [new Counted(2)], [new ClaimValue("name", "other")], [])),
            "a version that is past" or "a row that is locked" => node.Commit(tenant, Tally.On(stream, way == "a row that is locked" ? 1 : 4, new Counted(2))),
            "a claim that is held" => node.Commit(tenant, new StreamAppend(Tally.Stream(), "tally", 0, [new Counted(2)], [claim], [])),
            "a key that is known" => node.Commit(Item(tenant, record, Tally.On(Tally.Stream(), 0, new Counted(2))), default),
            _ => node.Commit(tenant, Tally.On(stream, StreamAppend.Any, new Counted(2))),
        };

        Task<Appended> waiting = null!;
        var others = await node.BehindAnother(test, () => [.. Enumerable.Range(0, 10).Select(i => i == 5 ? Good(waiting = InTheWay()) : node.Commit(other, Tally.On(Tally.Stream(), 0, new Counted(i))))]);
        Assert.All(others, a => Assert.IsType<Appended.Done>(a));
        Assert.Equal((1, 0), (node.Broken, node.Halved));
        Assert.Equal((1, 10), node.Shared);
        Assert.Equal(9, await test.Scalar<long>($"select count(*) from events.mt_events where tenant_id = '{other}'"));
        if (holding is not null) await holding.DisposeAsync();
        Assert.Equal(way switch
        {
            "a stream that exists" => new Appended.Conflict(stream, 1, false),
            "a version that is past" => new Appended.Conflict(stream, 1, false),
            "a claim that is held" => new Appended.Taken(claim, stream),
            "a key that is known" => new Appended.Repeated(),
            "an archived stream" => new Appended.Conflict(stream, 1, true),
            _ => await waiting,
        }, await waiting);
        Assert.Equal(isLocked ? 2 : 1, await test.Scalar<long>($"select count(*) from events.mt_events where tenant_id = '{tenant}'"));

        // Whoever was refused shares with those that look first: for a while nobody breaks a statement of others by it.
        if (holding is not null) return;
        others = await node.BehindAnother(test, () => [.. Enumerable.Range(0, 10).Select(i => i == 5 ? Good(InTheWay()) : node.Commit(other, Tally.On(Tally.Stream(), 0, new Counted(i))))]);
        Assert.All(others, a => Assert.IsType<Appended.Done>(a));
        Assert.Equal((1, 0), (node.Broken, node.Halved));

        // Whatever becomes of it, the others' answers are what is looked at.
        async Task<Appended> Good(Task<Appended> it)
        {
            if (holding is null) Assert.IsNotType<Appended.Done>(await it);
            return new Appended.Done([]);
        }
    }

    /// <summary>Who was just refused neither takes every second statement from all others nor waits for the last of them.</summary>
    [Fact]
    public async Task Those_that_look_first_get_as_many_turns_as_they_have_commits_and_one_of_five_at_least()
    {
        const int Each = 8;
        await using var small = new Coalescer(test.Database.Api, new CoalescerBounds(Statements: 1, MostStatements: 1, Items: Each) { Apart = TimeSpan.FromMinutes(1), LongestWait = BehindAnotherWait });
        Assert.IsType<Appended.Conflict>(await small.Commit(tenant, Tally.On(Tally.Stream(), 7, new Counted(1))));
        var answers = await small.BehindAnother(test, () =>
            Enumerable.Range(0, 10 * Each).Select(n => small.Commit(n < Each ? tenant : Tally.Tenant(), Tally.On(Tally.Stream(), 0, new Counted(1)))));
        var places = answers.Select(a => Assert.IsType<Appended.Done>(a).Events.Single().Position).ToArray();
        var before = places.Skip(Each).Count(p => p < places[..Each].Min());
        Assert.InRange(before, 3 * Each, 5 * Each);
        Assert.Equal(before, places.Skip(Each).Count(p => p < places[..Each].Max()));
    }

    /// <summary>What would leave in several pieces, between which its process may be stopped, goes in one statement that writes at its end or not at all.</summary>
    [Fact]
    public async Task What_is_too_long_for_one_piece_does_not_go_straight()
    {
        var claim = new ClaimValue("name", "held");
        await node.Commit(tenant, new StreamAppend(Tally.Stream(), "tally", 0, [new Counted(1)], [claim], []));
        var other = Tally.Tenant();
        var answers = await node.BehindAnother(test, () => [.. Enumerable.Range(0, 6).Select(i => i == 3
            ? node.Commit(tenant, new StreamAppend(Tally.Stream(), "tally", 0, [new Labelled(new string('x', AppendStraight.MostBytes))], [claim], []))
            : node.Commit(other, Tally.On(Tally.Stream(), 0, new Labelled(new string('x', AppendStraight.MostBytes)))))]);
        Assert.IsType<Appended.Taken>(answers[3]);
        Assert.Equal(5, answers.OfType<Appended.Done>().Count());
        Assert.Equal((0, 0), (node.Broken, node.Halved));
        Assert.Equal((1, 6), node.Shared);
    }
}
