using System.Diagnostics;
using System.Globalization;
using Nubabel.Domain;
using Nubabel.Store;
using Nubabel.Testing;
using Xunit.Abstractions;

namespace Nubabel.Projections.Tests;

/// <summary>Many commands at once on one long stream: each is applied once, and what it costs is counted in round trips and rows, not in time.</summary>
public sealed class ContendedStreamsTests(ITestOutputHelper output) : TwoNodesOfOneDoor
{
    private const int Long = 10_000;

    /// <summary>Remembered, or too heavy for that: the stream is read whole once at most.</summary>
    [Theory]
    [InlineData(16, true)]
    [InlineData(16, false)]
    [InlineData(64, true)]
    [InlineData(64, false)]
    public async Task Commands_that_meet_on_a_long_stream_are_each_applied_once_and_read_it_once(int commands, bool remembers)
    {
        await There().Handle(door, new OpenDoorOften(Long), default);
        await using var node = Database.Open("main", proxy.ConnectionString, test.DaemonString, remembered: remembers ? RememberedStreams.MostBytes : 0);
        if (remembers) await Node(node, tenant).Load(door, default);
        var (trips, rows) = (proxy.RoundTrips, proxy.Rows);
        var outcomes = await Task.WhenAll(Enumerable.Range(0, commands).Select(_ => Task.Run(() => Node(node, tenant).Handle(door, new OpenDoor(), default))));

        Assert.Equal(Enumerable.Range(1, commands).Select(i => Long + (long)i), outcomes.Select(o => o.Version).Order());
        Assert.All(outcomes, o => Assert.Equal((1, (int)o.Version), (o.Appended, o.State.Opened)));
        Assert.Equal(Long + commands, (await There().Load(door, default)).State.Opened);
        // Each is refused once at most, reads on once at most, and is written; a new connection takes some more.
        Assert.InRange(proxy.RoundTrips - trips, commands, 6 * commands);
        Assert.InRange(proxy.Rows - rows, commands, (remembers ? 0 : Long) + 20 * commands);
    }

    [Fact]
    public async Task A_cold_stream_that_many_want_at_once_is_read_once_and_what_each_gets_is_not_older_than_its_question()
    {
        await There().Handle(door, new OpenDoorOften(Long), default);
        var rows = proxy.Rows;
        var loads = Enumerable.Range(0, 16).Select(_ => Task.Run(() => Here().Load(door, default))).ToList();
        await There().Handle(door, new OpenDoor(), default);
        loads.Add(Task.Run(() => Here().Load(door, default)));
        Assert.Equal(Long + 1, (await loads[^1]).State.Opened);
        Assert.All(await Task.WhenAll(loads), o => Assert.InRange(o.State.Opened, Long, Long + 1));
        Assert.InRange(proxy.Rows - rows, Long, Long + 16 * 20);
    }

    [Fact]
    public async Task Who_is_cancelled_while_it_waits_for_its_turn_lets_the_next_one_go_and_writes_nothing()
    {
        await Here().Handle(door, new OpenDoor(), default);
        using var gone = new CancellationTokenSource();
        Task<Outcome<Door>> cancelled, next;
        using (await Here().Turn([Streams.Of(door)], default))
        {
            cancelled = Here().Handle(door, new LockDoor(), gone.Token);
            next = Here().Handle(door, new OpenDoor(), default);
            Assert.False(cancelled.IsCompleted || next.IsCompleted);
            await gone.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled);
            Assert.False(next.IsCompleted);
        }
        var outcome = await next;
        Assert.Equal((2, false), (outcome.State.Opened, outcome.State.Locked));
        Assert.False(Here().TakesTurns(Streams.Of(door)));
    }

    [Fact]
    public async Task Commits_over_two_streams_in_opposite_orders_end_and_each_is_applied_once()
    {
        const int Each = 12;
        Id<Door> front = new(Guid.CreateVersion7()), back = new(Guid.CreateVersion7());
        await Task.WhenAll(Enumerable.Range(0, 3 * Each).Select(i => Task.Run(() => Here().Commit(
            (i % 3) switch { 0 => [Open(front), Open(back)], 1 => [Open(back), Open(front)], _ => [Open(front)] }, default)))).WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Equal((3 * Each, 2 * Each), ((await There().Load(front, default)).State.Opened, (await There().Load(back, default)).State.Opened));
        Assert.False(Here().TakesTurns(Streams.Of(front)) || Here().TakesTurns(Streams.Of(back)));

        static Step<Door> Open(Id<Door> id) => new(id, new OpenDoor());
    }

    /// <summary>Turns are a node's own, so nodes meet each other all the time; the version guards what each has decided. <c>NUBABEL_STRESS_SECONDS</c> makes it longer.</summary>
    [Fact]
    public async Task Three_nodes_that_write_to_one_stream_all_the_time_all_come_to_their_end()
    {
        const int Callers = 6, Each = 12;
        await using var third = Database.Open("main", test.ApiString, test.DaemonString);
        Database[] nodes = [near, far, third];
        var longer = TimeSpan.FromSeconds(int.TryParse(Environment.GetEnvironmentVariable("NUBABEL_STRESS_SECONDS"), CultureInfo.InvariantCulture, out var seconds) ? seconds : 0);
        var clock = Stopwatch.StartNew();
        var written = await Task.WhenAll(Enumerable.Range(0, nodes.Length * Callers).Select(i => Task.Run(async () =>
        {
            var n = 0;
            for (; n < Each || clock.Elapsed < longer; n++) await Node(nodes[i % nodes.Length], tenant).Handle(door, new OpenDoor(), default);
            return n;
        })));
        output.WriteLine($"{written.Sum()} commands in {clock.Elapsed}; of the nodes {string.Join(", ", nodes.Select((_, node) => written.Where((_, i) => i % nodes.Length == node).Sum()))}");
        Assert.Equal(written.Sum(), (await There().Load(door, default)).State.Opened);
    }

    [Fact]
    public async Task What_is_remembered_and_contradicted_by_the_log_is_read_anew_by_all_who_meet_on_it()
    {
        await Here().Handle(door, new OpenDoorOften(30), default);
        await There().Handle(door, new LockDoor(), default);
        await There().Handle(door, new UnlockDoor(), default);
        await Here().Load(door, default);
        // As after a restore to an earlier time, and other writes since.
        await test.Run($"delete from events.mt_events where tenant_id = '{tenant}' and version > 5; update events.mt_streams set version = 5 where tenant_id = '{tenant}'");
        await using (var forgetful = Database.Open("main", test.ApiString, test.DaemonString, remembered: 0)) await Node(forgetful, tenant).Handle(door, new LockDoor(), default);
        var outcomes = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(async () =>
        {
            await Here().Handle(door, new UnlockDoor(), default);
            return await Here().Handle(door, new OpenDoor(), default);
        })));
        Assert.Equal([8L, 9, 10, 11, 12, 13, 14, 15], outcomes.Select(o => o.Version).Order());
        Assert.Equal(13, (await Here().Load(door, default)).State.Opened);
    }

    [Fact]
    public async Task A_stream_that_was_archived_meanwhile_refuses_all_who_meet_on_it()
    {
        await Here().Handle(door, new OpenDoor(), default);
        await test.Run($"update events.mt_streams set is_archived = true where tenant_id = '{tenant}'");
        var refused = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => Assert.ThrowsAsync<Refused>(() => Here().Handle(door, new OpenDoor(), default)))));
        Assert.All(refused, r => Assert.Equal("stream.archived", r.Code));
        Assert.False(Here().TakesTurns(Streams.Of(door)));
    }
}
