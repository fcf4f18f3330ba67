using System.Globalization;
using Nubabel.Domain;
using Nubabel.Domain.Breaches;
using Nubabel.Store;

namespace Nubabel.Projections.Breaches;

/// <summary>A breach in the register.</summary>
/// <param name="RecordedBy">Who wrote it down.</param>
public sealed record BreachRow(Id<Breach> Id, Breach State, DateTimeOffset RecordedAt, string? RecordedBy, DateTimeOffset ChangedAt, DateTimeOffset? ClosedAt);

/// <summary>The register of breaches. Its rows are the platform's.</summary>
public sealed class BreachList : IDocument<BreachRow>
{
    public static string Name => "breaches";
    public static int Version => 1;

    public static IReadOnlyList<string> Types { get; } =
    [
        "breach_recorded", "breach_amended", "breach_assessed", "breach_scope_set", "breach_reported", "breach_worded", "breach_people_exempted", "breach_notification_ordered",
        "breach_notification_completed", "breach_closed", "breach_reopened",
    ];

    public static Columns<BreachRow> Columns { get; } = new Columns<BreachRow>()
        .Add("closed", row => row.State.Status == BreachStatus.Closed)
        .Add("aware_at", row => row.State.Facts!.AwareAt)
        .Index("The whole register, by when breaches became known.", "aware_at desc", "key desc")
        .Index("Those that are open, or closed.", "closed", "aware_at desc", "key desc");

    /// <summary>The aggregate's own fold, so that what operators see and what decisions are made on cannot differ.</summary>
    public static BreachRow? Evolve(BreachRow? row, Recorded e) => e.Data switch
    {
        BreachRecorded when row is not null => row,
        Event<Breach> known when row is not null || known is BreachRecorded => Row(row, e, Breach.Evolve(row?.State ?? Breach.Initial, known)),
        _ => row,
    };

    /// <summary>What an operator looks for; null means any.</summary>
    public sealed record Filter(BreachStatus? Status = null, BreachRisk? Risk = null);

    /// <summary>Breaches, what became known last first.</summary>
    /// <param name="show">What an operator sees of one.</param>
    /// <param name="after">The place of the last row of the page before: time and key.</param>
    public static async Task<Page> Of(Reader db, Filter filter, Func<BreachRow, object> show, IReadOnlyList<string>? after, int limit, CancellationToken ct)
    {
        var inState = filter.Status is { } status ? Sql.Of($"and closed = {status == BreachStatus.Closed}") : Sql.None;
        // Few are in the register, so a risk needs no index of its own.
        var ofRisk = filter.Risk is { } risk ? Sql.Of($"and doc #>> '{{state,assessment,risk}}' = {risk.ToString().ToLowerInvariant()}") : Sql.None;
        var rows = await db.Query($"""
            select doc, aware_at, key from read.breaches_v1
             where tenant_id = {db.Tenant} {inState} {ofRisk} {After(after)}
             order by aware_at desc, key desc limit {limit + 1}
            """, row => (Row: StoredJson.Read<BreachRow>(row.GetFieldValue<byte[]>(0)), At: row.GetDateTime(1), Key: row.GetString(2)), ct);
        return await Page.Open(db, rows, limit, row => show(row.Row), row => [row.At.ToString("O", CultureInfo.InvariantCulture), row.Key], ct);
    }

    /// <summary>The ids of all, in the order in which they became known.</summary>
    public static Task<IReadOnlyList<Id<Breach>>> Ids(Reader db, CancellationToken ct) => db.Query(
        $"select key from read.breaches_v1 where tenant_id = {db.Tenant} order by aware_at, key", row => Id<Breach>.Parse(row.GetString(0).AsSpan(Breach.Kind.Length + 1), null), ct);

    /// <summary>Those that are open, with the database's time: one clock for all nodes.</summary>
    public static Task<IReadOnlyList<(BreachRow Row, DateTimeOffset Now)>> Open(Reader db, CancellationToken ct) => db.Query(
        $"select doc, clock_timestamp() from read.breaches_v1 where tenant_id = {db.Tenant} and not closed",
        row => (StoredJson.Read<BreachRow>(row.GetFieldValue<byte[]>(0)), new DateTimeOffset(row.GetDateTime(1))), ct);

    /// <summary>Those that are closed, whose descriptions can still be read. One that was opened again a moment ago is not among them, however far the list is.</summary>
    public static Sql Closed(Due due) => Sql.Of($"""
        select b.tenant_id, b.key as id, null::text as person, (b.doc ->> 'closedAt')::timestamptz as at
          from read.breaches_v1 b join nubabel.subject_keys k on k.tenant_id = b.tenant_id and k.subject = b.key and k.wrapped is not null
         where b.closed and {due.Is(new Name("b.tenant_id"), Sql.Of($"(b.doc ->> 'closedAt')::timestamptz"))}
           and (select e.type from events.mt_events e where e.tenant_id = b.tenant_id and e.stream_id = b.key and e.type in ('breach_closed', 'breach_reopened') order by e.version desc limit 1) = 'breach_closed'
           {due.Part(new Name("b.key"))}
        """);

    private static BreachRow Row(BreachRow? row, Recorded e, Breach state) => new(
        new Id<Breach>(e.StreamGuid), state, row?.RecordedAt ?? e.At, row is null ? e.Actor : row.RecordedBy, e.At,
        state.Status != BreachStatus.Closed ? null : row?.ClosedAt ?? e.At);

    private static Sql After(IReadOnlyList<string>? place) => place is [var at, var key]
        ? Sql.Of($"and (aware_at, key) < ({DateTime.Parse(at, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind)}, {key})")
        : Sql.None;
}
