using System.Diagnostics;
using Npgsql;

namespace Nubabel.Store.Tests;

/// <summary>Readers under load while a table is rebuilt and exchanged: they see a whole table at any moment, and no position goes back.</summary>
public sealed class RebuildReadersTests : IAsyncLifetime
{
    private static readonly TimeSpan LongReader = TimeSpan.FromSeconds(3);

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
    public async Task Readers_see_a_whole_table_and_no_position_goes_back_while_writers_go_on()
    {
        const int streams = 500;
        await TallyHistory.Fill(database, streams, 5);
        await node.Reach(streams * 5);
        using var end = new CancellationTokenSource();
        // As the product's: pooled, prepared, never reset.
        await using var pooled = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(database.DaemonConnectionString) { NoResetOnClose = true, MaxAutoPrepare = 50, AutoPrepareMinUsages = 2, MaxPoolSize = 6 }.ConnectionString);
        var readers = Enumerable.Range(0, 3).Select(_ => Task.Run(() => Read(pooled, streams, end.Token))).ToArray();
        var writer = Task.Run(() => Write(end.Token));
        await using var line = TableLine.Before(database, "tallies_v1");
        var (reading, waits) = (new TaskCompletionSource(), new TaskCompletionSource());
        var exporting = Task.Run(() => Export(pooled, reading, waits.Task));
        await reading.Task;

        var clock = Stopwatch.StartNew();
        var told = new RebuildOptions { Step = step => Task.FromResult(step == "waiting" && waits.TrySetResult()) };
        for (var i = 0; i < 2; i++)
        {
            Assert.Equal(RebuildState.Published, (await Rebuild.Run(database.Daemon, database.DaemonConnectionString, node.Projections, "tallies", _ => { }, default, options: told)).State);
            Assert.True(waits.Task.IsCompleted, "It has not waited for the export.");
        }

