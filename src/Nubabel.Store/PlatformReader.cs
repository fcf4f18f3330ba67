using Npgsql;

namespace Nubabel.Store;

/// <summary>
/// Reads across tenants with the daemon login, which row-level security does not bind. For operators and for what every node keeps about all
/// tenants; no tenant's route may name it, and a test sees to that.
/// </summary>
public sealed class PlatformReader(Database database)
{
    /// <summary>The rows of a statement that an index has in the order in which they are wanted.</summary>
    internal Task<IReadOnlyList<T>> QueryInOrder<T>(Sql statement, Func<NpgsqlDataReader, T> map, CancellationToken ct) => Again.Ask<IReadOnlyList<T>>(async () =>
    {
        await using var batch = database.Daemon.CreateBatch();
        batch.BatchCommands.Add(Sql.Of($"select {Plans.InOrder}").ToBatchCommand());
        batch.BatchCommands.Add(statement.ToBatchCommand());
        await using var reader = await batch.ExecuteReaderAsync(ct);
        await reader.NextResultAsync(ct);
        var rows = new List<T>();
        while (await reader.ReadAsync(ct)) rows.Add(map(reader));
        return rows;
    });

    /// <summary>The rows of several statements, in one round trip and in their order, mapped one by one.</summary>
    public Task<IReadOnlyList<IReadOnlyList<T>>> Query<T>(IReadOnlyList<Sql> statements, Func<NpgsqlDataReader, T> map, CancellationToken ct) => Again.Ask<IReadOnlyList<IReadOnlyList<T>>>(async () =>
    {
        await using var batch = database.Daemon.CreateBatch();
        foreach (var statement in statements) batch.BatchCommands.Add(statement.ToBatchCommand());
        await using var reader = await batch.ExecuteReaderAsync(ct);
        var results = new List<IReadOnlyList<T>>(statements.Count);
        do
        {
            var rows = new List<T>();
            while (await reader.ReadAsync(ct)) rows.Add(map(reader));
            results.Add(rows);
        }
        while (await reader.NextResultAsync(ct));
        return results;
    });
}
