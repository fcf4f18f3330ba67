using Npgsql;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Races;

/// <summary>A lock of the test's own: whoever comes to it stands still there until this is disposed of.</summary>
internal sealed class HeldLock : IAsyncDisposable
{
    private readonly TestDatabase database;
    private readonly NpgsqlConnection connection;

    private HeldLock(TestDatabase database, NpgsqlConnection connection) => (this.database, this.connection) = (database, connection);

    /// <param name="statement">What takes the lock.</param>
    public static async Task<HeldLock> Of(TestDatabase database, string statement)
    {
        var connection = await database.Superuser.OpenConnectionAsync();
        await using (var command = new NpgsqlCommand($"begin; {statement}", connection)) await command.ExecuteNonQueryAsync();
        return new HeldLock(database, connection);
    }

    /// <summary>Waits until somebody stands there.</summary>
    /// <param name="asking">What cannot be answered before.</param>
    public Task<TimeSpan> Waited(string step, TimeSpan within, Task<Reply>? asking = null) => Burst.Until($"somebody waits {step}", within, async () =>
        asking is { IsCompleted: true } ? throw new InvalidOperationException($"{step}: {(await asking).Status}")
        : await database.Scalar<long>($"select count(*) from pg_stat_activity where {Waits}") > 0);

    /// <summary>
    /// Ends the sessions that stand there, and waits until they are gone. PostgreSQL does not notice that a client was killed before the statement is through: else
    /// what was held up would be done once the lock is let go.
    /// </summary>
    public Task EndWaiting() => End(database, Waits);

    // A closed connection's transaction is over.
    public ValueTask DisposeAsync() => connection.DisposeAsync();

    /// <summary>Ends the sessions of which this is so, and waits until they are gone.</summary>
    internal static async Task End(TestDatabase database, string which)
    {
        var sessions = string.Join(',', await database.Scalar<int[]>(
            $"select coalesce(array_agg(pid), '{{}}') from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and ({which})"));
        await database.Run($"select pg_terminate_backend(pid) from unnest('{{{sessions}}}'::int[]) pid");
        await Burst.Until("they are gone", TimeSpan.FromSeconds(20), async () => await database.Scalar<long>($"select count(*) from pg_stat_activity where pid = any ('{{{sessions}}}'::int[])") == 0);
    }

    private string Waits => $"{connection.ProcessID} = any (pg_blocking_pids(pid))";
}
