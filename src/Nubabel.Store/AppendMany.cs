using Npgsql;

namespace Nubabel.Store;

/// <summary>
/// The statement of many streams, of any tenants, with their claims and idempotency records. A refusal is a row that does not come back; nothing of a refused
/// item has been written by then. Locks are taken in one order on every path: rows of streams that exist, then idempotency records, then claims, then rows
/// of new streams, each in the order of (tenant, key). Tables are reached by one-row subqueries, which leave the planner nothing to choose.
/// </summary>
internal static class AppendMany
{
    /// <summary>
    /// What a statement has to be able to do. Each costs PostgreSQL some time even where there is nothing to do for it, so each combination is a statement of
    /// its own, prepared when it is first used.
    /// </summary>
    [Flags]
    private enum Parts
    {
        None = 0,

        /// <summary>Waits for locked rows. Otherwise whoever would have to wait is left out, so that nobody holds up the others.</summary>
        Waits = 1,

        /// <summary>All streams or none: they are of one commit.</summary>
        Together = 2,

        /// <summary>Some streams may exist.</summary>
        Existing = 4,
        Claims = 8,
        Records = 16,
        Releases = 32,

        /// <summary>A refusal raises: something else in the transaction is to be taken back with it.</summary>
        Strict = 64,
    }

    private static readonly string?[] Texts = new string?[128];

    // i: the streams of the statement in lock order, each with the version that this snapshot sees. l: those that exist, locked, and looked at again behind
    // the lock. f: what may be written. Only what is missing in this snapshot is inserted, so that a refusal is found before anything is written. What
    // somebody else inserts meanwhile breaks the statement by its unique index: an insert that is ready for a conflict costs half as much again. Only a record
    // is ready for one, since PostgreSQL would write its key, a client's words, into its own log; it is missed by the count at the end. A stream also counts as
    // missing where its row stands at version 0, as a foreign writer may leave it. The counts between make each insert wait for the one before it.
    private static string Text(Parts parts)
    {
        bool existing = parts.HasFlag(Parts.Existing), claims = parts.HasFlag(Parts.Claims), records = parts.HasFlag(Parts.Records), together = parts.HasFlag(Parts.Together), strict = parts.HasFlag(Parts.Strict);
        var (record, release) = claims ? (20, 20) : (17, 17);
        if (records) release += 10;
        var handed = together && claims && parts.HasFlag(Parts.Releases);
        var free = $"""{(claims ? "and i.n not in (select item from t where holder <> stream and not handed)" : "")} {(records ? "and i.n not in (select item from q where known)" : "")}""";
        return $"""
            with i as materialized (
              select u.*, (select coalesce(m.version, 0) from events.mt_streams m where m.tenant_id = u.tenant and m.id = u.stream) as seen
                from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9) with ordinality u (tenant, stream, kind, expected, count, at, actor, correlation, causation, n)),
            {(existing ? Locked(parts.HasFlag(Parts.Waits)) : "")}
            {(claims ? Wanted(handed ? release : 0) : "")}
            {(records ? Known(record) : "")}
            {(together ? "g" : "f")} as materialized (
              {(existing ? "select i.*, l.version as base from i left join l on l.n = i.n where (l.n is not null or i.expected <= 0 and i.seen is null)" : "select i.*, null::bigint as base from i where i.seen is null")} {free}),
            {(together ? "f as materialized (select * from g where (select count(*) from g) = cardinality($1))," : "")}
            {(records ? Kept : "")}
            {(claims ? Taken(records) : "")}
            {(handed ? HandedOver : "")}
            m as (
              insert into events.mt_streams (tenant_id, id, type, version, timestamp, created)
              select tenant, stream, kind, count, at, at from f where base is null {(handed ? "and (select count(*) from h) >= 0" : claims ? "and (select count(*) from c) >= 0" : records ? "and (select count(*) from r) >= 0" : "")} order by n
              returning tenant_id, id, version),
            {(existing ? Moved : "")}
            w as materialized (select f.*, s.version from (select * from m {(existing ? "union all select * from x" : "")}) s join f on f.tenant = s.tenant_id and f.stream = s.id),
            e as (
              insert into events.mt_events (seq_id, id, stream_id, version, data, type, timestamp, tenant_id, mt_dotnet_type, correlation_id, causation_id, headers, user_name)
              select nextval('events.mt_events_sequence'), y.* from (
                select u.id, w.stream, w.version - u.rest, u.data::jsonb, u.type, w.at, w.tenant, u.dotnet, w.correlation, w.causation, u.headers::jsonb, w.actor
                  from unnest($10, $11, $12, $13, $14, $15, $16) with ordinality u (item, rest, id, data, type, dotnet, headers, n) join w on w.n = u.item order by u.n) y
              returning seq_id)
            select (select array_agg(n order by n) from w), (select array_agg(version order by n) from w), (select array_agg(seq_id order by seq_id) from e)
            {(records || strict ? Complete(records, strict) : "")}
            {(parts.HasFlag(Parts.Releases) ? $", (select count(nubabel.release(w.tenant, u.scope, u.value, w.stream)) from unnest(${release}, ${release + 1}, ${release + 2}) u (item, scope, value) join w on w.n = u.item)" : "")}
            """;
    }

