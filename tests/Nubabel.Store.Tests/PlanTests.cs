using Npgsql;

namespace Nubabel.Store.Tests;

/// <summary>What follows the log reads what is new, however long the log and the read models have become, and whatever they were when its statements were planned.</summary>
public sealed class PlanTests : IAsyncLifetime
{
    private const int Old = 20_000;
    private const int New = 100;
    private EngineDatabase database = null!;

    public async Task InitializeAsync() => database = await EngineDatabase.Create();

    public async Task DisposeAsync() => await database.DisposeAsync();

    [Theory]
    [InlineData("events.mt_events")]
    [InlineData("read.tallies_v1")]
    public async Task Following_a_long_log_reads_a_few_rows_for_each_event(string table)
    {
        await using var node = await DaemonNode.Started(database);
        var cache = new Counter();
        await using var tail = new Tail(database.Daemon, Tallies.Types, node.Signal, [cache]);
        tail.Start();
        // Planned while there was next to nothing.
        for (var i = 0; i < 10; i++) await node.Reach(await node.Log.Append(TallyLog.NewStream(), new TallyOpened("small")));
        await Fill();
        var stream = TallyLog.NewStream();
        await node.Reach(await node.Log.Append(stream, new TallyOpened("large")));

        var before = await Read(table);
        for (var i = 0; i < New; i++) await node.Reach(await node.Log.Append(stream, new TallyRaised(1)), "tallies");
        await TestWait.Until("the tail has all", () => Task.FromResult(cache.Seen >= New));
        await node.DisposeAsync();
        await tail.DisposeAsync();
        var each = (await Read(table) - before) / New;

        Assert.True(each > 0, "each event was read");
        // What was read while the log grew may be told late, so the bound is generous: a scan for each event would read all of it.
        Assert.True(each < Old / 10, $"{each} rows of {table} were read for each event; it has {Old}");
    }

    private async Task Fill()
    {
        await database.Execute($"""
            with s as (
              insert into events.mt_streams (tenant_id, id, type, version) select '{TallyLog.Tenant}', 'tally-' || gen_random_uuid(), 'tally', 1 from generate_series(1, {Old}) returning tenant_id, id)
            insert into events.mt_events (seq_id, id, tenant_id, stream_id, version, type, data, timestamp)
            select nextval('events.mt_events_sequence'), gen_random_uuid(), tenant_id, id, 1, 'tally_opened', '{Tallies.Types.Write(new TallyOpened("old"))}', now() from s
            """);
    }

    /// <summary>Rows read by scans and by indexes. Sessions tell at their end at the latest, so they are ended.</summary>
    private async Task<long> Read(string table)
    {
        database.Daemon.Clear();
        await TestWait.Until("the daemon's sessions have told what they read", async () =>
        {
            await using var other = database.Owner.CreateCommand("select count(*) from pg_stat_activity where datname = current_database() and usename = $1 and state = 'idle'");
            other.Parameters.Add(new NpgsqlParameter<string> { TypedValue = EngineDatabase.DaemonLogin });
            return (long)(await other.ExecuteScalarAsync())! <= 3;
        });
        await using var command = database.Owner.CreateCommand($"select coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) from pg_stat_user_tables where relid = '{table}'::regclass");
        return (long)(await command.ExecuteScalarAsync())!;
    }

    private sealed class Counter : ITailSubscriber
    {
        private long seen;

        public long Seen => Interlocked.Read(ref seen);
        public IReadOnlyCollection<string> Aliases => ["tally_opened", "tally_raised"];
        public Task<long> Load(CancellationToken ct) => Task.FromResult(0L);
        public void OnEvent(Recorded e) => Interlocked.Increment(ref seen);
    }
}
