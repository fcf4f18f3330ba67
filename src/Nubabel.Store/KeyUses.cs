using Npgsql;

namespace Nubabel.Store;

/// <summary>When API keys were last used.</summary>
public static class KeyUses
{
    /// <summary>
    /// Writes uses of any tenants' keys, in one statement; with the daemon login, since no tenant's request asks for it. A time never goes back,
    /// in whatever order nodes write.
    /// </summary>
    public static async Task Write(NpgsqlDataSource daemon, IReadOnlyCollection<(string Tenant, Guid Key, DateTimeOffset At)> uses, CancellationToken ct)
    {
        await using var batch = daemon.CreateBatch();
        // In one order everywhere, so that nodes that write the same keys wait for each other instead of locking up.
        batch.BatchCommands.Add(Sql.Of($"""
            insert into nubabel.key_uses as u (tenant_id, key_id, last_used)
            select * from unnest({uses.Select(use => use.Tenant).ToArray()}::varchar[], {uses.Select(use => use.Key).ToArray()}, {uses.Select(use => use.At.UtcDateTime).ToArray()}) order by 1, 2
            on conflict (tenant_id, key_id) do update set last_used = excluded.last_used where u.last_used < excluded.last_used
            """).ToBatchCommand());
        await batch.ExecuteNonQueryAsync(ct);
    }

    /// <summary>When a key of the reader's tenant was last used; null for never.</summary>
    public static async Task<DateTimeOffset?> Last(Reader db, Guid key, CancellationToken ct)
    {
        var found = await db.Query($"select last_used from nubabel.key_uses where tenant_id = {db.Tenant} and key_id = {key}", row => new DateTimeOffset(row.GetDateTime(0), TimeSpan.Zero), ct);
        return found.Count == 0 ? null : found[0];
    }
}
