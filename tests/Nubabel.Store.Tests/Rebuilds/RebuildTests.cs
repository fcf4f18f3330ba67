namespace Nubabel.Store.Tests;

public sealed class RebuildTests : IAsyncLifetime
{
    private EngineDatabase database = null!;
    private DaemonNode node = null!;

    public async Task InitializeAsync()
    {
        database = await EngineDatabase.Create();
        node = await DaemonNode.Started(database);
    }

    public async Task DisposeAsync()
    {
        await node.DisposeAsync();
        await database.DisposeAsync();
    }

    [Fact]
    public async Task A_rebuild_gives_the_same_rows_as_the_live_projection()
    {
        var last = await History(200);
        await node.Reach(last);
        var live = new Dictionary<string, string>();
        foreach (var projection in node.Projections.All) live[projection.Name] = await node.Table(projection.Name);
        var parked = await Parked();

        foreach (var projection in node.Projections.All)
        {
            var progress = new List<RebuildStatus>();
            var result = await Run(projection.Name, progress.Add);
            Assert.Equal((RebuildState.Published, last, 1.0), (result.State, result.Position, result.Done));
            Assert.Equal(RebuildState.Published, progress[^1].State);
            Assert.Equal(live[projection.Name], await node.Table(projection.Name));
        }
        Assert.Equal(parked, await Parked());
    }

    [Fact]
    public async Task A_rebuild_repairs_a_table_that_somebody_damaged()
    {
        await node.Reach(await History(10));
        var before = await node.Table("tallies");
        await database.Execute("update read.tallies_v1 set sum = 99; insert into read.tallies_v1 values ('x', 'x', 1, 1, '{}', 'x', 1)");

        await Run("tallies", _ => { });

        Assert.Equal(before, await node.Table("tallies"));
    }

    [Fact]
    public async Task A_name_that_no_read_model_has_is_refused() => await Assert.ThrowsAsync<RebuildRefused>(() => Run("nothing", _ => { }));

    [Fact]
    public async Task However_little_memory_it_has_it_makes_the_same_rows_in_more_passes()
    {
        await node.Reach(await History(300));
        var (live, totals) = (await node.Table("tallies"), await node.Table("tally_totals"));

        var whole = await Run("tallies", _ => { });
        var bounded = await Run("tallies", _ => { }, options: new RebuildOptions { Memory = 10_000, Workers = 3 });
        await Run("tally_totals", _ => { }, options: new RebuildOptions { Memory = 1, Workers = 2 });

        // A later pass is sent its own part of the log alone; what the first one read and let go comes again.
        Assert.True(bounded.Events > whole.Events * 1.5, $"{bounded.Events} events read is no more than {whole.Events} in one pass.");
        Assert.Equal((live, totals), (await node.Table("tallies"), await node.Table("tally_totals")));
    }

    [Fact]
    public async Task Afterwards_the_catalogue_says_of_the_table_what_it_says_of_a_fresh_one()
    {
        await node.Reach(await History(5));
        foreach (var projection in node.Projections.All)
        {
            var table = projection.Table.Value.Split('.')[1];
            var fresh = await TallyHistory.Catalogue(database, table);
            await Run(projection.Name, _ => { });
            Assert.Equal(fresh, await TallyHistory.Catalogue(database, table));
        }
        await ReadTables.Ensure(database.Owner, node.Projections, EngineDatabase.ApiLogin, EngineDatabase.DaemonLogin);
        Assert.Equal(3L, await database.Scalar<long>("select count(*) from pg_tables where schemaname = 'read'"));
        Assert.Equal(0L, await database.Scalar<long>("select count(*) from events.mt_event_progression where name like '%rebuild%'"));
    }

    [Fact]
    public async Task A_value_that_the_database_refuses_parks_its_key_as_the_daemon_parks_it()
    {
        var (sick, well) = (TallyLog.NewStream(), TallyLog.NewStream());
        await node.Log.Append(well, new TallyOpened("well"));
        // Too long for the declared index, which only PostgreSQL knows; random, so that it cannot be compressed away.
        await node.Log.Append(sick, new TallyOpened("fine"), new TallyRenamed(Convert.ToHexString(System.Security.Cryptography.RandomNumberGenerator.GetBytes(10_000))), new TallyRaised(1));
        await node.Reach(await node.Log.Append(well, new TallyRaised(5)));
        var (live, parked) = (await node.Table("tallies"), await Parked());

        var result = await Run("tallies", _ => { });

        Assert.Equal((RebuildState.Published, 1L), (result.State, result.ParkedKeys));
        Assert.Equal((live, parked), (await node.Table("tallies"), await Parked()));
    }

    [Fact]
    public async Task With_newly_parked_keys_it_is_held_until_it_is_forced_and_then_published_as_it_is()
    {
        var stream = TallyLog.NewStream();
        await node.Reach(await node.Log.Append(stream, new TallyOpened("sheep"), new TallyRaised(1)));
        // As if this build's code could not take an event any more that was taken once.
        await database.Execute("update events.mt_events set data = jsonb_set(data, '{by}', '13') where type = 'tally_raised'");

        var held = await Run("tallies", _ => { });
        Assert.Equal((RebuildState.Held, 1L), (held.State, held.ParkedKeys));
        Assert.Contains("1 keys are parked", held.Error, StringComparison.Ordinal);
        Assert.Contains(",sheep,1)", await node.Table("tallies"), StringComparison.Ordinal);
        Assert.Equal(ProjectionState.Running, (await node.Status("tallies")).State);

        await node.Reach(await node.Log.Append(stream, new TallyRenamed("goats")));
        var forced = await Run("tallies", _ => { }, force: true);

        Assert.Equal((RebuildState.Published, 1L), (forced.State, forced.ParkedKeys));
        Assert.Contains(",sheep,0)", await node.Table("tallies"), StringComparison.Ordinal);
        Assert.Equal("2 waits", await database.Scalar<string>("select min(seq_id) || ' ' || (array_agg(left(error, 5) order by seq_id desc))[1] from nubabel.parked where name = 'tallies'"));
        Assert.Equal(ProjectionState.Parked, (await node.Status("tallies")).State);
    }

