using System.Globalization;
using Nubabel.Store;

namespace Nubabel.Projections.Audit;

/// <summary>An event of a proof, as it is stored, in the parts that are digested and in their order.</summary>
/// <param name="At">Microseconds since 1970.</param>
/// <param name="Data">The JSON as PostgreSQL writes it; null where it holds what nobody reads, a hash of a password for one: <paramref name="Withheld"/> is true then.</param>
public sealed record ProvenEvent(
    long Position, Guid Id, string Tenant, string? Stream, long Version, string Type, long At, string? Actor, string? Data, string? Headers, bool Withheld);

/// <summary>How far an organization's chain is, and what of it is signed.</summary>
/// <param name="Entries">Chained so far.</param>
/// <param name="Position">Of the last of them.</param>
/// <param name="Link">Behind it.</param>
/// <param name="Checkpoint">The last signed statement; null while there is none.</param>
public sealed record ChainState(long Entries, long Position, string? Link, KeptCheckpoint? Checkpoint);

/// <summary>That an event was in the log when a checkpoint was signed.</summary>
/// <param name="Entry">Its number among the organization's.</param>
/// <param name="Before">The link before it, in hexadecimal digits, as are the others.</param>
/// <param name="Digests">Its digest and those behind it, up to the checkpoint; without one up to the chain's end.</param>
/// <param name="Link">Behind the last of them.</param>
/// <param name="Checkpoint">The signed statement; null while none covers the entry.</param>
public sealed record ChainProof(long Entry, ProvenEvent? Event, string Before, IReadOnlyList<string> Digests, string Link, string? Checkpoint)
{
    /// <summary>Null where the organization has no chained event at the position.</summary>
    public static async Task<ChainProof?> Of(Reader db, long position, CancellationToken ct)
    {
        var found = await db.Query($"""
            select c.first, c.positions, c.digests, (select b.link from nubabel.audit_chain b where b.tenant_id = c.tenant_id and b.first < c.first order by b.first desc limit 1)
              from nubabel.audit_chain c where c.tenant_id = {db.Tenant} and c.last_position >= {position} order by c.last_position limit 1
            """, row => (First: row.GetInt64(0), Positions: row.GetFieldValue<long[]>(1), Digests: row.GetFieldValue<byte[]>(2), Before: row.IsDBNull(3) ? null : row.GetFieldValue<byte[]>(3)), ct);
        if (found is not [var page] || Array.IndexOf(page.Positions, position) is var at && at < 0) return null;
        var entry = page.First + at;
        var signed = await db.Query($"select entries, statement from nubabel.audit_checkpoints where tenant_id = {db.Tenant} and entries >= {entry} order by entries limit 1",
            row => (Entries: row.GetInt64(0), Statement: row.GetString(1)), ct);
        var upTo = signed is [var one] ? one.Entries : long.MaxValue;
        var rest = await db.Query($"select digests from nubabel.audit_chain where tenant_id = {db.Tenant} and first > {page.First} and first <= {upTo} order by first", row => row.GetFieldValue<byte[]>(0), ct);

        var link = page.Before ?? ChainDigest.Seed(db.Tenant);
        var digests = Split(page.Digests).Concat(rest.SelectMany(Split)).ToArray();
        for (var i = 0; i < at; i++) link = ChainDigest.Link(link, digests[i]);
        var (before, wanted) = (link, digests[at..(int)Math.Min(digests.Length, upTo - page.First + 1)]);
        foreach (var digest in wanted) link = ChainDigest.Link(link, digest);
        return new ChainProof(entry, await Proven(db, position, ct), Hex(before), [.. wanted.Select(Hex)], Hex(link), signed is [var (_, statement)] ? statement : null);
    }

    /// <summary>How far the organization's chain is.</summary>
    public static async Task<ChainState> State(Reader db, CancellationToken ct)
    {
        var last = await db.Query($"""
            select first + cardinality(positions) - 1, last_position, link from nubabel.audit_chain where tenant_id = {db.Tenant} order by first desc limit 1
            """, row => (Entries: row.GetInt64(0), Position: row.GetInt64(1), Link: Hex(row.GetFieldValue<byte[]>(2))), ct);
        var signed = await db.Query($"select entries, position, created, statement from nubabel.audit_checkpoints where tenant_id = {db.Tenant} order by entries desc limit 1",
            row => new KeptCheckpoint(row.GetInt64(0), row.GetInt64(1), row.GetFieldValue<DateTimeOffset>(2), row.GetString(3)), ct);
        return last is [var (entries, position, link)] ? new ChainState(entries, position, link, signed.Count > 0 ? signed[0] : null) : new ChainState(0, 0, null, signed.Count > 0 ? signed[0] : null);
    }

    /// <summary>A page of the organization's checkpoints, the oldest first; one more than <paramref name="limit"/> where there are more.</summary>
    public static Task<IReadOnlyList<KeptCheckpoint>> Checkpoints(Reader db, IReadOnlyList<string>? after, int limit, CancellationToken ct)
    {
        var behind = after is [var entries] ? long.Parse(entries, CultureInfo.InvariantCulture) : 0;
        return db.Query($"select entries, position, created, statement from nubabel.audit_checkpoints where tenant_id = {db.Tenant} and entries > {behind} order by entries limit {limit + 1}",
            row => new KeptCheckpoint(row.GetInt64(0), row.GetInt64(1), row.GetFieldValue<DateTimeOffset>(2), row.GetString(3)), ct);
    }

    private static async Task<ProvenEvent?> Proven(Reader db, long position, CancellationToken ct)
    {
        var found = await db.Query($"""
            select seq_id, id, tenant_id, stream_id, version, type, timestamp, user_name, data::text, headers::text from events.mt_events where tenant_id = {db.Tenant} and seq_id = {position}
            """, row => new ProvenEvent(row.GetInt64(0), row.GetGuid(1), row.GetString(2), Text(row, 3), row.GetInt64(4), row.GetString(5), ChainDigest.Microseconds(row.GetDateTime(6)),
                Text(row, 7), row.GetString(8), Text(row, 9), false), ct);
        return found is not [var e] ? null : AuditTrail.Hidden.Any(h => e.Data!.Contains($"\"{h}\"", StringComparison.Ordinal)) ? e with { Data = null, Withheld = true } : e;
    }

    private static string? Text(Npgsql.NpgsqlDataReader row, int column) => row.IsDBNull(column) ? null : row.GetString(column);

    private static IEnumerable<byte[]> Split(byte[] digests) => digests.Chunk(ChainDigest.Size);

    private static string Hex(byte[] bytes) => Convert.ToHexStringLower(bytes);
}