        // The exchange has waited for the export, which has read every row that was there. By the database's order: the export's process may hear of its commit later.
        Assert.True(await exporting.WaitAsync(TimeSpan.FromSeconds(20)) >= streams);
        await end.CancelAsync();
        var looked = await Task.WhenAll(readers);
        Assert.All(looked, l => Assert.True(l > 10, $"{l} looks in {clock.Elapsed}"));
        // A reader waits behind the exchange no longer than the exchange may wait: 200 ms, and what a loaded machine adds.
        var (longest, times) = await line.Found();
        Assert.InRange(longest, TimeSpan.Zero, TimeSpan.FromSeconds(2));
        Assert.True(times > 10, $"{times} looks at the line in {clock.Elapsed}");
        var last = await writer;
        await node.Reach(last);
        Assert.Equal(await database.Scalar<long>("select count(distinct stream_id) from events.mt_events"), await database.Scalar<long>("select count(*) from read.tallies_v1"));
        Assert.Equal(streams * 4 + await database.Scalar<long>("select count(*) from events.mt_events where type = 'tally_raised' and seq_id > 2500"), await database.Scalar<long>("select sum(sum) from read.tallies_v1"));
    }

    [Fact]
    public async Task An_old_snapshot_that_has_not_touched_the_table_yet_finds_its_rows_in_it_whenever_it_comes()
    {
        await node.Reach(await TallyHistory.Append(database, node.Log, 20));
        var rows = await database.Scalar<long>("select count(*) from read.tallies_v1");
        await using var connection = await database.Daemon.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead);
        await Scalar(connection, "select count(*) from events.mt_events");

        var rebuilding = Rebuild.Run(database.Daemon, database.DaemonConnectionString, node.Projections, "tallies", _ => { }, default);
        await Waits("transactions that began before");

        Assert.Equal(rows, await Scalar(connection, "select count(*) from read.tallies_v1"));
        await transaction.CommitAsync();
        Assert.Equal(RebuildState.Published, (await rebuilding.WaitAsync(TimeSpan.FromSeconds(20))).State);
    }

    [Fact]
    public async Task Who_holds_the_table_is_waited_for_with_pauses_and_new_readers_get_through_meanwhile()
    {
        await node.Reach(await TallyHistory.Append(database, node.Log, 20));
        await using var connection = await database.Daemon.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        // Nothing but the lock: a reader's snapshot would be waited for before that.
        await using (var holds = new NpgsqlCommand("lock table read.tallies_v1 in access share mode", connection)) await holds.ExecuteNonQueryAsync();

        await using var line = TableLine.Before(database, "tallies_v1");
        var rebuilding = Rebuild.Run(database.Daemon, database.DaemonConnectionString, node.Projections, "tallies", _ => { }, default);
        await Waits("readers of the table");
        // The reader comes when the exchange stands in line, and so behind it.
        await TestWait.Until("the exchange stands in line", () => Task.FromResult(line.Exchanges > 0));
        await database.Scalar<long>("select count(*) from read.tallies_v1");
        Assert.InRange((await line.Found()).Longest, TimeSpan.Zero, TimeSpan.FromSeconds(2));
        // The live projection goes on too.
        await node.Reach(await node.Log.Append(TallyLog.NewStream(), new TallyOpened("meanwhile")), "tallies");
        Assert.False(rebuilding.IsCompleted);

        await transaction.CommitAsync();
        Assert.Equal(RebuildState.Published, (await rebuilding.WaitAsync(TimeSpan.FromSeconds(20))).State);
    }

    /// <summary>Looks until it is told to end. Returns how often.</summary>
    private static async Task<int> Read(NpgsqlDataSource pooled, int streams, CancellationToken until)
    {
        var (looks, seen) = (0, 0L);
        while (!until.IsCancellationRequested)
        {
            await using (var connection = await pooled.OpenConnectionAsync(CancellationToken.None))
            {
                // The position first: what the table shows is not older.
                var position = await Scalar(connection, "select last_seq_id from events.mt_event_progression where name = 'tallies:All'");
                await using var command = new NpgsqlCommand("select count(*), coalesce(max(position), 0), (select count(*) from read.tallies_v1 where tenant_id = $1) from read.tallies_v1", connection);
                command.Parameters.AddWithValue("t1");
                await using var row = await command.ExecuteReaderAsync(CancellationToken.None);
                await row.ReadAsync(CancellationToken.None);
                Assert.True(row.GetInt64(0) >= streams, $"{row.GetInt64(0)} rows of {streams}");
                Assert.True(row.GetInt64(2) >= streams / 7);
                Assert.True(row.GetInt64(1) >= position, $"The checkpoint says {position} and the table ends at {row.GetInt64(1)}.");
                Assert.True(position >= seen, $"{position} after {seen}");
                seen = position;
            }
            looks++;
            await Task.Delay(5, CancellationToken.None);
        }
        return looks;
    }

    /// <summary>Every event is one that the projection wants, so that the table's last position is its checkpoint.</summary>
    private async Task<long> Write(CancellationToken ct)
    {
        var last = 0L;
        for (var i = 0; !ct.IsCancellationRequested; i++) last = await node.Log.Append($"tally-new{i % 40}", i < 40 ? new TallyOpened("new") : new TallyRaised(1));
        return last;
    }

    /// <summary>Reads the whole table through a cursor, page by page, and takes its time. To its end, when somebody waits for it, the table is the one that it began with.</summary>
    private static async Task<long> Export(NpgsqlDataSource pooled, TaskCompletionSource reading, Task waitedFor)
    {
        const string which = "select oid::bigint from pg_class where relnamespace = 'read'::regnamespace and relname = 'tallies_v1'";
        await using var connection = await pooled.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        var table = await Scalar(connection, which);
        await using (var declare = new NpgsqlCommand("declare export no scroll cursor for select doc from read.tallies_v1", connection)) await declare.ExecuteNonQueryAsync();
        var (clock, read, page) = (Stopwatch.StartNew(), 0L, 1L);
        while (page > 0)
        {
            await using (var fetch = new NpgsqlCommand("fetch 100 from export", connection))
            await using (var row = await fetch.ExecuteReaderAsync())
                for (page = 0; await row.ReadAsync(); page++) { }
            read += page;
            reading.TrySetResult();
            if (clock.Elapsed < LongReader) await Task.Delay(LongReader / 5);
        }
        await waitedFor.WaitAsync(TimeSpan.FromSeconds(20));
        Assert.Equal(table, await Scalar(connection, which));
        await transaction.CommitAsync();
        return read;
    }

    private async Task Waits(string why)
    {
        await using var rebuilds = new Rebuilds(database.Daemon, database.DaemonConnectionString, node.Projections);
        var clock = Stopwatch.StartNew();
        while ((await rebuilds.Status("tallies", default))?.Error?.Contains(why, StringComparison.Ordinal) != true)
        {
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(20), (await rebuilds.Status("tallies", default))?.ToString());
            await Task.Delay(20);
        }
    }

    private static async Task<long> Scalar(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        return (long)(await command.ExecuteScalarAsync())!;
    }
}
