using Npgsql;

namespace Nubabel.Store;

/// <summary>
/// The statement of many streams, of any tenants, with their claims and idempotency records. A refusal is a row that does not come back; nothing of a refused
/// item has been written by then. Locks are taken in one order on every path: rows of streams that exist, then idempotency records, then claims, then rows
/// of new streams, each in the order of (tenant, key). Tables are reached by one-row subqueries, which leave the planner nothing to choose.
/// </summary>
internal static class AppendMany
{
    /// <summary>Streams and events of many commits. Whoever waits for a row is left out instead, so it never holds up the others.</summary>
    private static readonly string Plain = Text(keys: false, together: false);

    /// <summary>The same with claims and idempotency records.</summary>
    private static readonly string Full = Text(keys: true, together: false);

    /// <summary>All streams of one commit, together or not at all; it waits for locked rows.</summary>
    private static readonly string Together = Text(keys: true, together: true);

    // i: the streams of the statement in lock order, each with the version that this snapshot sees. l: those that exist, locked, and looked at again behind
    // the lock. g: what may be written. Only what is missing in this snapshot is inserted, so that a refusal is found before anything is written; what
    // somebody else inserts meanwhile is missed by `Complete`. A stream also counts as missing where its row stands at version 0, as a foreign writer may leave it.
    private static string Text(bool keys, bool together) => $"""
        with i as materialized (
          select u.*, (select m.version from events.mt_streams m where m.tenant_id = u.tenant and m.id = u.stream) as seen
            from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9) with ordinality u (tenant, stream, kind, expected, count, at, actor, correlation, causation, n)),
        l as materialized (
          select i.n, m.version from i, lateral (
            select version from events.mt_streams m
             where m.tenant_id = i.tenant and m.id = i.stream and (m.version = i.expected or i.expected = -1) and not m.is_archived for update{(together ? "" : " skip locked")}) m
           where i.seen = i.expected or i.expected = -1 and i.seen is not null),
        {(keys ? Wanted(together ? HandedOver : "false") : "")}
        g as materialized (
          select i.*, l.version as base from i left join l on l.n = i.n
           where (l.n is not null or i.expected <= 0 and i.seen is null) {(keys ? "and i.n not in (select item from t where holder <> stream and not handed) and i.n not in (select item from q where known)" : "")}),
        f as materialized (select * from g {(together ? "where (select count(*) from g) = cardinality($1)" : "")}),
        {(keys ? Kept : "")}
        m as (
          insert into events.mt_streams (tenant_id, id, type, version, timestamp, created)
          select tenant, stream, kind, count, at, at from f where base is null {(keys ? "and (select count(*) from h) >= 0" : "")} order by n
          on conflict do nothing returning tenant_id, id, version),
        x as (
          insert into events.mt_streams (tenant_id, id, type, version, timestamp, created)
          select tenant, stream, kind, base + count, at, at from f where base is not null order by n
          on conflict (tenant_id, id) do update set version = excluded.version, timestamp = excluded.timestamp returning tenant_id, id, version),
        w as materialized (select f.*, s.version from (select * from m union all select * from x) s join f on f.tenant = s.tenant_id and f.stream = s.id),
        e as (
          insert into events.mt_events (seq_id, id, stream_id, version, data, type, timestamp, tenant_id, mt_dotnet_type, correlation_id, causation_id, headers, user_name)
          select nextval('events.mt_events_sequence'), y.* from (
            select u.id, w.stream, w.version - u.rest, u.data, u.type, w.at, w.tenant, u.dotnet, w.correlation, w.causation, u.headers, w.actor
              from unnest($10, $11, $12, $13, $14, $15, $16) with ordinality u (item, rest, id, data, type, dotnet, headers, n) join w on w.n = u.item order by u.n) y
          returning seq_id)
        select (select array_agg(n order by n) from w), (select array_agg(version order by n) from w), (select array_agg(seq_id order by seq_id) from e)
        {(keys ? Complete : "")}
        """;

