using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Domain.Jobs;
using Nubabel.Projections;
using Nubabel.Projections.Jobs;
using Nubabel.Store;

namespace Nubabel.Api.Jobs;

/// <summary>The end of a job by its starter, an admin or an operator.</summary>
public static class JobCancel
{
    /// <summary>Cancels a job. One that had failed and was enqueued again is open, though its stream may not say so yet.</summary>
    /// <param name="organization">As the caller is shown the job, for the condition of the request.</param>
    /// <exception cref="Refused">It has ended.</exception>
    /// <exception cref="Problem">The request's condition does not hold.</exception>
    public static async Task<Outcome<Job>> Of(HttpRequest request, Outcome<Job> job, Journal journal, JobStanding standing, CancellationToken ct, string? organization = null)
    {
        var row = job.Row<JobRow>()!;
        if (journal.Replay is null) ETags.RequireMatch(request, JobAnswer.TagOf(JobView.Of(row, standing, organization)));
        if (standing.IsRequeued(row) && journal.Replay is null) await journal.Handle(job.Stream, new RequeueJob(), ct);
        return await journal.Handle(job.Stream, new CancelJob(), ct);
    }

    /// <summary>One answer for what never was, is somebody else's, or has been gone for long.</summary>
    public static Refused Missing() => new(RefusalKind.Missing, "job.missing", "There is no such job.");
}

/// <summary>What lists of jobs are asked for.</summary>
public static class JobSearch
{
    /// <exception cref="Problem">There is no such state.</exception>
    public static JobState? StateOf(string? text) => text switch
    {
        null => null,
        "queued" => JobState.Queued,
        "running" => JobState.Running,
        "completed" => JobState.Completed,
        "failed" => JobState.Failed,
        "cancelled" => JobState.Cancelled,
        _ => throw Problem.At("state", "query.invalid", "One of: queued, running, completed, failed, cancelled."),
    };
}