    private static string Locked(bool waits) => $"""
        l as materialized (
          select i.n, m.version from i, lateral (
            select coalesce(version, 0) as version from events.mt_streams m
             where m.tenant_id = i.tenant and m.id = i.stream and (coalesce(m.version, 0) = i.expected or i.expected = -1) and m.is_archived is not true for update {(waits ? "" : "skip locked")}) m
           where i.seen = i.expected or i.expected = -1 and i.seen is not null),
        """;

    // The row is locked by now, so writing it by its key neither waits nor inserts.
    private const string Moved = """
        x as (
          insert into events.mt_streams as o (tenant_id, id, type, version, timestamp, created)
          select tenant, stream, kind, base + count, at, at from f where base is not null order by n
          on conflict (tenant_id, id) do update set type = coalesce(o.type, excluded.type), version = excluded.version, timestamp = excluded.timestamp returning o.tenant_id, o.id, o.version),
        """;

    /// <summary>The claims that are wanted, with who holds them. Within one commit a stream may take what another gives up.</summary>
    private static string Wanted(int release) => $"""
        t as materialized (
          select y.*, {(release == 0 ? "false" : $"exists (select from unnest(${release}, ${release + 1}, ${release + 2}) r (item, scope, value) join i o on o.n = r.item where r.scope = y.scope and r.value = y.value and o.stream = y.holder)")} as handed from (
            select u.*, i.tenant, i.stream, (select h.stream_id from nubabel.claims h where h.tenant_id = i.tenant and h.scope = u.scope and h.value = u.value) as holder
              from unnest($17, $18, $19) with ordinality u (item, scope, value, n) join i on i.n = u.item) y),
        """;

    private static string Known(int record) => $"""
        q as materialized (
          select u.*, (select true from nubabel.idempotency r where r.tenant_id = u.tenant and r.scope = u.scope and r.key = u.key) as known
            from unnest({string.Join(", ", Enumerable.Range(record, 10).Select(n => $"${n}"))}) with ordinality u (item, tenant, scope, key, hash, status, streams, versions, answer, created, n)),
        """;

    private const string Kept = """
        r as (
          insert into nubabel.idempotency (tenant_id, scope, key, request_hash, status, streams, versions, answer, created)
          select q.tenant, q.scope, q.key, q.hash, q.status, q.streams::varchar[], q.versions::bigint[], q.answer, q.created from q join f on f.n = q.item order by q.n
          on conflict do nothing returning 1),
        """;

