using System.Globalization;
using System.Text.Json;
using Nubabel.Domain;
using Nubabel.Store;

namespace Nubabel.Projections.Audit;

/// <summary>
/// Every event of a tenant as an entry: who, what, on which object, when, from where, why. The rows are the tenant's index into the log; what an
/// event changed is read from the log itself when a page is shown.
/// </summary>
public sealed partial class AuditTrail : IRows<AuditRow>
{
    /// <summary>How far back in its stream an entry looks for the value that an event replaced, in events.</summary>
    private const int BeforeWithin = 200;

    /// <summary>Members of events that the trail does not show: secrets, hashes of them, look-up keys, and what strangers have sent, which may be a megabyte.</summary>
    public static IReadOnlyList<string> Hidden { get; } = ["codeHash", "emailKey", "nameKey", "passwordHash", "payload", "sealedSecret", "secretHash", "tokenHash", "twinHash"];

    // A reason belongs to its event alone: that of another one was not replaced by it.
    private static readonly string[] NotBefore = [.. Hidden, "reason"];

    // What another program has nested deeper is not shown: an answer has a depth, too.
    private static readonly JsonDocumentOptions Shown = new() { MaxDepth = 24 };

    /// <summary>How an entry can have ended: <c>succeeded</c>, or what was recorded because it was not let through.</summary>
    public static IReadOnlyList<string> Outcomes { get; } = [Succeeded, Refused, Denied];

    public static string Name => "audit";
    public static int Version => 1;

    /// <summary>All, those of foreign and newer writers included.</summary>
    public static IReadOnlyList<string>? Types => null;

    /// <summary>That something happened is an entry, also where its data does not fit: another writer's event must not stop the trail of everybody.</summary>
    public static bool NeedsData => false;

    public static Columns<AuditRow> Columns { get; } = new Columns<AuditRow>()
        .Add("at", row => row.At)
        .Add("actor", row => row.Actor)
        .Add("action", row => row.Action)
        .Add("object", row => row.Object)
        .Add("version", row => row.Version)
        .Index("The organization's trail, newest first, and any range of time.", "at desc", "position desc")
        .Index("What somebody did, a user's own trail above all.", "actor", "at desc", "position desc")
        .Index("Where something was done.", "action", "at desc", "position desc")
        .Index("What was done to an object.", "object", "at desc", "position desc");

    /// <summary>What the caller asks the trail for; null means any.</summary>
    /// <param name="UpTo">As the trail stood at this position.</param>
    public sealed record Filter(string? Actor = null, string? Action = null, string? Object = null, DateTimeOffset? From = null, DateTimeOffset? To = null, string? Outcome = null, long? UpTo = null);

    /// <summary>One entry of a page: the row, the event's data and the values of the same members before it.</summary>
    /// <param name="Type">The event's alias.</param>
    public sealed record Entry(long Position, AuditRow Row, JsonElement? After, JsonElement? Before, string? Type = null)
    {
        public IReadOnlyList<string> Place => [Row.At.UtcDateTime.ToString("O", CultureInfo.InvariantCulture), Position.ToString(CultureInfo.InvariantCulture)];
    }

    /// <summary>
    /// A page of the tenant's trail, newest first, one entry more than <paramref name="limit"/> where there are more. What was not let through has changed
    /// nothing, so nothing was there before it.
    /// </summary>
    public static Task<IReadOnlyList<Entry>> Search(Reader db, Filter filter, IReadOnlyList<string>? after, int limit, CancellationToken ct) => db.Query($"""
        select a.position, a.doc, case when jsonb_typeof(e.data) = 'object' then e.data - {Hidden.ToArray()} else e.data end,
               (select jsonb_object_agg(b.key, b.value) from (
                  select distinct on (m.key) m.key, m.value from events.mt_events p, jsonb_each(case when jsonb_typeof(p.data) = 'object' then p.data else jsonb_build_object() end) m
                   where a.action <> all({ReplacingNothing}) and p.tenant_id = a.tenant_id and p.stream_id = a.object and p.version < a.version and p.version >= a.version - {BeforeWithin}
                     and jsonb_exists(e.data, m.key) and m.key <> all({NotBefore})
                   order by m.key, p.version desc) b), e.type
          from ({Found(db, filter, after, limit + 1)}) a
          left join events.mt_events e on e.tenant_id = a.tenant_id and e.stream_id = a.object and e.version = a.version
         order by a.at desc, a.position desc
        """, row => new Entry(row.GetInt64(0), StoredJson.Read<AuditRow>(row.GetFieldValue<byte[]>(1)), Element(row, 2), Element(row, 3), row.IsDBNull(4) ? null : row.GetString(4)), ct);

