using Npgsql;

namespace Nubabel.Store;

/// <summary>
/// Writes what is kept for one tenant beside the log, with the api login, so that row-level security stands behind every statement. Each call is one round
/// trip and one transaction.
/// </summary>
public sealed class TenantRows(Database database, string tenant)
{
    /// <summary>The tenant that every statement must name.</summary>
    public string Tenant => tenant;

    /// <summary>Runs a statement and maps the rows that it returns.</summary>
    public async Task<IReadOnlyList<T>> Write<T>(Sql sql, Func<NpgsqlDataReader, T> map, CancellationToken ct)
    {
        await using var batch = database.Api.CreateBatch();
        batch.BatchCommands.Add(Append.Tenant(tenant));
        batch.BatchCommands.Add(sql.ToBatchCommand());
        await using var reader = await batch.ExecuteReaderAsync(ct);
        await reader.NextResultAsync(ct);
        var rows = new List<T>();
        while (await reader.ReadAsync(ct)) rows.Add(map(reader));
        return rows;
    }

    /// <summary>Runs a statement that returns nothing.</summary>
    public Task Write(Sql sql, CancellationToken ct) => Write(sql, _ => 0, ct);
}
