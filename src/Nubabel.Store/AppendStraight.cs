using Npgsql;
using Line = Nubabel.Store.AppendMany.Line;

namespace Nubabel.Store;

/// <summary>
/// The statements of commits in whose way nothing is expected to stand, each of one stream: a short one for each table, in one transaction. A large statement that
/// looks before it writes (<see cref="AppendMany"/>) costs PostgreSQL more to set up than to run. What does stand in the way breaks the transaction, for all: then nothing has
/// been written. Locks are taken in the order that holds for every path: rows of streams that exist, records, claims, rows of new streams.
/// </summary>
internal static class AppendStraight
{
    private const string Refused = "nubabel.refuse('NB001', '')";

    // Locks the rows that are there, and moves on those of which the version is known. Who would have to wait for a row is missed by the count.
    private const string Existing = $"""
        with u as materialized (select * from unnest($1, $2, $3, $4, $5, $6) u (tenant, stream, kind, expected, count, at)),
        l as materialized (
          select m.* from u, lateral (
            select m.tenant_id, m.id, u.kind, u.expected, u.count, u.at from events.mt_streams m
             where m.tenant_id = u.tenant and m.id = u.stream and (m.version = u.expected or u.expected = -1) and m.is_archived is not true for update skip locked) m),
        x as (
          update events.mt_streams m set type = coalesce(m.type, l.kind), version = m.version + l.count, timestamp = l.at
            from l where l.expected >= 0 and m.tenant_id = l.tenant_id and m.id = l.id)
        select case when (select count(*) from l) <>
          (select count(*) from u where u.expected >= 0 or exists (select from events.mt_streams m where m.tenant_id = u.tenant and m.id = u.stream)) then {Refused} end
        """;

    // Streams of which no version is expected: their rows are locked by now, or missing.
    private const string Either = """
        insert into events.mt_streams as m (tenant_id, id, type, version, timestamp, created)
        select u.tenant, u.stream, u.kind, u.count, u.at, u.at from unnest($1, $2, $3, $4, $5) with ordinality u (tenant, stream, kind, count, at, n) order by u.n
        on conflict (tenant_id, id) do update set version = coalesce(m.version, 0) + excluded.version, timestamp = excluded.timestamp
        """;

    // Ready for a conflict, where the others break: PostgreSQL would write the key, a client's words, into its own log.
    private const string Records = $"""
        with r as (
          insert into nubabel.idempotency (tenant_id, scope, key, request_hash, status, streams, versions, answer, created)
          select u.tenant, u.scope, u.key, u.hash, u.status, u.streams::varchar[], u.versions::bigint[], u.answer, u.created
            from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) with ordinality u (item, tenant, scope, key, hash, status, streams, versions, answer, created, n) order by u.n
          on conflict do nothing returning 1)
        select case when (select count(*) from r) <> cardinality($1) then {Refused} end
        """;

    private const string Claims = """
        insert into nubabel.claims (tenant_id, scope, value, stream_id)
        select ($1)[u.item], u.scope, u.value, ($2)[u.item] from unnest($3, $4, $5) with ordinality u (item, scope, value, n) order by u.n
        """;

    private const string New = """
        insert into events.mt_streams (tenant_id, id, type, version, timestamp, created)
        select u.tenant, u.stream, u.kind, u.count, u.at, u.at from unnest($1, $2, $3, $4, $5) with ordinality u (tenant, stream, kind, count, at, n) order by u.n
        """;

    // Numbers are drawn in the order of the events: `order by` before nextval. They come back in that order. Where no version was expected, the stream has it by now,
    // and the event's place is counted from there.
    private const string Events = """
        insert into events.mt_events (seq_id, id, stream_id, version, data, type, timestamp, tenant_id, mt_dotnet_type, correlation_id, causation_id, headers, user_name)
        select nextval('events.mt_events_sequence'), u.id, ($2)[u.item], case when ($7)[u.item] then (select m.version from events.mt_streams m where m.tenant_id = ($1)[u.item] and m.id = ($2)[u.item]) - u.place else u.place end, u.data::jsonb, u.type, ($3)[u.item], ($1)[u.item], u.dotnet, ($5)[u.item], ($6)[u.item], u.headers::jsonb, ($4)[u.item]
          from (select * from unnest($8, $9, $10, $11, $12, $13, $14) with ordinality u (item, place, id, data, type, dotnet, headers, n) order by n) u
        returning seq_id, version
        """;

    private const string Released = "select count(nubabel.release(($1)[u.item], u.scope, u.value, ($2)[u.item])) from unnest($3, $4, $5) u (item, scope, value)";

