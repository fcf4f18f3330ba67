using Npgsql;
using Nubabel.Testing;

namespace Nubabel.Store.Tests;

/// <summary>Commits of the tests' vocabulary through a coalescer, and sessions that stand in their way.</summary>
internal static class Committing
{
    public static AppendItem Item(string tenant, IdempotencyRecord? once, params StreamAppend[] appends) =>
        new(Tally.Types, new Envelope(tenant, "system:test", "request", null, null, Tally.Now()), appends, once);

    public static Task<Appended> Commit(this Coalescer node, string tenant, params StreamAppend[] appends) => node.Commit(Item(tenant, null, appends), default);

    /// <summary>So long the first one waits for its lock: however late the others come, it is still under way, and they share what comes next.</summary>
    public static readonly TimeSpan BehindAnotherWait = TimeSpan.FromSeconds(20);

    /// <summary>Commits that come while another one is under way, which a lock holds up until all of them are there.</summary>
    /// <param name="node">Lets a commit wait for <see cref="BehindAnotherWait"/>.</param>
    public static async Task<Appended[]> BehindAnother(this Coalescer node, TestDatabase database, Func<IEnumerable<Task<Appended>>> commits)
    {
        Task<Appended>[] others = [];
        await node.BeginBehindAnother(database, () => others = [.. commits()]);
        return await Task.WhenAll(others);
    }

    /// <summary>The same, for who waits for them otherwise. Returns when the one before them is written.</summary>
    /// <param name="commits">Begins them.</param>
    public static async Task BeginBehindAnother(this Coalescer node, TestDatabase database, Action commits)
    {
        var (tenant, held) = (Tally.Tenant(), Tally.Stream());
        Task<Appended> first;
        await using (await Holding.OfNew(database, tenant, held))
        {
            first = node.Commit(tenant, Tally.On(held, 0, new Counted(0)));
            commits();
        }
        Assert.IsType<Appended.Done>(await first);
    }

    /// <summary>Until it is so, or the test has waited long enough to be wrong.</summary>
    public static async Task Until(Func<Task<bool>> so)
    {
        using var bound = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (!await so()) await Task.Delay(10, bound.Token);
    }

    /// <summary>Until so many sessions of a database wait for a lock.</summary>
    public static Task UntilWaiting(this TestDatabase database, int sessions = 1) => Until(async () => await database.Scalar<long>(
        $"select count(*) from pg_stat_activity where datname = '{database.Name}' and wait_event_type = 'Lock'") >= sessions);
}

/// <summary>A session with an open transaction that holds what its statement has locked.</summary>
internal sealed class Holding : IAsyncDisposable
{
    private readonly NpgsqlConnection connection;
    private readonly NpgsqlTransaction transaction;

    private Holding(NpgsqlConnection connection, NpgsqlTransaction transaction) => (this.connection, this.transaction) = (connection, transaction);

    /// <summary>Holds a stream's row.</summary>
    public static Task<Holding> OfRow(TestDatabase database, string stream) => Of(database, $"select from events.mt_streams where id = '{stream}' for update");

    /// <summary>Has begun to make the stream, and has not said how it ends.</summary>
    public static Task<Holding> OfNew(TestDatabase database, string tenant, string stream) =>
        Of(database, $"insert into events.mt_streams (tenant_id, id, version) values ('{tenant}', '{stream}', 1)");

    public static async Task<Holding> Of(TestDatabase database, string sql)
    {
        var connection = await database.Superuser.OpenConnectionAsync();
        var transaction = await connection.BeginTransactionAsync();
        await using var command = new NpgsqlCommand(sql, connection, transaction);
        await command.ExecuteNonQueryAsync();
        return new Holding(connection, transaction);
    }

    public Task Commit() => transaction.CommitAsync();

    public async ValueTask DisposeAsync()
    {
        await transaction.DisposeAsync();
        await connection.DisposeAsync();
    }
}
