using System.Text.Json;
using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Api.Jobs;
using Nubabel.Domain;
using Nubabel.Domain.Jobs;
using Nubabel.Domain.Organizations;
using Nubabel.Projections;
using Nubabel.Projections.Jobs;
using Nubabel.Store;

namespace Nubabel.Api.Operators;

/// <summary>The jobs of all organizations, and those that operators have started, which are the platform's.</summary>
public static class OperatorJobsApi
{
    private const string Read = "platform:jobs", Write = "platform:jobs-write";

    public static void MapOperatorJobs(this IEndpointRouteBuilder app)
    {
        var jobs = app.MapGroup("/api/admin/jobs").WithTags("Jobs");
        jobs.MapGet("", List).Needs(Read).Paged<JobView>().WithExample(response: $$"""{"items":[{{JobView.Example}}],"next":null}""");
        jobs.MapGet("/{id}", Get).Needs(Read).Answers200<JobView>().WithExample(response: JobView.Example);
        jobs.MapDelete("/{id}", Cancel).Needs(Write).Answers204();
    }

    private static async Task<IResult> List(
        Paging page, Node node, Freshness fresh, TimeProvider time, CancellationToken ct, string? organizationId = null, string? state = null, string? kind = null, string? starter = null)
    {
        if (organizationId is not null && !Id<Organization>.TryParse(organizationId, null, out _)) throw Problem.At(nameof(organizationId), "query.invalid", "An organization's id is a lower-case UUID.");
        await fresh.Of(JobBoard.Name, ct);
        var entries = await JobBoard.Search(node.Everyones, organizationId, new JobList.Filter(starter, kind, JobSearch.StateOf(state)), time.GetUtcNow(), page.After, page.Limit, ct);
        return page.Answer(Page.Cut(entries, page.Limit, e => JsonSerializer.SerializeToUtf8Bytes(JobView.Of(e.Row.Job, e.Standing, Shown(e.Row.Tenant)), Json.Options), e => e.Place));
    }

    private static async Task<IResult> Get(Id<Job> id, RequestScope scope, Node node, Freshness fresh, TimeProvider time, CancellationToken ct)
    {
        var (job, journal) = await Find(id, scope, node, fresh, time, ct);
        await fresh.OfLog(ct);
        return new JobAnswer(StatusCodes.Status200OK, JobView.Of(job.Row<JobRow>()!, await JobList.Beside(node.Reader(journal.Tenant), id, ct), Shown(journal.Tenant)));
    }

    private static async Task<IResult> Cancel(Id<Job> id, HttpRequest request, RequestScope scope, Node node, Freshness fresh, TimeProvider time, Answers answers, CancellationToken ct)
    {
        var (job, journal) = await Find(id, scope, node, fresh, time, ct);
        return answers.Gone(await JobCancel.Of(request, job, journal, await JobList.Beside(node.Reader(journal.Tenant), id, ct), ct, Shown(journal.Tenant)));
    }

    /// <summary>The platform's own jobs are found in the log at once; whose another one is, the board tells.</summary>
    private static async Task<(Outcome<Job> Job, Journal Journal)> Find(Id<Job> id, RequestScope scope, Node node, Freshness fresh, TimeProvider time, CancellationToken ct)
    {
        var journal = scope.Journal;
        var job = await journal.Load(id, ct);
        if (job.Version == 0)
        {
            await fresh.Of(JobBoard.Name, ct);
            journal = scope.JournalFor(await JobBoard.TenantOf(node.Everyones, id, ct) ?? throw JobCancel.Missing(), scope.Caller.Actor);
            job = await journal.Load(id, ct);
        }
        return job.Row<JobRow>() is { } row && !JobList.IsGone(row.EndedAt, time.GetUtcNow()) ? (job, journal) : throw JobCancel.Missing();
    }

    private static string? Shown(string tenant) => tenant == Node.Platform ? null : tenant;
}