    // A claim that this very stream holds already counts as taken by it.
    private static string Taken(bool records) => $"""
        c as (
          insert into nubabel.claims (tenant_id, scope, value, stream_id)
          select t.tenant, t.scope, t.value, t.stream from t join f on f.n = t.item where t.holder is null {(records ? "and (select count(*) from r) >= 0" : "")} order by t.n
          returning 1),
        """;

    private const string HandedOver = """
        h as (
          insert into nubabel.claims (tenant_id, scope, value, stream_id)
          select t.tenant, t.scope, t.value, t.stream from t join f on f.n = t.item where t.handed and (select count(*) from c) >= 0 order by t.n
          on conflict (tenant_id, scope, value) do update set stream_id = excluded.stream_id returning 1),
        """;

    // A refusal where none may be, or a record that somebody inserted since the snapshot: all is taken back.
    private static string Complete(bool records, bool strict) => $"""
        , case when {(strict ? "(select count(*) from w) <> cardinality($1)" : "")} {(strict && records ? "or" : "")} {(records ? "(select count(*) from r) <> (select count(*) from q join f on f.n = q.item)" : "")} then nubabel.refuse('NB001', '') end
        """;

    /// <summary>One stream of an item, as a row of the statement.</summary>
    public readonly record struct Line(AppendItem Item, int Place)
    {
        public StreamAppend Append => Item.Streams[Place];
        public Draft[] Drafts => Item.Drafts[Place];
    }

    /// <summary>The streams of all items, in lock order.</summary>
    public static Line[] Lines(IReadOnlyList<AppendItem> items)
    {
        var lines = new List<Line>(items.Count);
        foreach (var item in items)
            for (var i = 0; i < item.Streams.Count; i++) lines.Add(new Line(item, i));
        lines.Sort((a, b) => string.CompareOrdinal(a.Item.Envelope.Tenant, b.Item.Envelope.Tenant) is not 0 and var byTenant ? byTenant : string.CompareOrdinal(a.Append.Stream, b.Append.Stream));
        return [.. lines];
    }

    /// <param name="lines">Ordered.</param>
    /// <param name="waits">Of one commit that is alone in the statement and waits for locked rows.</param>
    /// <param name="thorough">Sees through a row of a stream without events, also where no stream is expected to exist.</param>
    public static NpgsqlBatchCommand Command(Line[] lines, bool waits, bool thorough = true)
    {
        var parts = (waits ? Parts.Waits : 0) | (waits && lines.Length > 1 ? Parts.Together : 0) | (thorough && waits ? Parts.Existing : 0);
        foreach (var line in lines)
        {
            if (line.Append.Expected != StreamAppend.None) parts |= Parts.Existing;
            if (line.Append.Take.Count > 0) parts |= Parts.Claims;
            if (line.Append.Release.Count > 0) parts |= Parts.Releases;
            if (line.Item.Once is not null) parts |= Parts.Records;
            if (waits && line.Item.Enqueued is not null) parts |= Parts.Strict;
        }
        var command = new NpgsqlBatchCommand(Texts[(int)parts] ??= Text(parts));
        var p = command.Parameters;
        p.Of(Array.ConvertAll(lines, l => l.Item.Envelope.Tenant));
        p.Of(Array.ConvertAll(lines, l => l.Append.Stream));
        p.Of(Array.ConvertAll(lines, l => l.Append.Kind));
        p.Of(Array.ConvertAll(lines, l => l.Append.Expected));
        p.Of(Array.ConvertAll(lines, l => (long)l.Drafts.Length));
        p.Of(Array.ConvertAll(lines, l => l.Item.Envelope.At.UtcDateTime));
        p.Of(Array.ConvertAll(lines, l => l.Item.Envelope.Actor));
        p.Of(Array.ConvertAll(lines, l => l.Item.Envelope.CorrelationId));
        p.Of(Array.ConvertAll(lines, l => l.Item.Envelope.CausationId));
        // Where it stands from its commit's last event.
        Events(p, lines, (line, n) => line.Drafts.Length - n - 1);
        if (parts.HasFlag(Parts.Claims)) Claims(p, lines, sorted: true, l => l.Append.Take);
        if (parts.HasFlag(Parts.Records)) Records(p, lines);
        if (parts.HasFlag(Parts.Releases)) Claims(p, lines, sorted: false, l => l.Append.Release);
        return command;
    }

