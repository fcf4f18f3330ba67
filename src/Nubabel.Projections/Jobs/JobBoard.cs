using System.Globalization;
using Nubabel.Domain;
using Nubabel.Domain.Jobs;
using Nubabel.Store;

namespace Nubabel.Projections.Jobs;

/// <summary>A job of any tenant.</summary>
public sealed record JobBoardRow(JobRow Job, string Tenant);

/// <summary>The jobs of all tenants, the platform's own included, for operators. Its rows are the platform's, so that no organization sees another in it.</summary>
public sealed class JobBoard : IDocument<JobBoardRow>
{
    public static string Name => "job_board";
    public static int Version => 1;
    public static IReadOnlyList<string> Types => JobList.Types;

    public static Columns<JobBoardRow> Columns { get; } = new Columns<JobBoardRow>()
        .Add("owner", row => row.Tenant)
        .Add("message", row => row.Job.Id.Value)
        .Add("starter", row => row.Job.Starter)
        .Add("kind", row => row.Job.Kind.Value)
        .Add("state", row => JobList.Word(row.Job.State))
        .Add("queued_at", row => row.Job.QueuedAt)
        .Add("ended_at", row => row.Job.EndedAt)
        .Add("given_up", row => row.Job.Error is { IsGivenUp: true })
        .Index("All jobs, newest first.", "queued_at desc", "key desc")
        .Index("An organization's jobs, newest first.", "owner", "queued_at desc", "key desc")
        .Index("The jobs of a kind.", "kind", "queued_at desc", "key desc")
        .Index("The jobs in a state, the few open ones above all.", "state", "queued_at desc", "key desc")
        .Index("Whose a job is.", "message");

    public static JobBoardRow? Evolve(JobBoardRow? row, Recorded e) => JobList.Evolve(row?.Job, e) is { } job ? new JobBoardRow(job, e.Tenant) : null;

    /// <summary>A row of a page with what is known beside it.</summary>
    public sealed record Entry(JobBoardRow Row, JobStanding Standing, IReadOnlyList<string> Place);

    /// <summary>A page of the jobs of all tenants or of one, newest first, one more than <paramref name="limit"/> where there are more.</summary>
    /// <param name="tenant">Whose; null for all.</param>
    /// <param name="now">Jobs that had ended <see cref="JobList.KeptDays"/> before are left out.</param>
    public static async Task<IReadOnlyList<Entry>> Search(
        PlatformReader db, string? tenant, JobList.Filter filter, DateTimeOffset now, IReadOnlyList<string>? after, int limit, CancellationToken ct)
    {
        var whose = tenant is null ? Sql.None : Sql.Of($"and b.owner = {tenant}");
        // The rows stand under the platform; what is known beside them stands under whose they are.
        return (await db.Query([Sql.Of($"""
            select j.doc, j.queued_at, j.key, {JobList.Standing}
              from (select b.doc, b.owner as tenant_id, b.message, b.starter, b.kind, b.state, b.queued_at, b.ended_at, b.given_up, b.key from read.job_board_v1 b where b.tenant_id = {Projection.PlatformTenant} {whose}) j {JobList.Joined}
             where (j.ended_at is null or j.ended_at > {now.AddDays(-JobList.KeptDays).UtcDateTime}) {JobList.Where(filter)} {JobList.After(after)}
             order by j.queued_at desc, j.key desc limit {limit + 1}
            """)], row => new Entry(
                StoredJson.Read<JobBoardRow>(row.GetFieldValue<byte[]>(0)), JobList.StandingAt(row, 3), [row.GetDateTime(1).ToString("O", CultureInfo.InvariantCulture), row.GetString(2)]), ct))[0];
    }

    /// <summary>Whose a job is; null when it is not known here.</summary>
    public static async Task<string?> TenantOf(PlatformReader db, Id<Job> job, CancellationToken ct) =>
        (await db.Query([Sql.Of($"select owner from read.job_board_v1 where tenant_id = {Projection.PlatformTenant} and message = {job.Value}")], row => row.GetString(0), ct))[0] is [var tenant, ..] ? tenant : null;
}
