using Npgsql;

namespace Nubabel.Store;

/// <summary>
/// Writes across tenants, with the daemon login, what nodes keep beside the log. Only ever what no request says the content of; no tenant's route may name
/// it, and a test sees to that.
/// </summary>
public sealed class PlatformWriter(Database database)
{
    /// <summary>Runs the statements together or not at all, and says how many rows they touched.</summary>
    public async Task<int> Run(IReadOnlyList<Sql> statements, CancellationToken ct)
    {
        await using var batch = database.Daemon.CreateBatch();
        foreach (var statement in statements) batch.BatchCommands.Add(statement.ToBatchCommand());
        return await batch.ExecuteNonQueryAsync(ct);
    }
}