    /// <summary>The streams whose first event is this action, in the order in which they began: by this actor, or by anybody.</summary>
    /// <param name="upTo">As the trail stood at this position.</param>
    /// <param name="after">The place of the last one of the page before.</param>
    public static Task<IReadOnlyList<(string Stream, IReadOnlyList<string> Place)>> Begun(
        Reader db, string action, string? actor, long upTo, IReadOnlyList<string>? after, int limit, CancellationToken ct)
    {
        var by = actor is null ? Sql.None : Sql.Of($"and actor = {actor}");
        return db.Query($"""
            select object, at, position from read.audit_v1
             where tenant_id = {db.Tenant} and action = {action} and version = 1 and position <= {upTo} {by} {Behind(after)} order by at, position limit {limit}
            """, row => (row.GetString(0), PlaceOf(row.GetDateTime(1), row.GetInt64(2))), ct);
    }

    /// <summary>The users who did anything between two times, the second excluded; to stay signed in leaves an entry every few minutes.</summary>
    public static Task<IReadOnlyList<string>> Seen(Reader db, DateTimeOffset from, DateTimeOffset to, CancellationToken ct) => db.Query($"""
        select distinct actor from read.audit_v1 where tenant_id = {db.Tenant} and at >= {from.UtcDateTime} and at < {to.UtcDateTime} and actor like 'user:%' order by actor
        """, row => row.GetString(0), ct);

    /// <summary>A stretch of the trail, oldest first.</summary>
    /// <param name="Entries">Those that were asked for.</param>
    /// <param name="Place">What the next stretch starts after; null at the end.</param>
    public sealed record Stretch(IReadOnlyList<Entry> Entries, IReadOnlyList<string>? Place);

    /// <summary>
    /// Everything about a person, or of everybody, as it stood at a position: what the person did, what mentions the person anywhere, and what became of streams that the person began by
    /// one of <paramref name="own"/>. A stretch looks at a bounded number of entries, whatever it finds.
    /// </summary>
    /// <param name="person">A user's id; null for the whole tenant.</param>
    /// <param name="own">Actions that begin streams which belong to who did them.</param>
    /// <param name="look">At how many entries it looks.</param>
    public static async Task<Stretch> Held(Reader db, Guid? person, IReadOnlyCollection<string> own, long upTo, IReadOnlyList<string>? after, int look, CancellationToken ct)
    {
        var rows = await db.Query($"""
            with looked as materialized (
              select at, position, actor, object, version, doc from read.audit_v1 where tenant_id = {db.Tenant} and position <= {upTo} {Behind(after)} order by at, position limit {look}),
            found as (
              select l.at, l.position, l.doc, case when jsonb_typeof(e.data) = 'object' then e.data - {Hidden.ToArray()} else e.data end as data
                from looked l join events.mt_events e on e.tenant_id = {db.Tenant} and e.stream_id = l.object and e.version = l.version
               {About(db, person, own)})
            select position, at, doc, data from found
            union all (select position, at, null, null from looked order by at desc, position desc limit 1)
            """, row => (Position: row.GetInt64(0), At: row.GetDateTime(1), Doc: row.IsDBNull(2) ? null : row.GetFieldValue<byte[]>(2), Data: Element(row, 3)), ct);
        var found = rows.Where(r => r.Doc is not null).OrderBy(r => r.At).ThenBy(r => r.Position).Select(r => new Entry(r.Position, StoredJson.Read<AuditRow>(r.Doc), r.Data, null)).ToArray();
        if (rows.Count == 0) return new Stretch(found, null);
        // The row without a document says how far was looked.
        var end = rows.Single(r => r.Doc is null);
        return new Stretch(found, PlaceOf(end.At, end.Position));
    }

