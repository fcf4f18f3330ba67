using Npgsql;
using Nubabel.Testing;

namespace Nubabel.Store.Tests;

/// <summary>A node whose connections lead to another server from one moment to the next, or to a database that was restored: what it had proven is proven anew.</summary>
public sealed class MovedLogTests : IAsyncLifetime
{
    private EngineDatabase database = null!;

    public async Task InitializeAsync() => database = await EngineDatabase.Create();
    public async Task DisposeAsync() => await database.DisposeAsync();

    [Fact]
    public async Task What_is_written_where_the_log_ends_earlier_is_projected_though_the_node_had_been_further()
    {
        var (projections, signal, cut) = (Tallies.Projections(), new Signal(), false);
        await ReadTables.Ensure(database.Owner, projections, EngineDatabase.ApiLogin, EngineDatabase.DaemonLogin);
        var log = new TallyLog(database.Daemon, signal);
        await using var proxy = new PostgresProxy(database.DaemonConnectionString, sql =>
        {
            // In the middle of a round: the mark is proven and the page is read, and its rows are about to be written.
            if (!Volatile.Read(ref cut) || !sql.Contains("nubabel.fence", StringComparison.Ordinal)) return sql;
            Volatile.Write(ref cut, false);
            EndAfter(10);
            throw new IOException("cut");
        });
        var through = new NpgsqlConnectionStringBuilder(proxy.ConnectionString) { MaxAutoPrepare = 0 }.ConnectionString;
        await using var source = NpgsqlDataSource.Create(through);
        var positions = new Positions(source, projections);
        await using var daemon = new ProjectionDaemon(source, through, projections, signal, positions,
            new DaemonOptions { Node = "one", Heartbeat = TimeSpan.FromMilliseconds(100), Poll = TimeSpan.FromMilliseconds(100), Rebuilds = new RebuildOptions { Works = false } });
        for (var i = 0; i < 10; i++) await log.Append(TallyLog.NewStream(), new TallyOpened($"kept {i}"));
        daemon.Start();
        foreach (var projection in projections.All) Assert.True((await positions.Reached(projection.Name, 10, TestWait.Bound, default)).Reached);

        Volatile.Write(ref cut, true);
        await log.Append(TallyLog.NewStream(), [.. Enumerable.Range(0, 10).Select(i => new TallyOpened($"lost {i}"))]);
        await TestWait.Until("the log ends earlier", () => Task.FromResult(!Volatile.Read(ref cut)));
        // The daemon goes on before anything new is written, as a quiet hour would let it.
        var rounds = proxy.RoundTrips;
        await TestWait.Until("it has looked", () => Task.FromResult(proxy.RoundTrips > rounds + 50));
        for (var i = 0; i < 15; i++) await log.Append(TallyLog.NewStream(), new TallyOpened($"new {i}"));

        await TestWait.Until("all are projected", async () => await database.Scalar<long>("select count(*) from read.tallies_v1 where name like 'new%'") == 15);
    }

    /// <summary>The database as it was at that position.</summary>
    private void EndAfter(long position)
    {
        using var connection = database.Daemon.OpenConnection();
        using var back = new NpgsqlCommand($"""
            delete from events.mt_events where seq_id > {position};
            delete from events.mt_streams s where not exists (select from events.mt_events e where (e.tenant_id, e.stream_id) = (s.tenant_id, s.id));
            update events.mt_event_progression set last_seq_id = least(last_seq_id, {position});
            select setval('events.mt_events_sequence', {position})
            """, connection);
        back.ExecuteNonQuery();
    }
}