    /// <param name="place">Of the n-th event of a line, from 0 on.</param>
    internal static void Events(NpgsqlParameterCollection p, Line[] lines, Func<Line, int, long> place)
    {
        var count = lines.Sum(l => l.Drafts.Length);
        var (items, places, ids) = (new long[count], new long[count], new Guid[count]);
        var (data, types, names, headers) = (new string[count], new string[count], new string[count], new string?[count]);
        var at = 0;
        for (var i = 0; i < lines.Length; i++)
        {
            var drafts = lines[i].Drafts;
            for (var n = 0; n < drafts.Length; n++, at++)
            {
                var draft = drafts[n];
                (items[at], places[at], ids[at]) = (i + 1, place(lines[i], n), draft.Id);
                (data[at], types[at], names[at], headers[at]) = (draft.Json, draft.Type.Alias, draft.Type.DotNetName, draft.Headers);
            }
        }
        p.Of(items);
        p.Of(places);
        p.Of(ids);
        p.Of(data);
        p.Of(types);
        p.Of(names);
        p.Of(headers);
    }

    internal static void Claims(NpgsqlParameterCollection p, Line[] lines, bool sorted, Func<Line, IReadOnlyList<ClaimValue>> of)
    {
        var claims = new List<(long Item, string Tenant, ClaimValue Claim)>();
        for (var i = 0; i < lines.Length; i++)
            foreach (var claim in of(lines[i])) claims.Add((i + 1, lines[i].Item.Envelope.Tenant, claim));
        if (sorted) claims.Sort((a, b) => string.CompareOrdinal(a.Tenant, b.Tenant) is not 0 and var t ? t
            : string.CompareOrdinal(a.Claim.Scope, b.Claim.Scope) is not 0 and var s ? s : string.CompareOrdinal(a.Claim.Value, b.Claim.Value));
        p.Of(claims.Select(c => c.Item).ToArray());
        p.Of(claims.Select(c => c.Claim.Scope).ToArray());
        p.Of(claims.Select(c => c.Claim.Value).ToArray());
    }

    internal static void Records(NpgsqlParameterCollection p, Line[] lines)
    {
        var records = new List<(long Item, IdempotencyRecord Record)>();
        for (var i = 0; i < lines.Length; i++)
            if (lines[i].Item.Once is { } once && lines[i].Place == 0) records.Add((i + 1, once));
        records.Sort((a, b) => string.CompareOrdinal(a.Record.Tenant, b.Record.Tenant) is not 0 and var t ? t
            : string.CompareOrdinal(a.Record.Scope, b.Record.Scope) is not 0 and var s ? s : string.CompareOrdinal(a.Record.Key, b.Record.Key));
        p.Of(records.Select(r => r.Item).ToArray());
        p.Of(records.Select(r => r.Record.Tenant).ToArray());
        p.Of(records.Select(r => r.Record.Scope).ToArray());
        p.Of(records.Select(r => r.Record.Key).ToArray());
        p.Of(records.Select(r => r.Record.RequestHash).ToArray());
        p.Of(records.Select(r => r.Record.Status).ToArray());
        p.Of(records.Select(r => Literal(r.Record.Versions.Keys)).ToArray());
        p.Of(records.Select(r => Literal(r.Record.Versions.Values.Select(v => $"{v}"))).ToArray());
        p.Of(records.Select(r => r.Record.Answer).ToArray());
        p.Of(records.Select(r => r.Record.Created.UtcDateTime).ToArray());
    }

    // Lists of different lengths do not make an array of arrays, so each is a text that PostgreSQL reads as an array.
    private static string Literal(IEnumerable<string> values) =>
        "{" + string.Join(',', values.Select(v => $"\"{v.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\"")) + "}";
}
