using Npgsql;

namespace Nubabel.Store.Tests.Fire;

/// <summary>Real processes that get SIGKILL in the middle of what they do to a table: somebody holds a lock that they wait for, so that it is the middle.</summary>
public sealed class KilledRebuildTests : IAsyncLifetime
{
    private EngineDatabase database = null!;
    private TallyLog log = null!;

    public async Task InitializeAsync()
    {
        database = await EngineDatabase.Create();
        await ReadTables.Ensure(database.Owner, Tallies.Projections(), EngineDatabase.ApiLogin, EngineDatabase.DaemonLogin);
        log = new TallyLog(database.Daemon);
    }

    public async Task DisposeAsync() => await database.DisposeAsync();

    [Theory]
    // While it copies, while it makes an index, while it stands in line for the table that readers see; exchanged and not committed.
    [InlineData("tallies", "begun", "tallies_v1_r", "exclusive")]
    [InlineData("tally_trail", "begun", "tally_trail_v2_r", "exclusive")]
    [InlineData("tallies", "loaded", "tallies_v1_r", "exclusive")]
    [InlineData("tallies", "caught up", "tallies_v1", "access share")]
    [InlineData("tally_trail", "swapped", null, "")]
    public async Task A_rebuild_whose_process_is_killed_goes_on_elsewhere_and_leaves_nothing_behind(string name, string step, string? table, string mode)
    {
        await using var node = await DaemonNode.Started(database);
        await node.Reach(await TallyHistory.Append(database, node.Log, 40));
        var before = await node.Table(name);
        await using (var order = new Rebuilds(database.Daemon, database.DaemonConnectionString, node.Projections)) await order.Order(name, force: false, "somebody", default);

        await using (var child = await NodeChild.Rebuilding(database, name, step))
        {
            await using var held = table is null ? null : await Held.On(database, $"read.{table}", mode);
            if (held is not null)
            {
                await child.Ask("go on");
                await held.IsWaitedFor();
            }
            await child.Kill();
        }

        await using var other = new Rebuilds(database.Daemon, database.DaemonConnectionString, node.Projections);
        Assert.Equal(RebuildState.Published, (await other.Follow(name, _ => { }, default).WaitAsync(TimeSpan.FromSeconds(30))).State);
        Assert.Equal(before, await node.Table(name));
        Assert.Equal("0 0 0 published ", await database.Scalar<string>("""
            select format('%s %s %s %s %s', (select count(*) from pg_class where relnamespace = 'read'::regnamespace and relname ~ '_v[0-9]+_r(_|$)'), (select count(*) from events.mt_event_progression where name like '%rebuild%'),
              (select count(*) from nubabel.parked where name like '%rebuild%'), (select string_agg(state, ',') from nubabel.rebuilds), (select string_agg(node, ',') from nubabel.rebuilds))
            """));
        // What is appended behind it is folded into the new table.
        await node.Reach(await node.Log.Append(TallyLog.NewStream(), new TallyOpened("last")));
        Assert.Contains("last", await node.Table("tallies"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_process_that_is_killed_while_it_parks_has_parked_nothing_and_the_next_one_parks_it_once()
    {
        var stream = TallyLog.NewStream();
        var first = await log.Append(stream, new TallyOpened("sheep"));
        var poison = 0L;
        await Killed(first, async () => poison = await log.Append(stream, new TallyRaised(13)));
        await using var node = await DaemonNode.Started(database, "next");
        await node.Reach(await log.Append(stream, new TallyRaised(1)));
        Assert.Equal($"tallies {poison} 1 InvalidOperationException: thirteen;tallies {poison + 1} 1 waits behind a parked event", await Parked());
        Assert.Contains(",sheep,0)", await node.Table("tallies"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_process_that_is_killed_while_it_skips_has_not_skipped_and_the_next_one_does_it_once()
    {
        var stream = TallyLog.NewStream();
        await log.Append(stream, new TallyOpened("sheep"));
        var poison = await log.Append(stream, new TallyRaised(13));
        var last = await log.Append(stream, new TallyRaised(2));
        var order = 0L;
        await Killed(last, async () => order = await log.Order("tallies", "projection_event_skipped",
            $$"""{"version": 1, "tenant": "{{TallyLog.Tenant}}", "key": "{{stream}}", "position": {{poison}}, "reason": "told to"}"""));
        Assert.Equal(0L, await database.Scalar<long>("select count(*) from nubabel.orders_applied"));

        await using var node = await DaemonNode.Started(database, "next");
        await TestWait.Until("the order is carried out", async () => await database.Scalar<long>("select applied from nubabel.orders_applied where progression = 'tallies:All'") == 1);
        await node.Reach(order, "tallies");
        Assert.Null(await Parked());
        Assert.Contains(",sheep,2)", await node.Table("tallies"), StringComparison.Ordinal);
        var live = await node.Table("tallies");
        Assert.Equal(RebuildState.Published, (await Rebuild.Run(database.Daemon, database.DaemonConnectionString, node.Projections, "tallies", _ => { }, default)).State);
        Assert.Equal(live, await node.Table("tallies"));
    }

    [Fact]
    public async Task An_event_that_is_skipped_while_its_projection_is_rebuilt_is_passed_over_in_both_tables()
    {
        var stream = TallyLog.NewStream();
        await using var node = await DaemonNode.Started(database);
        await log.Append(stream, new TallyOpened("sheep"));
        var poison = await log.Append(stream, new TallyRaised(13));
        await node.Reach(await log.Append(stream, new TallyRaised(2)));
        var steps = new List<string>();
        var orders = new OrderBook(database.Daemon, node.Projections);
        var ended = await Rebuild.Run(database.Daemon, database.DaemonConnectionString, node.Projections, "tallies", _ => { }, default, options: new RebuildOptions
        {
            Step = async step =>
            {
                steps.Add(step);
                if (step != "indexed" || steps.Count(s => s == "indexed") > 1) return;
                // The table beside is loaded, with the event parked in it; now it is skipped in the live one.
                await log.Order("tallies", "projection_event_skipped", $$"""{"version": 1, "tenant": "{{TallyLog.Tenant}}", "key": "{{stream}}", "position": {{poison}}, "reason": "told to"}""");
                await orders.Apply("tallies", default);
                Assert.Contains(",sheep,2)", await node.Table("tallies"), StringComparison.Ordinal);
            },
        });
        Assert.Equal((RebuildState.Published, 2), (ended.State, steps.Count(s => s == "begun")));
        Assert.Contains(",sheep,2)", await node.Table("tallies"), StringComparison.Ordinal);
        Assert.Null(await Parked());
    }

    /// <summary>A process projects up to here; then something comes that makes it write to the park, and it is killed while it does.</summary>
    private async Task Killed(long position, Func<Task> provoke)
    {
        await using var child = await NodeChild.Started(database, "doomed");
        // By itself, so that no wait is for a whole start.
        await TestWait.Until("it has the lease", async () => (await child.Ask("held")).Split(' ').Contains("tallies"));
        await TestWait.Until("it has projected what is there", async () => await database.Scalar<long>("select coalesce(min(last_seq_id), 0) from events.mt_event_progression where name = 'tallies:All'") >= position);
        await using var held = await Held.On(database, "nubabel.parked", "exclusive");
        await provoke();
        await held.IsWaitedFor();
        await child.Kill();
    }

    private Task<string?> Parked() =>
        database.Scalar<string>("select string_agg(format('%s %s %s %s', name, seq_id, attempts, error), ';' order by name, seq_id) from nubabel.parked where name = 'tallies'");

    /// <summary>A table that somebody holds, so that who wants to change it stands in line.</summary>
    private sealed class Held(EngineDatabase database, NpgsqlConnection connection, NpgsqlTransaction transaction, string table) : IAsyncDisposable
    {
        public static async Task<Held> On(EngineDatabase database, string table, string mode)
        {
            var connection = await database.Owner.OpenConnectionAsync();
            var transaction = await connection.BeginTransactionAsync();
            await using var command = new NpgsqlCommand($"lock table {table} in {mode} mode", connection);
            await command.ExecuteNonQueryAsync();
            return new Held(database, connection, transaction, table);
        }

        public Task<TimeSpan> IsWaitedFor() => TestWait.Until($"somebody waits for {table}", async () => await database.Scalar<bool>($"select exists (select from pg_locks where relation = '{table}'::regclass and not granted)"));

        public async ValueTask DisposeAsync()
        {
            await transaction.DisposeAsync();
            await connection.DisposeAsync();
        }
    }
}
