using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>
/// The events that an operator had a version of a projection pass over. They stand in the log, in the projection's stream of orders, and are read from there
/// by whoever folds: the daemon, a retry, a rebuild. So all of them come to the same rows.
/// </summary>
internal static class Skips
{
    /// <summary>For each progression name the positions that its folds pass over.</summary>
    public static async Task<IReadOnlyDictionary<string, IReadOnlySet<long>>> Read(NpgsqlDataSource daemon, IEnumerable<Projection> projections, CancellationToken ct)
    {
        await using var connection = await daemon.OpenConnectionAsync(ct);
        return await Read(connection, projections, ct);
    }

    /// <summary>The same within the caller's transaction.</summary>
    public static async Task<IReadOnlyDictionary<string, IReadOnlySet<long>>> Read(NpgsqlConnection connection, IEnumerable<Projection> projections, CancellationToken ct)
    {
        var all = projections.ToArray();
        await using var command = new NpgsqlCommand($"""
            select n.progression, (e.data->>'position')::bigint
            from unnest($1::varchar[], $2::varchar[], $3::int[]) n (progression, stream, version)
            join events.mt_events e on e.tenant_id = '{Projection.PlatformTenant}' and e.stream_id = n.stream and e.type = $4 and (e.data->>'version')::int = n.version
            """, connection);
        command.AddArray(all.Select(p => p.ProgressionName).ToArray(), NpgsqlDbType.Varchar);
        command.AddArray(all.Select(Orders.StreamOf).ToArray(), NpgsqlDbType.Varchar);
        command.AddArray(all.Select(p => p.Version).ToArray(), NpgsqlDbType.Integer);
        command.Add(Orders.Skipped);
        var skips = all.ToDictionary(p => p.ProgressionName, _ => new HashSet<long>());
        await using var reader = await command.ExecuteReaderAsync(ct);
        while (await reader.ReadAsync(ct)) skips[reader.GetString(0)].Add(reader.GetInt64(1));
        return skips.ToDictionary(s => s.Key, IReadOnlySet<long> (s) => s.Value);
    }
}
