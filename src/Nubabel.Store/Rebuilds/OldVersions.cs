using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Nubabel.Store;

/// <summary>
/// Takes away the tables of versions that no living node announces any more, when the version of this build has been whole and the other one unknown for a while:
/// a deploy that is taken back still finds its tables.
/// </summary>
internal sealed class OldVersions(NpgsqlDataSource daemon, ProjectionSet projections, TimeSpan keep, ILogger log)
{
    private readonly Dictionary<string, long> unknownSince = [];

    public async Task Drop(CancellationToken ct)
    {
        var unknown = await Unknown(ct);
        foreach (var gone in unknownSince.Keys.Where(name => unknown.All(u => u.Progression != name)).ToArray()) unknownSince.Remove(gone);
        foreach (var (progression, version, projection) in unknown)
        {
            unknownSince.TryAdd(progression, Stopwatch.GetTimestamp());
            if (Stopwatch.GetElapsedTime(unknownSince[progression]) < keep) continue;
            await Drop(progression, version, projection, ct);
        }
    }

    private static string IsUnknown(string progression) => $"not exists (select from nubabel.nodes n where {Nodes.IsThere} and {progression} = any(n.progressions))";

    private async Task<List<(string Progression, int Version, Projection Projection)>> Unknown(CancellationToken ct)
    {
        await using var command = daemon.CreateCommand($"""
            select p.name, split_part(p.name, ':', 1), coalesce(substring(p.name from ':V([0-9]+):')::integer, 1) from events.mt_event_progression p
            where p.name ~ '^[a-z][a-z0-9_]*:(V[0-9]+:)?All$' and {IsUnknown("p.name")}
            """);
        await using var row = await command.ExecuteReaderAsync(ct);
        var found = new List<(string, int, Projection)>();
        while (await row.ReadAsync(ct))
            if (projections.Find(row.GetString(1)) is { } projection && projection.ProgressionName != row.GetString(0)) found.Add((row.GetString(0), row.GetInt32(2), projection));
        return found;
    }

    private async Task Drop(string progression, int version, Projection projection, CancellationToken ct)
    {
        await using var connection = await daemon.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        try
        {
            await using var batch = new NpgsqlBatch(connection);
            batch.BatchCommands.Add(new NpgsqlBatchCommand("set local lock_timeout = 200"));
            // The checkpoint first: a node that has come back and feeds it is fenced, and looked for once more.
            var checkpoint = new NpgsqlBatchCommand($"delete from events.mt_event_progression p where p.name = $1 and {IsUnknown("p.name")}");
            checkpoint.Add(progression);
            batch.BatchCommands.Add(checkpoint);
            var drop = new NpgsqlBatchCommand("select nubabel.version_drop($1, $2, $3) where not exists (select from events.mt_event_progression p where p.name = $4)");
            drop.Add(projection.ReadModel);
            drop.Add(version);
            drop.Add(projection.ProgressionName);
            drop.Add(progression);
            batch.BatchCommands.Add(drop);
            var parked = new NpgsqlBatchCommand("delete from nubabel.parked where name = any(array[$1, $1 || ':rebuild']) and version = $2");
            parked.Add(projection.ReadModel);
            parked.Add(version);
            batch.BatchCommands.Add(parked);
            var rebuild = new NpgsqlBatchCommand("delete from nubabel.rebuilds where progression = $1");
            rebuild.Add(progression);
            batch.BatchCommands.Add(rebuild);
            bool dropped;
            await using (var reader = await batch.ExecuteReaderAsync(ct)) dropped = await reader.ReadAsync(ct) && reader.GetBoolean(0);
            if (!dropped) return;
            await transaction.CommitAsync(ct);
            log.LogInformation("No node knows {Progression} any more; its table is gone.", progression);
        }
        catch (PostgresException busy) when (busy.SqlState == PostgresErrorCodes.LockNotAvailable)
        {
            // Somebody reads it still; the next round tries again.
        }
    }
}
