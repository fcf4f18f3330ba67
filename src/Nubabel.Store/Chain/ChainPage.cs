using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>Where a tenant's chain ends.</summary>
/// <param name="SignedEntries">How many entries a checkpoint covers.</param>
internal sealed record ChainHead(string Tenant, long Entries, long Position, byte[] Link, long SignedEntries)
{
    /// <summary>What a checkpoint says of it.</summary>
    public Checkpoint Signed(string issuer, DateTimeOffset now) => new(issuer, Tenant, Entries, Position, Link, now.ToUnixTimeSeconds());

    /// <summary>The heads of these tenants, the seeds of those that have no entry yet, and the database's time.</summary>
    public static async Task<(Dictionary<string, ChainHead> Heads, DateTimeOffset Now)> Read(NpgsqlConnection connection, string[] tenants, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand("""
            select t, h.entries, h.position, h.link, coalesce(h.signed, (select max(c.entries) from nubabel.audit_checkpoints c where c.tenant_id = t), 0), clock_timestamp()
            from unnest($1::varchar[]) t left join nubabel.audit_heads h on h.tenant_id = t
            """, connection);
        command.AddArray(tenants, NpgsqlDbType.Varchar);
        var heads = new Dictionary<string, ChainHead>(StringComparer.Ordinal);
        var now = DateTimeOffset.UnixEpoch;
        await using var reader = await command.ExecuteReaderAsync(ct);
        while (await reader.ReadAsync(ct))
        {
            var tenant = reader.GetString(0);
            heads[tenant] = reader.IsDBNull(1)
                ? new ChainHead(tenant, 0, 0, ChainDigest.Seed(tenant), reader.GetInt64(4))
                : new ChainHead(tenant, reader.GetInt64(1), reader.GetInt64(2), reader.GetFieldValue<byte[]>(3), reader.GetInt64(4));
            now = reader.GetFieldValue<DateTimeOffset>(5);
        }
        return (heads, now);
    }
}

/// <summary>A tenant's events of one page, chained behind its head.</summary>
internal sealed class ChainPage
{
    private readonly ChainHead before;
    private readonly IReadOnlyList<LoggedEvent> events;
    private readonly byte[] digests;
    private readonly byte[][] links;

    public ChainPage(ChainHead before, IReadOnlyList<LoggedEvent> events)
    {
        (this.before, this.events) = (before, events);
        digests = new byte[events.Count * ChainDigest.Size];
        links = new byte[events.Count][];
        var link = before.Link;
        for (var i = 0; i < events.Count; i++)
        {
            var digest = ChainDigest.Of(events[i]);
            digest.CopyTo(digests, i * ChainDigest.Size);
            links[i] = link = ChainDigest.Link(link, digest);
        }
    }

    /// <summary>A checkpoint behind each entry that makes so many unsigned ones. What was signed before the chain was made anew is not signed again.</summary>
    public IEnumerable<Checkpoint> Checkpoints(string issuer, int every, DateTimeOffset now)
    {
        var signed = before.SignedEntries;
        for (var i = 0; i < events.Count; i++)
        {
            var number = before.Entries + i + 1;
            if (number - signed < every) continue;
            signed = number;
            yield return new Checkpoint(issuer, before.Tenant, number, events[i].Position, links[i], now.ToUnixTimeSeconds());
        }
    }

    public void AddWrites(NpgsqlBatch batch)
    {
        var row = new NpgsqlBatchCommand("insert into nubabel.audit_chain (tenant_id, first, last_position, positions, ids, digests, link) values ($1, $2, $3, $4, $5, $6, $7)");
        row.Add(before.Tenant);
        row.Add(before.Entries + 1);
        row.Add(events[^1].Position);
        row.AddArray(events.Select(e => e.Position).ToArray(), NpgsqlDbType.Bigint);
        row.AddArray(events.Select(e => e.Id).ToArray(), NpgsqlDbType.Uuid);
        row.Add(digests);
        row.Add(links[^1]);
        batch.BatchCommands.Add(row);
        var head = new NpgsqlBatchCommand("""
            insert into nubabel.audit_heads as h (tenant_id, entries, position, link, signed) values ($1, $2, $3, $4, $5)
            on conflict (tenant_id) do update set entries = excluded.entries, position = excluded.position, link = excluded.link,
              since = case when h.entries > h.signed then h.since else clock_timestamp() end
            """);
        head.Add(before.Tenant);
        head.Add(before.Entries + events.Count);
        head.Add(events[^1].Position);
        head.Add(links[^1]);
        head.Add(before.SignedEntries);
        batch.BatchCommands.Add(head);
    }
}
