using System.Globalization;
using Nubabel.Domain;
using Nubabel.Domain.Breaches;
using Nubabel.Store;

namespace Nubabel.Projections.Breaches;

/// <summary>A breach as the owners of an affected organization see it. The members stand in the order in which <c>jsonb</c> keeps them.</summary>
/// <param name="Text">What was said last.</param>
/// <param name="NotifiedAt">When it was said first.</param>
public sealed record BreachNoticeRow(
    Id<Breach> Id, BreachRisk? Risk, NoticeText Text, IReadOnlyList<BreachKind> Kinds, int Number, DateTimeOffset AwareAt, DateTimeOffset UpdatedAt, DateTimeOffset NotifiedAt, DateTimeOffset? OccurredTo,
    DateTimeOffset? OccurredFrom, long AffectedUsers, IReadOnlyList<Phrase> DataCategories);

/// <summary>The breaches that an organization was told of.</summary>
public sealed class BreachNoticeList : IDocument<BreachNoticeRow>
{
    public static string Name => "breach_notices";
    public static int Version => 1;
    public static IReadOnlyList<string> Types { get; } = ["breach_notice_given"];

    public static Columns<BreachNoticeRow> Columns { get; } = new Columns<BreachNoticeRow>()
        .Add("notified_at", row => row.NotifiedAt)
        .Index("The organization's breaches, newest first.", "notified_at desc", "key desc");

    public static BreachNoticeRow? Evolve(BreachNoticeRow? row, Recorded e) => e.Data switch
    {
        BreachNoticeGiven { Content: var c } g => new BreachNoticeRow(
            new Id<Breach>(e.StreamGuid), c.Risk, c.Text, c.Kinds, g.Number, c.AwareAt, e.At, row?.NotifiedAt ?? e.At, c.OccurredTo, c.OccurredFrom, c.AffectedUsers, c.DataCategories),
        _ => row,
    };

    /// <summary>The tenant's breaches, newest first.</summary>
    /// <param name="after">The place of the last row of the page before: time and key.</param>
    public static async Task<Page> Of(Reader db, IReadOnlyList<string>? after, int limit, CancellationToken ct)
    {
        var rows = await db.Query($"""
            select doc, notified_at, key from read.breach_notices_v1
             where tenant_id = {db.Tenant} {After(after)}
             order by notified_at desc, key desc limit {limit + 1}
            """, row => (Doc: row.GetFieldValue<byte[]>(0), At: row.GetDateTime(1), Key: row.GetString(2)), ct);
        return Page.Cut(rows, limit, row => row.Doc, row => [row.At.ToString("O", CultureInfo.InvariantCulture), row.Key]);
    }

    private static Sql After(IReadOnlyList<string>? place) => place is [var at, var key]
        ? Sql.Of($"and (notified_at, key) < ({DateTime.Parse(at, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind)}, {key})")
        : Sql.None;
}
