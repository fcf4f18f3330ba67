using System.Globalization;
using Nubabel.Domain;
using Nubabel.Domain.LegalHolds;
using Nubabel.Domain.Users;
using Nubabel.Store;

namespace Nubabel.Projections.LegalHolds;

/// <summary>A legal hold as those see it who place them. The members stand in the order in which <c>jsonb</c> keeps them.</summary>
/// <param name="UserId">Whose data is held; null for all of the organization's.</param>
/// <param name="OrganizationId">For operators, who see those of all; filled in when it is read.</param>
public sealed record LegalHoldRow(
    Id<LegalHold> Id, Personal Reason, LegalHoldStatus Status, Id<User>? UserId, DateTimeOffset PlacedAt, string? PlacedBy, bool ByOperator, DateTimeOffset? ReleasedAt, string? ReleasedBy, Personal? ReleaseReason,
    string? OrganizationId);

/// <summary>The legal holds, released ones too: that something was held belongs to what can be asked later.</summary>
public sealed class LegalHoldList : IDocument<LegalHoldRow>
{
    public static string Name => "legal_holds";
    public static int Version => 1;
    public static IReadOnlyList<string> Types { get; } = ["legal_hold_placed", "legal_hold_released"];

    public static Columns<LegalHoldRow> Columns { get; } = new Columns<LegalHoldRow>()
        .Add("placed_at", row => row.PlacedAt)
        .Add("status", row => Word(row.Status))
        .Add("person", row => row.UserId?.Value)
        .Index("The holds, newest first.", "placed_at desc", "key desc")
        .Index("Those that count, the few among the released ones above all.", "status", "placed_at desc", "key desc")
        .Index("The holds on a person.", "person", "placed_at desc", "key desc");

    public static LegalHoldRow? Evolve(LegalHoldRow? row, Recorded e) => (row, e.Data) switch
    {
        (null, LegalHoldPlaced p) => new LegalHoldRow(new Id<LegalHold>(e.StreamGuid), p.Reason, LegalHoldStatus.Active, p.Person, e.At, e.Actor, p.ByOperator, null, null, null, null),
        (null, _) => null,
        (_, LegalHoldReleased r) => row with { Status = LegalHoldStatus.Released, ReleasedAt = e.At, ReleasedBy = e.Actor, ReleaseReason = r.Reason },
        _ => row,
    };

    /// <summary>What is looked for; null means any.</summary>
    public sealed record Filter(LegalHoldStatus? Status = null, Id<User>? Person = null);

    /// <summary>A hold of any organization, with whose it is.</summary>
    public sealed record Entry(string Tenant, LegalHoldRow Row, IReadOnlyList<string> Place);

    /// <summary>The tenant's holds, newest first.</summary>
    /// <param name="after">The place of the last row of the page before: time and key.</param>
    public static async Task<Page> Of(Reader db, Filter filter, IReadOnlyList<string>? after, int limit, CancellationToken ct)
    {
        var rows = await db.Query($"""
            select doc, placed_at, key from read.legal_holds_v1
             where tenant_id = {db.Tenant} {Where(filter)} {After(after)}
             order by placed_at desc, key desc limit {limit + 1}
            """, row => (Doc: row.GetFieldValue<byte[]>(0), At: row.GetDateTime(1), Key: row.GetString(2)), ct);
        var page = Page.Cut(rows, limit, row => row.Doc, row => [row.At.ToString("O", CultureInfo.InvariantCulture), row.Key]);
        return page with { Rows = await db.Open(page.Rows, ct) };
    }

    /// <summary>The holds of all organizations or of one, newest first, one more than <paramref name="limit"/> where there are more; their reasons sealed.</summary>
    public static async Task<IReadOnlyList<Entry>> OfAll(PlatformReader db, string? tenant, Filter filter, IReadOnlyList<string>? after, int limit, CancellationToken ct)
    {
        var whose = tenant is null ? Sql.None : Sql.Of($"and tenant_id = {tenant}");
        return (await db.Query([Sql.Of($"""
            select tenant_id, doc, placed_at, key from read.legal_holds_v1
             where true {whose} {Where(filter)} {After(after)}
             order by placed_at desc, key desc limit {limit + 1}
            """)], row => new Entry(
                row.GetString(0), StoredJson.Read<LegalHoldRow>(row.GetFieldValue<byte[]>(1)), [row.GetDateTime(2).ToString("O", CultureInfo.InvariantCulture), row.GetString(3)]), ct))[0];
    }

    /// <summary>The holds that were released, whose reasons can still be read.</summary>
    public static Sql Released(Due due) => Sql.Of($"""
        select h.tenant_id, h.key as id, h.person::text as person, (h.doc ->> 'releasedAt')::timestamptz as at
          from read.legal_holds_v1 h join nubabel.subject_keys k on k.tenant_id = h.tenant_id and k.subject = h.key and k.wrapped is not null
         where h.status = 'released' and {due.Is(new Name("h.tenant_id"), Sql.Of($"(h.doc ->> 'releasedAt')::timestamptz"))} {due.Part(new Name("h.key"))}
        """);

    /// <summary>Whose a hold is: up to where the list is, the list says it, and behind that the log. Null where there is none.</summary>
    public static async Task<string?> TenantOf(PlatformReader db, Id<LegalHold> hold, CancellationToken ct) => (await db.Query([Sql.Of($"""
        select tenant_id from read.legal_holds_v1 where key = {Streams.Of(hold)}
        union all
        select e.tenant_id from events.mt_events e
         where e.seq_id > coalesce((select p.last_seq_id from events.mt_event_progression p where p.name = {Checkpoint}), 0)
           and e.stream_id = {Streams.Of(hold)} and e.type = 'legal_hold_placed' limit 1
        """)], row => row.GetString(0), ct))[0] is [var tenant, ..] ? tenant : null;

    /// <summary>The name of the list's checkpoint, which is written together with its rows.</summary>
    private static string Checkpoint => ReadModels.All.All.Single(p => p.Name == Name).ProgressionName;

    private static Sql Where(Filter filter)
    {
        var status = filter.Status is { } s ? Sql.Of($"and status = {Word(s)}") : Sql.None;
        var person = filter.Person is { } p ? Sql.Of($"and person = {p.Value}") : Sql.None;
        return Sql.Of($"{status} {person}");
    }

    private static string Word(LegalHoldStatus status) => status.ToString().ToLowerInvariant();

    private static Sql After(IReadOnlyList<string>? place) => place is [var at, var key]
        ? Sql.Of($"and (placed_at, key) < ({DateTime.Parse(at, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind)}, {key})")
        : Sql.None;
}