    /// <summary>
    /// What goes this way together, in characters, so that it leaves in one piece (<see cref="Database"/> has the buffer for it, also where each is three bytes): PostgreSQL runs
    /// each statement as it comes. Of a process that is stopped between two pieces it would keep what the first has written, open and uncommitted.
    /// </summary>
    public const int MostBytes = 40_000;

    /// <summary>Names, ids and times of an event and its stream.</summary>
    private const int EnvelopeBytes = 320;

    /// <summary>A commit that can go this way.</summary>
    public static bool Fits(AppendItem item) => item.Streams.Count == 1 && item.Events > 0 && BytesOf(item) <= MostBytes;

    /// <summary>Roughly what is sent for it, in characters.</summary>
    public static long BytesOf(AppendItem item) => item.Bytes + EnvelopeBytes * (long)Math.Max(1, item.Events);

    /// <summary>Adds the statements. Their results come back by <see cref="Read"/>.</summary>
    /// <param name="lines">Ordered.</param>
    public static void Add(NpgsqlBatch batch, Line[] lines)
    {
        Streams(Existing, Array.FindAll(lines, l => l.Append.Expected != StreamAppend.None), withExpected: true);
        if (Array.Exists(lines, HasRecord)) AppendMany.Records(Next(Records), lines);
        if (Array.Exists(lines, l => l.Append.Take.Count > 0)) AppendMany.Claims(Names(Next(Claims), lines), lines, sorted: true, l => l.Append.Take);
        Streams(Either, Array.FindAll(lines, l => l.Append.Expected == StreamAppend.Any));
        Streams(New, Array.FindAll(lines, l => l.Append.Expected == StreamAppend.None));
        AddEvents(Next(Events), lines);
        if (Array.Exists(lines, l => l.Append.Release.Count > 0)) AppendMany.Claims(Names(Next(Released), lines), lines, sorted: false, l => l.Append.Release);

        void Streams(string text, Line[] of, bool withExpected = false)
        {
            if (of.Length == 0) return;
            var p = Names(Next(text), of);
            p.Of(Array.ConvertAll(of, l => l.Append.Kind));
            if (withExpected) p.Of(Array.ConvertAll(of, l => l.Append.Expected));
            p.Of(Array.ConvertAll(of, l => (long)l.Drafts.Length));
            p.Of(Array.ConvertAll(of, l => l.Item.Envelope.At.UtcDateTime));
        }

        NpgsqlParameterCollection Next(string text)
        {
            var command = new NpgsqlBatchCommand(text);
            batch.BatchCommands.Add(command);
            return command.Parameters;
        }
    }

    /// <summary>The versions that the streams have now, and the positions of all events, in the order of the lines. The reader stands at the result before; it is read to its end.</summary>
    public static async Task<(long[] Versions, long[] Positions)> Read(NpgsqlDataReader reader, Line[] lines, CancellationToken ct)
    {
        // What checks gives a row of its own, what only writes gives none.
        if (Array.Exists(lines, l => l.Append.Expected != StreamAppend.None)) await reader.NextResultAsync(ct);
        if (Array.Exists(lines, HasRecord)) await reader.NextResultAsync(ct);
        await reader.NextResultAsync(ct);
        var (versions, positions, at) = (new long[lines.Length], new long[lines.Sum(l => l.Drafts.Length)], 0);
        for (var i = 0; i < lines.Length; i++)
        {
            for (var n = 0; n < lines[i].Drafts.Length; n++)
            {
                await reader.ReadAsync(ct);
                (positions[at++], versions[i]) = (reader.GetInt64(0), reader.GetInt64(1));
            }
        }
        // A statement behind it may have failed, and with it all.
        while (await reader.NextResultAsync(ct)) { }
        return (versions, positions);
    }

    private static bool HasRecord(Line line) => line.Item.Once is not null;

    private static NpgsqlParameterCollection Names(NpgsqlParameterCollection p, Line[] lines)
    {
        p.Of(Array.ConvertAll(lines, l => l.Item.Envelope.Tenant));
        p.Of(Array.ConvertAll(lines, l => l.Append.Stream));
        return p;
    }

    private static void AddEvents(NpgsqlParameterCollection p, Line[] lines)
    {
        Names(p, lines);
        p.Of(Array.ConvertAll(lines, l => l.Item.Envelope.At.UtcDateTime));
        p.Of(Array.ConvertAll(lines, l => l.Item.Envelope.Actor));
        p.Of(Array.ConvertAll(lines, l => l.Item.Envelope.CorrelationId));
        p.Of(Array.ConvertAll(lines, l => l.Item.Envelope.CausationId));
        p.Of(Array.ConvertAll(lines, l => l.Append.Expected == StreamAppend.Any));
        AppendMany.Events(p, lines, (line, n) => line.Append.Expected == StreamAppend.Any ? line.Drafts.Length - n - 1 : line.Append.Expected + n + 1);
    }
}
