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
    internal const string Example = """
        {"id":"01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e55","kind":"data-export","state":"running","starter":"user:01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","attempts":1,
        "queuedAt":"2026-11-21T08:15:30.123456Z","startedAt":"2026-11-21T08:15:30.201733Z","progress":{"done":1200,"total":4800,"percent":25,"text":"reading the log"}}
        """;

    public static void MapJobs(this IEndpointRouteBuilder app)
    {
        var jobs = app.MapGroup("/api/jobs").WithTags("Jobs");
        jobs.MapGet("", List).NeedsOr("jobs:read", "jobs:read-all").Paged<JobView>().WithExample(response: $$"""{"items":[{{Example}}],"next":null}""");
        jobs.MapGet("/{id}", Get).NeedsOr("jobs:read", "jobs:read-all").Answers200<JobView>().WithExample(response: Example);
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
        var entries = await JobList.Search(db, new JobList.Filter(starter, kind, StateOf(state)), time.GetUtcNow(), page.After, page.Limit, ct);
        return page.Answer(Page.Cut(entries, page.Limit, e => JsonSerializer.SerializeToUtf8Bytes(JobView.Of(e.Row, e.Standing), Json.Options), e => e.Place));
    }

    private static async Task<IResult> Get(Id<Job> id, Caller caller, Journal journal, Reader db, Freshness fresh, TimeProvider time, CancellationToken ct)
    {
        var job = Seen(await journal.Load(id, ct), caller, "jobs:read-all", time);
        await fresh.OfLog(ct);
        return new JobAnswer(StatusCodes.Status200OK, JobView.Of(job.Row<JobRow>(JobList.Evolve)!, await JobList.Beside(db, id, ct)));
    }

    private static async Task<IResult> Cancel(Id<Job> id, Caller caller, Journal journal, Reader db, TimeProvider time, Answers answers, CancellationToken ct)
    {
        var job = Seen(await journal.Load(id, ct), caller, "jobs:write-all", time);
        return answers.Gone(await End(job, journal, await JobList.Beside(db, id, ct), ct));
    }

    /// <summary>Cancels a job. One that had failed and was enqueued again is open, though its stream may not say so yet.</summary>
    internal static async Task<Outcome<Job>> End(Outcome<Job> job, Journal journal, JobStanding standing, CancellationToken ct)
    {
        if (job.State.State == JobState.Failed && standing.Replayed && journal.Replay is null) await journal.Handle(job.Stream, new RequeueJob(), ct);
        return await journal.Handle(job.Stream, new CancelJob(), ct);
    }

    /// <exception cref="Refused">It does not exist, belongs to somebody else, or has ended too long ago.</exception>
    private static Outcome<Job> Seen(Outcome<Job> job, Caller caller, string others, TimeProvider time) =>
        job.Row<JobRow>(JobList.Evolve) is { } row && (row.Starter == caller.Actor.ToString() || caller.May(others)) && !JobList.IsGone(row.EndedAt, time.GetUtcNow()) ? job : throw Missing();

    internal static JobState? StateOf(string? text) => text switch
    {
        null => null,
        "queued" => JobState.Queued,
        "running" => JobState.Running,
        "completed" => JobState.Completed,
        "failed" => JobState.Failed,
        "cancelled" => JobState.Cancelled,
        _ => throw Problem.At("state", "query.invalid", "One of: queued, running, completed, failed, cancelled."),
    };

    internal static Refused Missing() => new(RefusalKind.Missing, "job.missing", "There is no such job.");
}
