using Nubabel.Testing;

namespace Nubabel.Store.Tests;

/// <summary>Orders take effect once, whoever carries them out and whoever is killed meanwhile.</summary>
public sealed class OrderTests : IAsyncLifetime
{
    private EngineDatabase database = null!;

    public async Task InitializeAsync() => database = await EngineDatabase.Create();

    public async Task DisposeAsync() => await database.DisposeAsync();

    [Fact]
    public async Task A_paused_projection_stands_still_over_restarts_and_goes_on_when_it_is_resumed()
    {
        var node = await DaemonNode.Started(database);
        var stream = TallyLog.NewStream();
        await node.Reach(await node.Log.Append(stream, new TallyOpened("sheep")));
        await node.Log.Order("tallies", "projection_paused", """{"version": 1, "reason": "looked at"}""");
        await node.Until("tallies", s => s is { State: ProjectionState.Paused, Paused.Reason: "looked at" });
        // The order itself is an event: a projection that wants every event stands behind it now, and this one does not move any more.
        var stood = (await Pausing(node)).Position;

        var last = await node.Log.Append(stream, new TallyRaised(1));
        await node.Reach(last, "tally_trail");
        await node.DisposeAsync();
        node = await DaemonNode.Started(database);
        await node.Reach(await node.Log.Append(stream, new TallyRaised(1)), "tally_trail");
        Assert.Equal((ProjectionState.Paused, stood), (await node.Status("tallies")) switch { var s => (s.State, s.Position) });
        Assert.Contains(",sheep,0)", await node.Table("tallies"), StringComparison.Ordinal);

        await node.Reach(await node.Log.Order("tallies", "projection_resumed", """{"version": 1}"""), "tallies");
        Assert.Contains(",sheep,2)", await node.Table("tallies"), StringComparison.Ordinal);
        Assert.Null((await node.Status("tallies")).Paused);
        await node.DisposeAsync();
    }

    [Fact]
    public async Task The_pause_of_another_version_stops_nothing()
    {
        await using var node = await DaemonNode.Started(database);
        var order = await node.Log.Order("tallies", "projection_paused", """{"version": 2}""");
        await node.Reach(order);
        Assert.Equal(0L, await database.Scalar<long>("select count(*) from nubabel.paused"));
    }

    [Fact]
    public async Task An_order_whose_process_was_killed_is_carried_out_by_the_daemon()
    {
        await using var node = await DaemonNode.Started(database);
        var stream = TallyLog.NewStream();
        var poison = await node.Log.Append(stream, new TallyOpened("sheep"), new TallyRaised(13));
        await node.Reach(await node.Log.Append(stream, new TallyRaised(1)), "tallies");

        await node.Log.Order("tallies", "projection_event_skipped", $$"""{"version": 1, "tenant": "{{TallyLog.Tenant}}", "key": "{{stream}}", "position": {{poison}}}""");

        await node.Until("tallies", s => s.ParkedKeys == 0);
        Assert.Contains(",sheep,1)", await node.Table("tallies"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Many_processes_that_carry_out_the_same_orders_do_it_once()
    {
        await using var node = await DaemonNode.Started(database, heartbeat: TimeSpan.FromMilliseconds(20));
        var streams = Enumerable.Range(0, 5).Select(_ => TallyLog.NewStream()).ToArray();
        foreach (var stream in streams) await node.Log.Append(stream, new TallyOpened("sheep"), new TallyRaised(13));
        await node.Reach(await node.Log.Append(streams[0], new TallyRaised(1)), "tallies");
        for (var i = 0; i < 10; i++) await node.Log.Order("tallies", "projection_key_retried", """{"version": 1}""");

        await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => new OrderBook(database.Daemon, node.Projections).Apply("tallies", default)));

        // Once when it came, and once for each order.
        Assert.Equal("11 11 11 11 11", await database.Scalar<string>("select string_agg(attempts::text, ' ') from nubabel.parked where name = 'tallies' and error like '%thirteen%'"));
        Assert.Equal(10L, await database.Scalar<long>("select applied from nubabel.orders_applied where progression = 'tallies:All'"));
    }

    [Fact]
    public async Task A_batch_that_saw_a_key_parked_before_its_retry_parks_nothing_behind_it()
    {
        var projections = Tallies.Projections();
        await ReadTables.Ensure(database.Owner, projections, EngineDatabase.ApiLogin, EngineDatabase.DaemonLogin);
        var log = new TallyLog(database.Daemon);
        var stream = TallyLog.NewStream();
        var poison = await log.Append(stream, new TallyOpened("sheep"), new TallyRaised(13));
        await Feed(database.Daemon, projections, poison);
        var last = await log.Append(stream, new TallyRaised(2));
        await database.Execute($"update events.mt_events set data = '{{\"by\": 1}}' where seq_id = {poison}");
        await log.Order("tallies", "projection_key_retried", $$"""{"version": 1, "tenant": "{{TallyLog.Tenant}}", "key": "{{stream}}"}""");

        // The retry comes after the batch has read that the key is parked, and before its fence.
        var retried = 0;
        await using var proxy = new PostgresProxy(database.DaemonConnectionString, sql =>
        {
            if (sql.Contains("nubabel.fence", StringComparison.Ordinal) && Interlocked.Exchange(ref retried, 1) == 0)
                new OrderBook(database.Daemon, projections).Apply("tallies", default).GetAwaiter().GetResult();
            return sql;
        });
        await using var through = Npgsql.NpgsqlDataSource.Create(proxy.ConnectionString);
        await Feed(through, projections, last);

        Assert.Equal(1, retried);
        Assert.Equal(0L, await database.Scalar<long>("select count(*) from nubabel.parked"));
        Assert.Contains(",sheep,3)", await DaemonNode.TableOf(database, projections.Find("tallies")!), StringComparison.Ordinal);
    }

    /// <summary>What a process does with one projection, up to a position.</summary>
    internal static async Task Feed(Npgsql.NpgsqlDataSource daemon, ProjectionSet projections, long upTo, int limit = 100)
    {
        var runner = new Runner(projections.Find("tallies")!);
        runner.LeaseIs(true);
        var feed = new PageFeed(daemon, projections.Types);
        await feed.LoadCheckpoints([runner], default);
        while (runner.Checkpoint < upTo)
        {
            await feed.Next([runner], upTo, limit, default);
            Assert.True(runner.CheckpointIsKnown, runner.Error);
        }
    }

    /// <summary>Its state when a batch that was under way as it was paused has ended.</summary>
    private static async Task<ProjectionStatus> Pausing(DaemonNode node)
    {
        await node.Reach(await node.Log.Append(TallyLog.NewStream(), new TallyRaised(0)), "tally_trail", "tally_totals");
        return await node.Status("tallies");
    }
}
