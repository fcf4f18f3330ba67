using Npgsql;

namespace Nubabel.Store;

/// <summary>The sealed values of a database have no keys at all; the message says what to do.</summary>
public sealed class KeysMissing(string message) : Exception(message);

/// <summary>
/// Looks for subjects whose sealed values stand in the log and who have no row of a key: the data was restored, and the keys were not. A server that went on would make
/// new keys for them, and the old ones would find their places taken.
/// </summary>
public static class MissingKeys
{
    private const string Found = """
        select distinct e.tenant_id, v #>> '{s}' as subject from events.mt_events e
         cross join lateral (select jsonb_path_query(e.data, '$.** ? (exists (@."$p"))') as v union all select jsonb_path_query(e.headers, '$.** ? (exists (@."$p"))')) p
         where v #>> '{s}' <> ''
        """;

    /// <exception cref="KeysMissing">There is no row of a key, and there are sealed values.</exception>
    public static async Task Refuse(NpgsqlDataSource daemon, CancellationToken ct)
    {
        // The second question only where the first says so, and it ends at the first sealed value.
        await using var command = daemon.CreateCommand("""
            select case when exists (select from nubabel.subject_keys) then false
              else exists (select from events.mt_events where data::text like '%"$p"%' or headers::text like '%"$p"%') end
            """);
        if (await command.ExecuteScalarAsync(ct) is true)
            throw new KeysMissing("This database holds sealed personal values, and nubabel.subject_keys is empty: the data was restored without its keys. Bring them in by nubabel subject-keys import, or, where they are lost, say so by nubabel subject-keys check --erase-missing.");
    }

    /// <summary>All of them. Reads the whole log.</summary>
    public static async Task<IReadOnlyList<(string Tenant, string Subject)>> Read(NpgsqlDataSource daemon, CancellationToken ct)
    {
        await using var connection = await daemon.OpenConnectionAsync(ct);
        await using var command = new NpgsqlCommand($"""
            set local statement_timeout = 0;
            select f.tenant_id, f.subject from ({Found}) f
             where not exists (select from nubabel.subject_keys k where k.tenant_id = f.tenant_id and k.subject = f.subject) order by 1, 2
            """, connection) { CommandTimeout = 0 };
        // The setting counts in this transaction alone.
        await using var transaction = await connection.BeginTransactionAsync(ct);
        var missing = new List<(string, string)>();
        await using var reader = await command.ExecuteReaderAsync(ct);
        while (await reader.ReadAsync(ct)) missing.Add((reader.GetString(0), reader.GetString(1)));
        return missing;
    }
}