    // t: the claims that are wanted, with who holds them. q: the records, and whether they are known.
    private static string Wanted(string handed) => $"""
        t as materialized (
          select y.*, {handed} as handed from (
            select u.*, i.tenant, i.stream, (select h.stream_id from nubabel.claims h where h.tenant_id = i.tenant and h.scope = u.scope and h.value = u.value) as holder
              from unnest($17, $18, $19) with ordinality u (item, scope, value, n) join i on i.n = u.item) y),
        q as materialized (
          select u.*, (select true from nubabel.idempotency r where r.tenant_id = u.tenant and r.scope = u.scope and r.key = u.key) as known
            from unnest($20, $21, $22, $23, $24, $25, $26, $27, $28, $29) with ordinality u (item, tenant, scope, key, hash, status, streams, versions, answer, created, n)),
        """;

    // Within one commit a stream may take what another gives up.
    private const string HandedOver =
        "exists (select from unnest($30, $31, $32) r (item, scope, value) join i o on o.n = r.item where r.scope = y.scope and r.value = y.value and o.stream = y.holder)";

    // The counts make each wait for the one before it. A claim that this very stream holds already counts as taken by it.
    private const string Kept = """
        r as (
          insert into nubabel.idempotency (tenant_id, scope, key, request_hash, status, streams, versions, answer, created)
          select q.tenant, q.scope, q.key, q.hash, q.status, q.streams::varchar[], q.versions::bigint[], q.answer, q.created from q join f on f.n = q.item order by q.n
          on conflict do nothing returning 1),
        c as (
          insert into nubabel.claims (tenant_id, scope, value, stream_id)
          select t.tenant, t.scope, t.value, t.stream from t join f on f.n = t.item where t.holder is null and (select count(*) from r) >= 0 order by t.n
          on conflict do nothing returning 1),
        h as (
          insert into nubabel.claims (tenant_id, scope, value, stream_id)
          select t.tenant, t.scope, t.value, t.stream from t join f on f.n = t.item where t.handed and (select count(*) from c) >= 0 order by t.n
          on conflict (tenant_id, scope, value) do update set stream_id = excluded.stream_id returning 1),
        """;

    // Somebody inserted what was missing in the snapshot: half an item may be written, so all is taken back. Values are released last.
    private const string Complete = """
        , case when (select count(*) from w) <> (select count(*) from f) or (select count(*) from r) <> (select count(*) from q join f on f.n = q.item)
                 or (select count(*) from c) <> (select count(*) from t join f on f.n = t.item where t.holder is null) then nubabel.refuse('NB001', '') end,
          (select count(nubabel.release(w.tenant, u.scope, u.value, w.stream)) from unnest($30, $31, $32) u (item, scope, value) join w on w.n = u.item)
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
    /// <param name="together">Of one item that is alone in the statement.</param>
    public static NpgsqlBatchCommand Command(Line[] lines, bool together)
    {
        var keys = together || lines.Any(l => !l.Item.IsPlain);
        var command = new NpgsqlBatchCommand(together ? Together : keys ? Full : Plain);
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
        Events(p, lines);
        if (!keys) return command;
        Claims(p, lines, sorted: true, l => l.Append.Take);
        Records(p, lines);
        Claims(p, lines, sorted: false, l => l.Append.Release);
        return command;
    }

    private static void Events(NpgsqlParameterCollection p, Line[] lines)
    {
        var count = lines.Sum(l => l.Drafts.Length);
        var (items, rests, ids) = (new long[count], new long[count], new Guid[count]);
        var (data, types, names, headers) = (new string[count], new string[count], new string[count], new string?[count]);
        var at = 0;
        for (var i = 0; i < lines.Length; i++)
        {
            var drafts = lines[i].Drafts;
            for (var n = 0; n < drafts.Length; n++, at++)
            {
                var draft = drafts[n];
                (items[at], rests[at], ids[at]) = (i + 1, drafts.Length - n - 1, draft.Id);
                (data[at], types[at], names[at], headers[at]) = (draft.Json, draft.Type.Alias, draft.Type.DotNetName, draft.Headers);
            }
        }
        p.Of(items);
        p.Of(rests);
        p.Of(ids);
        p.Json(data);
        p.Of(types);
        p.Of(names);
        p.Json(headers);
    }

    private static void Claims(NpgsqlParameterCollection p, Line[] lines, bool sorted, Func<Line, IReadOnlyList<ClaimValue>> of)
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

    private static void Records(NpgsqlParameterCollection p, Line[] lines)
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