    [Fact]
    public async Task Rows_that_stop_before_what_readers_have_seen_are_not_published()
    {
        var stream = TallyLog.NewStream();
        await node.Reach(await node.Log.Append(stream, new TallyOpened("sheep"), new TallyRenamed("goats"), new TallyRaised(1)));
        var live = await node.Table("tally_trail");
        await database.Execute("update events.mt_events set data = jsonb_set(data, '{name}', '\"stop\"') where type = 'tally_renamed'");

        var failed = await Run("tally_trail", _ => { }, force: true);

        Assert.Equal(RebuildState.Failed, failed.State);
        Assert.Contains("event 2", failed.Error, StringComparison.Ordinal);
        Assert.Equal(live, await node.Table("tally_trail"));
    }

    [Fact]
    public async Task A_second_start_is_told_that_one_is_running_and_one_that_is_given_up_leaves_nothing()
    {
        await node.Reach(await History(5));
        var live = await node.Table("tallies");
        await using var idle = new Rebuilds(database.Daemon, database.DaemonConnectionString, node.Projections);
        await idle.Order("tallies", force: false, "somebody", default);

        var running = await Assert.ThrowsAsync<RebuildRunning>(() => idle.Order("tallies", force: true, "somebody else", default));
        Assert.Equal(("somebody", RebuildState.Running), (running.Status.StartedBy, running.Status.State));
        Assert.True(await idle.Cancel("tallies", default));
        Assert.False(await idle.Cancel("tallies", default));

        Assert.Equal(RebuildState.Cancelled, (await idle.Status("tallies", default))!.State);
        Assert.Equal(live, await node.Table("tallies"));
        Assert.Null(await database.Scalar<string>("select to_regclass('read.tallies_v1_r')::text"));
    }

    /// <summary>Who loads a table holds it, and wants the row of its rebuild next.</summary>
    [Fact]
    public async Task Who_gives_one_up_that_is_being_loaded_stands_in_nobodys_way()
    {
        await using var idle = new Rebuilds(database.Daemon, database.DaemonConnectionString, node.Projections, options: new RebuildOptions { Works = false });
        await using var loader = await database.Owner.OpenConnectionAsync();
        await Run("select pg_advisory_lock(hashtextextended('nubabel:rebuild:tallies:All', 0))");
        await idle.Order("tallies", force: false, "somebody", default);
        await Run("create table read.tallies_v1_r (like read.tallies_v1)");
        await using var transaction = await loader.BeginTransactionAsync();
        await Run("lock table read.tallies_v1_r in row exclusive mode");

        var cancel = idle.Cancel("tallies", default);
        await TestWait.Until("it is given up", async () => (await idle.Status("tallies", default))!.State == RebuildState.Cancelled);
        Assert.False(cancel.IsCompleted);
        Assert.Equal(0, await Run("update nubabel.rebuilds set position = 1 where progression = 'tallies:All' and state = 'running'"));
        await transaction.RollbackAsync();
        Assert.False(cancel.IsCompleted);
        await Run("select pg_advisory_unlock_all()");

        Assert.True(await cancel);
        Assert.Null(await database.Scalar<string>("select to_regclass('read.tallies_v1_r')::text"));

        async Task<int> Run(string sql)
        {
            await using var command = new Npgsql.NpgsqlCommand(sql, loader);
            return await command.ExecuteNonQueryAsync();
        }
    }

    [Fact]
    public async Task A_loop_of_rebuilds_that_fails_is_a_fault_of_the_process_and_what_it_builds_is_built()
    {
        await using var failing = await DaemonNode.Started(database, "failing", rebuilds: new RebuildOptions { Told = _ => throw new InvalidOperationException("nobody listens") });
        await failing.Daemon.Rebuilds.Order("tallies", force: false, "somebody", default);
        await TestWait.Until("the fault is named", () => Task.FromResult(failing.Daemon.Fault is { } fault && fault.Contains("rebuilds fails: InvalidOperationException: nobody listens", StringComparison.Ordinal)));
        var status = await failing.Daemon.Status(default);
        Assert.False(status.Alive);
        Assert.Contains(status.Errors, e => e.Contains("nobody listens", StringComparison.Ordinal));
        Assert.Equal(RebuildState.Published, (await failing.Daemon.Rebuilds.Status("tallies", default))!.State);
    }

    private Task<RebuildStatus> Run(string name, Action<RebuildStatus> progress, bool force = false, RebuildOptions? options = null) =>
        Rebuild.Run(database.Daemon, database.DaemonConnectionString, node.Projections, name, progress, default, force, options);

    private Task<string?> Parked() => database.Scalar<string>("select string_agg(concat_ws(' ', name, version, tenant_id, key, seq_id, error), ';' order by name, seq_id) from nubabel.parked");

    private Task<long> History(int streams) => TallyHistory.Append(database, node.Log, streams);
}
