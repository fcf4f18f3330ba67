using System.Diagnostics;
using Npgsql;

namespace Nubabel.Store.Tests;

/// <summary>Waiting for a position, hints between nodes, and what status says.</summary>
public sealed class PositionsTests : IAsyncLifetime
{
    private EngineDatabase database = null!;

    public async Task InitializeAsync() => database = await EngineDatabase.Create();
    public async Task DisposeAsync() => await database.DisposeAsync();

    [Fact]
    public async Task A_position_that_is_not_reached_in_time_is_answered_with_how_far_it_is()
    {
        await using var node = await DaemonNode.Started(database);
        var last = await node.Log.Append(TallyLog.NewStream(), new TallyOpened("sheep"));
        await node.Reach(last);

        // With one that has much more time beside them: it is their own that they go by.
        using var enough = new CancellationTokenSource();
        var patient = node.Positions.Reached("tallies", last + 1, TimeSpan.FromHours(1), enough.Token);
        var times = new List<long>();
        for (var i = 0; i < 5; i++)
        {
            var clock = Stopwatch.StartNew();
            Assert.Equal((false, last), await node.Positions.Reached("tallies", last + 1, TimeSpan.FromMilliseconds(150), default));
            times.Add(clock.ElapsedMilliseconds);
        }
        Assert.False(patient.IsCompleted);
        await enough.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => patient);
        // A process that is held up is late once; who goes by another time is late each time.
        Assert.InRange(times.Min(), 100, 2000);
    }

    [Fact]
    public async Task A_process_without_the_projection_asks_the_database()
    {
        await using var node = await DaemonNode.Started(database);
        var elsewhere = new Positions(database.Daemon, Tallies.Projections());

        for (var i = 0; i < 5; i++)
        {
            var last = await node.Log.Append(TallyLog.NewStream(), new TallyOpened("sheep"));
            var waiters = Enumerable.Range(0, 20).Select(_ => elsewhere.Reached("tallies", last, TimeSpan.FromSeconds(5), default));
            Assert.All(await Task.WhenAll(waiters), w => Assert.True(w.Reached));
        }
    }

    [Fact]
    public async Task A_caller_who_goes_away_stops_waiting()
    {
        var positions = new Positions(database.Daemon, Tallies.Projections());
        using var gone = new CancellationTokenSource(50);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => positions.Reached("tallies", 1, TimeSpan.FromSeconds(30), gone.Token));
    }

    [Fact]
    public async Task An_append_on_one_node_wakes_the_projections_on_another()
    {
        // Nobody polls while this test runs, and only one of them would run the projection: what arrives has been called for.
        var rarely = TimeSpan.FromMinutes(1);
        await using var owner = await DaemonNode.Started(database, "owner", poll: rarely);
        await owner.Until("tallies", s => s.Owner == "owner");
        await using var appender = await DaemonNode.Started(database, "appender", projections: new ProjectionSet(Tallies.Types).Rows<TallyTrail, TrailRow>(), poll: rarely);
        await BothEndsOfTheHint(appender);

        for (var i = 0; i < 20; i++)
        {
            var last = await appender.Log.Append(TallyLog.NewStream(), new TallyOpened("next"));
            var (reached, have) = await owner.Positions.Reached("tallies", last, TimeSpan.FromSeconds(5), default);
            Assert.True(reached, $"{have} and not {last}, as if nobody had called");
        }
        Assert.Equal("owner", (await owner.Status("tallies")).Owner);
    }

    /// <summary>Both connections of the hint must be there: what is appended before is not called for.</summary>
    private async Task BothEndsOfTheHint(DaemonNode appender)
    {
        await TestWait.Until("the owner listens", async () =>
            await database.Scalar<long>("select count(*) from pg_stat_activity where datname = current_database() and application_name = 'owner' and query = 'listen nubabel_events' and state = 'idle'") > 0);
        await using var listener = await database.Daemon.OpenConnectionAsync();
        await using (var listen = new NpgsqlCommand("listen nubabel_events", listener)) await listen.ExecuteNonQueryAsync();
        await TestWait.Until("the appender calls", async () =>
        {
            await appender.Log.Append(TallyLog.NewStream(), new TallyOpened("first"));
            return await listener.WaitAsync(TimeSpan.FromMilliseconds(50));
        });
    }

    [Fact]
    public async Task Status_shows_checkpoint_lag_and_owner_of_each_projection()
    {
        await using var node = DaemonNode.On(database);
        await ReadTables.Ensure(database.Owner, node.Projections, EngineDatabase.ApiLogin, EngineDatabase.DaemonLogin);
        await node.Log.Append(TallyLog.NewStream(), new TallyOpened("sheep"), new TallyRaised(1));
        var idle = await DaemonStatus.Read(database.Daemon, node.Projections, default);
        Assert.All(idle.Projections, p => Assert.Equal((ProjectionState.Waiting, 0, 2, null), (p.State, p.Position, p.Lag, p.Owner)));
        Assert.True(idle.Projections[0].LagSeconds > 0);

        node.Daemon.Start();
        await node.Reach(2);
        var status = await node.Daemon.Status(default);
        Assert.Equal((2, 2, true), (status.Mark, status.HighestVisible, status.Alive));
        Assert.All(status.Projections, p => Assert.Equal((ProjectionState.Running, 2, 0, 0, "one"), (p.State, p.Position, p.Lag, p.LagSeconds, p.Owner)));

        await node.Daemon.Stop();
        Assert.False((await node.Daemon.Status(default)).Alive);
    }
}