    private static Sql About(Reader db, Guid? person, IReadOnlyCollection<string> own)
    {
        if (person is not { } id) return Sql.None;
        var (text, actor) = (id.ToString("D"), Domain.Actor.User(id).ToString());
        return Sql.Of($"""
            where l.actor = {actor} or strpos(l.object, {text}) > 0 or strpos(e.data::text, {text}) > 0 or strpos(coalesce(e.headers::text, ''), {text}) > 0
               or exists (select from read.audit_v1 b where b.tenant_id = {db.Tenant} and b.object = l.object and b.version = 1 and b.actor = {actor} and b.action = any({own.ToArray()}))
            """);
    }

    private static IReadOnlyList<string> PlaceOf(DateTime at, long position) => [at.ToString("O", CultureInfo.InvariantCulture), position.ToString(CultureInfo.InvariantCulture)];

    private static Sql Behind(IReadOnlyList<string>? place) => place is [var at, var position]
        ? Sql.Of($"and (at, position) > ({DateTime.Parse(at, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind)}, {long.Parse(position, CultureInfo.InvariantCulture)})")
        : Sql.None;

    /// <summary>
    /// The rows that are asked for. An outcome is a few actions, and each of them is looked up by itself in the index on actions, as many as a page holds: one
    /// look at the tenant's whole trail would grow with everything that succeeded.
    /// </summary>
    private static Sql Found(Reader db, Filter filter, IReadOnlyList<string>? after, int rows)
    {
        if (filter.Outcome is null or Succeeded)
        {
            var others = filter.Outcome is null ? Sql.None : Sql.Of($"and action <> all({Refusals})");
            return Sql.Of($"select * from read.audit_v1 where tenant_id = {db.Tenant} {Where(filter)} {others} {After(after)} order by at desc, position desc limit {rows}");
        }
        var actions = NotLetThrough.Values.Where(n => n.Outcome == filter.Outcome).Select(n => n.Action).ToArray();
        return Sql.Of($"""
            select r.* from unnest({actions}) n (action) cross join lateral (
              select * from read.audit_v1 v where tenant_id = {db.Tenant} and v.action = n.action {Where(filter)} {After(after)} order by at desc, position desc limit {rows}) r
             order by r.at desc, r.position desc limit {rows}
            """);
    }

    private static JsonElement? Element(Npgsql.NpgsqlDataReader row, int column)
    {
        try
        {
            return row.IsDBNull(column) ? null : JsonElement.Parse(row.GetFieldValue<byte[]>(column), Shown);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static Sql Where(Filter filter)
    {
        var actor = filter.Actor is { } a ? Sql.Of($"and actor = {a}") : Sql.None;
        var action = filter.Action is { } c ? Sql.Of($"and action = {c}") : Sql.None;
        var on = filter.Object is { } o ? Sql.Of($"and object = {o}") : Sql.None;
        var from = filter.From is { } f ? Sql.Of($"and at >= {f.UtcDateTime}") : Sql.None;
        var to = filter.To is { } t ? Sql.Of($"and at < {t.UtcDateTime}") : Sql.None;
        var upTo = filter.UpTo is { } u ? Sql.Of($"and position <= {u}") : Sql.None;
        return Sql.Of($"{actor} {action} {on} {from} {to} {upTo}");
    }

    private static Sql After(IReadOnlyList<string>? place) => place is [var at, var position]
        ? Sql.Of($"and (at, position) < ({DateTime.Parse(at, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind)}, {long.Parse(position, CultureInfo.InvariantCulture)})")
        : Sql.None;
}
