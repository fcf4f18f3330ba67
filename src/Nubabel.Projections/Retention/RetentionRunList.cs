using System.Globalization;
using Nubabel.Domain;
using Nubabel.Domain.Retention;
using Nubabel.Store;

namespace Nubabel.Projections.Retention;

/// <summary>What a run has done in a category, or would do.</summary>
/// <param name="Days">The period that counted.</param>
/// <param name="From">From when the oldest is that was removed.</param>
/// <param name="Held">So many were due and stay under a legal hold.</param>
/// <param name="UpTo">What was older was due.</param>
/// <param name="Sha256">Of the list of what was removed, in the order of the names: each with the hash before it, from 32 zero bytes on.</param>
/// <param name="Sample">Of a dry run: the first of what would be removed.</param>
/// <param name="Problem">Why it was not done to its end.</param>
public sealed record RetentionCategoryRow(
    int Days, DateTimeOffset? From, long Held, DateTimeOffset UpTo, IReadOnlyList<string>? Sample, string Sha256, string? Problem, long Removed, string Category);

/// <summary>A run of retention. The members stand in the order in which <c>jsonb</c> keeps them.</summary>
/// <param name="At">The time from which periods were counted back.</param>
/// <param name="Failed">Categories that were not done to their end.</param>
/// <param name="Categories">Those in which something was due.</param>
/// <param name="OrganizationId">For operators; filled in when it is read.</param>
public sealed record RetentionRunRow(
    DateTimeOffset At, Id<RetentionRun> Id, long Held, RetentionRunState State, int Failed, DateTimeOffset BegunAt, DateTimeOffset? EndedAt, long Removed, RetentionTrigger Trigger,
    IReadOnlyList<RetentionCategoryRow> Categories, string? OrganizationId);

/// <summary>The runs of retention, which are never forgotten.</summary>
public sealed class RetentionRunList : IDocument<RetentionRunRow>
{
    public static string Name => "retention_runs";
    public static int Version => 1;
    public static IReadOnlyList<string> Types { get; } = ["retention_run_begun", "retention_run_carried_out", "retention_run_ended"];

    public static Columns<RetentionRunRow> Columns { get; } = new Columns<RetentionRunRow>()
        .Add("begun_at", row => row.BegunAt)
        .Index("The runs, newest first.", "begun_at desc", "key desc");

    public static RetentionRunRow? Evolve(RetentionRunRow? row, Recorded e) => (row, e.Data) switch
    {
        (null, RetentionRunBegun b) => new RetentionRunRow(b.At, new Id<RetentionRun>(e.StreamGuid), 0, RetentionRunState.Running, 0, e.At, null, 0, b.Trigger, [], null),
        (null, _) => null,
        (_, RetentionRunCarriedOut c) => row with { Categories = [.. row.Categories, new RetentionCategoryRow(c.Days, c.From, c.Held, c.UpTo, null, c.Sha256, c.Problem, c.Removed, c.Category)] },
        (_, RetentionRunEnded r) => row with { State = RetentionRun.StateOf(r.How), EndedAt = e.At, Removed = r.Removed, Held = r.Held, Failed = r.Failed },
        _ => row,
    };

    /// <summary>A run of any organization.</summary>
    public sealed record Entry(string Tenant, RetentionRunRow Row, IReadOnlyList<string> Place);

    /// <summary>The tenant's runs, newest first.</summary>
    /// <param name="after">The place of the last row of the page before: time and key.</param>
    public static async Task<Page> Of(Reader db, IReadOnlyList<string>? after, int limit, CancellationToken ct)
    {
        var rows = await db.Query($"""
            select doc, begun_at, key from read.retention_runs_v1
             where tenant_id = {db.Tenant} {After(after)}
             order by begun_at desc, key desc limit {limit + 1}
            """, row => (Doc: row.GetFieldValue<byte[]>(0), At: row.GetDateTime(1), Key: row.GetString(2)), ct);
        return Page.Cut(rows, limit, row => row.Doc, row => [row.At.ToString("O", CultureInfo.InvariantCulture), row.Key]);
    }

    /// <summary>The runs of all organizations and of the platform's own data, or of one of them, newest first, one more than <paramref name="limit"/> where there are more.</summary>
    public static async Task<IReadOnlyList<Entry>> OfAll(PlatformReader db, string? tenant, IReadOnlyList<string>? after, int limit, CancellationToken ct)
    {
        var whose = tenant is null ? Sql.None : Sql.Of($"and tenant_id = {tenant}");
        return (await db.Query([Sql.Of($"""
            select tenant_id, doc, begun_at, key from read.retention_runs_v1 where true {whose} {After(after)} order by begun_at desc, key desc limit {limit + 1}
            """)], row => new Entry(
                row.GetString(0), StoredJson.Read<RetentionRunRow>(row.GetFieldValue<byte[]>(1)), [row.GetDateTime(2).ToString("O", CultureInfo.InvariantCulture), row.GetString(3)]), ct))[0];
    }

    private static Sql After(IReadOnlyList<string>? place) => place is [var at, var key]
        ? Sql.Of($"and (begun_at, key) < ({DateTime.Parse(at, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind)}, {key})")
        : Sql.None;
}
