namespace Nubabel.Store.Tests;

/// <summary>
/// How long anybody stands in line for a table, looked at again and again on the server: the clock of whoever waits would also show whatever else holds up its
/// process, and a wait that is over at the moment is not counted on.
/// </summary>
internal sealed class TableLine : IAsyncDisposable
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(20);

    private readonly CancellationTokenSource until = new();
    private readonly Task looking;
    private TimeSpan longest;
    private int looks, exchanges;

    private TableLine(EngineDatabase database, string table) => looking = Task.Run(() => Look(database, table));

    /// <summary>How often somebody who wants the table for itself was found in line.</summary>
    public int Exchanges => Volatile.Read(ref exchanges);

    public static TableLine Before(EngineDatabase database, string table) => new(database, table);

    /// <summary>Ends the looking, and says what it found.</summary>
    public async Task<(TimeSpan Longest, int Looks)> Found()
    {
        await until.CancelAsync();
        await looking;
        return (longest, looks);
    }

    public async ValueTask DisposeAsync()
    {
        await Found();
        until.Dispose();
    }

    private async Task Look(EngineDatabase database, string table)
    {
        // The statement's time is from before the look at the locks: whatever holds up the looking makes no wait longer.
        var sql = $"""
            select coalesce(max(statement_timestamp() - l.waitstart), interval '0'), count(*) filter (where l.mode = 'AccessExclusiveLock')
              from pg_locks l join pg_class c on c.oid = l.relation
             where l.locktype = 'relation' and not l.granted and l.database = (select oid from pg_database where datname = current_database())
               and c.relnamespace = 'read'::regnamespace and c.relname = '{table}'
            """;
        await using var connection = await database.Daemon.OpenConnectionAsync();
        while (!until.IsCancellationRequested)
        {
            await using (var command = new Npgsql.NpgsqlCommand(sql, connection))
            await using (var row = await command.ExecuteReaderAsync())
            {
                await row.ReadAsync();
                if (row.GetTimeSpan(0) is var waits && waits > longest) longest = waits;
                if (row.GetInt64(1) > 0) Interlocked.Increment(ref exchanges);
            }
            looks++;
            await Task.Delay(Pause, until.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }
}
