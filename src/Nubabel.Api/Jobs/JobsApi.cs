using System.Text.Json;
using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Domain;
using Nubabel.Domain.Jobs;
using Nubabel.Projections;
using Nubabel.Projections.Jobs;
using Nubabel.Store;

namespace Nubabel.Api.Jobs;

/// <summary>The jobs that the caller has started, or with <c>jobs:read-all</c> the organization's. To everybody else a job does not exist.</summary>
public static class JobsApi
{
    public static void MapJobs(this IEndpointRouteBuilder app)
    {
        var jobs = app.MapGroup("/api/jobs").WithTags("Jobs");
        jobs.MapGet("", List).NeedsOr("jobs:read", "jobs:read-all").Paged<JobView>().WithExample(response: $$"""{"items":[{{JobView.Example}}],"next":null}""");
        jobs.MapGet("/{id}", Get).NeedsOr("jobs:read", "jobs:read-all").Answers200<JobView>().WithExample(response: JobView.Example);
        jobs.MapDelete("/{id}", Cancel).NeedsOr("jobs:write", "jobs:write-all").Answers204();
    }

    private static async Task<IResult> List(
        Paging page, Caller caller, Reader db, Freshness fresh, TimeProvider time, CancellationToken ct, string? state = null, string? kind = null, string? starter = null)
    {
        var own = caller.Actor.ToString();
        if (!caller.May("jobs:read-all"))
        {
            if (starter is not null && starter != own) throw PermissionDenied.Of("jobs:read-all");
            starter = own;
        }
        await fresh.Of(JobList.Name, ct);
        var entries = await JobList.Search(db, new JobList.Filter(starter, kind, JobSearch.StateOf(state)), time.GetUtcNow(), page.After, page.Limit, ct);
        return page.Answer(Page.Cut(entries, page.Limit, e => JsonSerializer.SerializeToUtf8Bytes(JobView.Of(e.Row, e.Standing), Json.Options), e => e.Place));
    }

    private static async Task<IResult> Get(Id<Job> id, Caller caller, Journal journal, Reader db, Freshness fresh, TimeProvider time, CancellationToken ct)
    {
        var job = Seen(await journal.Load(id, ct), caller, "jobs:read-all", time);
        await fresh.OfLog(ct);
        return new JobAnswer(StatusCodes.Status200OK, JobView.Of(job.Row<JobRow>()!, await JobList.Beside(db, id, ct)));
    }

    private static async Task<IResult> Cancel(Id<Job> id, HttpRequest request, Caller caller, Journal journal, Reader db, TimeProvider time, Answers answers, CancellationToken ct)
    {
        var job = Seen(await journal.Load(id, ct), caller, "jobs:write-all", time);
        return answers.Gone(await JobCancel.Of(request, job, journal, await JobList.Beside(db, id, ct), ct));
    }

    /// <exception cref="Refused">It does not exist, belongs to somebody else, or has ended too long ago.</exception>
    private static Outcome<Job> Seen(Outcome<Job> job, Caller caller, string others, TimeProvider time) =>
        job.Row<JobRow>() is { } row && (row.Starter == caller.Actor.ToString() || caller.May(others)) && !JobList.IsGone(row.EndedAt, time.GetUtcNow()) ? job : throw JobCancel.Missing();
}
