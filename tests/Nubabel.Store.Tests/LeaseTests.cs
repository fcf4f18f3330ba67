namespace Nubabel.Store.Tests;

/// <summary>Several processes on one log: who runs what, what happens when the owner goes, and what the fence refuses.</summary>
public sealed class LeaseTests : IAsyncLifetime
{
    private EngineDatabase database = null!;

    public async Task InitializeAsync() => database = await EngineDatabase.Create();
    public async Task DisposeAsync() => await database.DisposeAsync();

    [Fact]
    public async Task Of_two_daemons_one_owns_each_projection_and_nothing_is_doubled()
    {
        await using var one = await DaemonNode.Started(database, "one");
        await using var two = await DaemonNode.Started(database, "two");
        var last = await Write(one, 50);
        await one.Reach(last);
        await two.Reach(last);

        var owners = (await two.Daemon.Status(default)).Projections.Select(p => p.Owner).Distinct();
        Assert.All(owners, o => Assert.Contains(o, new[] { "one", "two" }));
        await EverythingIsThereOnce(last);
    }

    [Fact]
    public async Task When_the_owners_lease_connection_is_killed_another_goes_on_and_nothing_is_doubled()
    {
        await using var one = await DaemonNode.Started(database, "one");
        await one.Reach(await Write(one, 5));
        await using var two = await DaemonNode.Started(database, "two");
        using var writing = new CancellationTokenSource();
        var traffic = Task.Run(async () =>
        {
            while (!writing.IsCancellationRequested) await Write(one, 1);
        });

        for (var round = 0; round < 3; round++)
        {
            await one.Until("tallies", s => s.Owner is not null);
            await EngineDatabase.AsSuperuser($"""
                select pg_terminate_backend(l.pid) from pg_locks l join pg_database d on d.oid = l.database
                where l.locktype = 'advisory' and l.granted and d.datname = '{database.Name}'
                """);
            await one.Until("tallies", s => s.Owner is not null);
        }

        await writing.CancelAsync();
        await traffic;
        var last = await Write(one, 1);
        await one.Reach(last);
        await EverythingIsThereOnce(last);
    }

    [Fact]
    public async Task A_process_that_does_not_notice_the_loss_of_its_lease_doubles_nothing()
    {
        // Its heartbeat is longer than this test: it goes on as the owner while another one has the lease.
        await using var zombie = await DaemonNode.Started(database, "zombie", TimeSpan.FromMinutes(1));
        await zombie.Reach(await Write(zombie, 5));
        await using var heir = await DaemonNode.Started(database, "heir");
        await EngineDatabase.AsSuperuser($"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{database.Name}' and application_name = 'zombie'");
        await heir.Until("tallies", s => s.Owner == "heir");

        for (var i = 0; i < 20; i++)
        {
            await Write(zombie, 1);
            await Write(heir, 1);
        }

        var last = await Write(heir, 1);
        await heir.Reach(last);
        await EverythingIsThereOnce(last);
    }

    [Fact]
    public async Task A_daemon_that_stops_hands_over_at_once()
    {
        await using var two = DaemonNode.On(database, "two");
        // Its next heartbeat is far away: it gives nothing of its share to the other one before it stops, however long that takes.
        await using (var one = await DaemonNode.Started(database, "one", TimeSpan.FromMinutes(1)))
        {
            await one.Reach(await Write(one, 3));
            two.Daemon.Start();
            Assert.Equal("one", (await two.Status("tallies")).Owner);
        }

        var last = await Write(two, 3);
        await two.Reach(last);
        Assert.Equal("two", (await two.Until("tallies", s => s.Owner is not null)).Owner);
        await EverythingIsThereOnce(last);
    }

    [Fact]
    public async Task A_batch_from_a_stale_checkpoint_is_refused_and_writes_nothing()
    {
        await using var node = await DaemonNode.Started(database);
        var stream = TallyLog.NewStream();
        var last = await node.Log.Append(stream, new TallyOpened("sheep"), new TallyRaised(2));
        await node.Reach(last);
        var before = await node.Table("tallies");

        // A process that slept through the loss of its lease and believes that nothing has happened since.
        var zombie = new Runner(node.Projections.Find("tallies")!);
        zombie.LeaseIs(true);
        zombie.Found(0, 0);
        await new PageFeed(database.Daemon, Tallies.Types).Next([zombie], last, 100, default);

        Assert.False(zombie.Held);
        Assert.Contains("fenced", zombie.Error, StringComparison.Ordinal);
        Assert.Equal(before, await node.Table("tallies"));
    }

    [Fact]
    public async Task A_fenced_projection_does_not_hold_back_those_it_was_batched_with()
    {
        await using var node = DaemonNode.On(database);
        await ReadTables.Ensure(database.Owner, node.Projections, EngineDatabase.ApiLogin, EngineDatabase.DaemonLogin);
        var last = await node.Log.Append(TallyLog.NewStream(), new TallyOpened("sheep"), new TallyRaised(2));
        var runners = node.Projections.All.Select(p => new Runner(p)).ToArray();
        var feed = new PageFeed(database.Daemon, Tallies.Types);
        foreach (var runner in runners) runner.LeaseIs(true);
        await feed.LoadCheckpoints(runners, default);
        await database.Execute("update events.mt_event_progression set last_seq_id = 1 where name = 'tallies:All'");

        await feed.Next(runners, last, 100, default);

        Assert.Equal([false, true, true], runners.Select(s => s.Held));
        Assert.Equal("", await node.Table("tallies"));
        Assert.Contains("tally_raised", await node.Table("tally_trail"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_daemon_outlives_the_loss_of_all_its_connections()
    {
        await using var node = await DaemonNode.Started(database);
        await node.Reach(await Write(node, 3));
        for (var round = 0; round < 3; round++)
            await EngineDatabase.AsSuperuser($"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{database.Name}' and pid <> pg_backend_pid()");
        database.Daemon.Clear();

        var last = await Write(node, 3);
        await node.Reach(last);
        await EverythingIsThereOnce(last);
        Assert.True((await node.Daemon.Status(default)).Alive);
    }

    [Fact]
    public async Task A_projection_whose_table_is_missing_fails_alone_and_recovers_when_it_comes()
    {
        await using var node = DaemonNode.On(database);
        await ReadTables.Ensure(database.Owner, new ProjectionSet(Tallies.Types).Rows<TallyTrail, TrailRow>(), EngineDatabase.ApiLogin, EngineDatabase.DaemonLogin);
        node.Daemon.Start();
        var last = await Write(node, 3);
        await node.Reach(last, "tally_trail");
        Assert.Contains("42P01", (await node.Until("tallies", s => s.State == ProjectionState.Failing)).LastError, StringComparison.Ordinal);

        await ReadTables.Ensure(database.Owner, node.Projections, EngineDatabase.ApiLogin, EngineDatabase.DaemonLogin);
        await node.Reach(last);
    }

    private static async Task<long> Write(DaemonNode node, int streams)
    {
        var last = 0L;
        for (var i = 0; i < streams; i++) last = await node.Log.Append(TallyLog.NewStream(), new TallyOpened($"t{i}"), new TallyRaised(1), new TallyRaised(1));
        return last;
    }

    /// <summary>The trail has each event once, the documents and the totals add up.</summary>
    private async Task EverythingIsThereOnce(long last)
    {
        var streams = await database.Scalar<long>("select count(*) from events.mt_streams");
        Assert.Equal(3 * streams, await database.Scalar<long>("select count(distinct position) from read.tally_trail_v2"));
        Assert.Equal(5 * streams, await database.Scalar<long>("select count(*) from read.tally_trail_v2"));
        Assert.Equal(2 * streams, await database.Scalar<long>("select sum(sum) from read.tallies_v1"));
        Assert.Equal(2 * streams, await database.Scalar<long>("select (doc ->> 'sum')::bigint from read.tally_totals_v1"));
        Assert.Equal(last, await database.Scalar<long>("select max(position) from read.tally_trail_v2"));
    }
}
