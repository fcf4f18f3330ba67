using System.Text.Json.Serialization;

namespace Nubabel.Domain.Jobs;

/// <summary>What a job has led to. None of it is personal data: it is stored in the clear and shown to whoever may see the job.</summary>
/// <param name="Link">Where the result is: a path of this API.</param>
/// <param name="ExpiresAt">Until when it is there.</param>
/// <param name="Data">A small result, shown with the job.</param>
public sealed record JobResult(string? Link = null, DateTimeOffset? ExpiresAt = null, JobData? Data = null);

/// <summary>Why a job has failed, in terms of the catalogue of problems.</summary>
public sealed record JobError(string Code, string Detail)
{
    /// <summary>Its message became a dead letter: the one failure that a replay can undo.</summary>
    public static JobError GaveUp { get; } = new("job.gave_up", "It failed again and again.");

    [JsonIgnore]
    public bool IsGivenUp => Code == GaveUp.Code;
}

public sealed record JobStarted(JobKind Kind, string Starter) : Event<Job>;
public sealed record JobCompleted(JobResult? Outcome = null) : Event<Job>;
public sealed record JobFailed(JobError Error) : Event<Job>;

/// <summary>It had failed and is to be done after all: somebody had its dead letter handled again.</summary>
public sealed record JobRequeued : Event<Job>;
public sealed record JobCancelled : Event<Job>;

/// <summary>The starter is the actor. Its message is enqueued in the same commit.</summary>
public sealed record StartJob(JobKind Kind) : Command<Job>;

/// <summary>It is done. Committed together with what it has done, so that a cancelled job does neither.</summary>
public sealed record CompleteJob(JobResult? Outcome = null) : Command<Job>;
public sealed record FailJob(JobError Error) : Command<Job>;
public sealed record RequeueJob : Command<Job>;
public sealed record CancelJob : Command<Job>;

/// <summary>Where a job is in its life. That it runs is no fact of the log: who looks at it finds a worker that has it in hand.</summary>
[JsonConverter(typeof(JobStateConverter))]
public enum JobState { None, Queued, Running, Completed, Failed, Cancelled }

internal sealed class JobStateConverter() : WordConverter<JobState>("job.state_invalid");

/// <summary>
/// Long work that somebody started. It ends once: completed, failed or cancelled. A failed one is queued again when its dead letter is replayed; the other
/// two ends are for good, and of a cancel and a completion at the same time the stream takes one.
/// </summary>
/// <param name="Starter">The actor who started it; with its tenant, whom it belongs to.</param>
/// <param name="IsGivenUp">It has failed because its message became a dead letter.</param>
public sealed record Job(JobState State, JobKind? OfKind, string Starter, bool IsGivenUp = false) : IAggregate<Job>
{
    public static string Kind => "job";
    public static Job Initial { get; } = new(JobState.None, null, "");

    public static Job Evolve(Job state, Event<Job> e) => e switch
    {
        JobStarted s => new Job(JobState.Queued, s.Kind, s.Starter),
        JobCompleted => state with { State = JobState.Completed },
        JobFailed f => state with { State = JobState.Failed, IsGivenUp = f.Error.IsGivenUp },
        JobRequeued => state with { State = JobState.Queued, IsGivenUp = false },
        JobCancelled => state with { State = JobState.Cancelled },
        _ => state,
    };

    public static IReadOnlyList<Event<Job>> Decide(Job state, Command<Job> command, Context at) => command switch
    {
        StartJob c => state.Start(c, at.Actor),
        _ when state.State == JobState.None => throw Missing(),
        CompleteJob c => state.Complete(c),
        FailJob c => state.Fail(c),
        RequeueJob => state is { State: JobState.Failed, IsGivenUp: true } ? [new JobRequeued()] : [],
        CancelJob => state.Cancel(),
        _ => throw new NotSupportedException(command.GetType().Name),
    };

    private Event<Job>[] Start(StartJob c, Actor actor)
    {
        if (State == JobState.None) return [new JobStarted(c.Kind, actor.ToString())];
        return OfKind == c.Kind && Starter == actor.ToString() ? [] : throw new Refused(RefusalKind.Conflict, "job.exists", "Another job has this id.");
    }

    // A failed one too: its dead letter may have been replayed and be done before anybody has noted that it is queued again.
    private Event<Job>[] Complete(CompleteJob c) => State switch
    {
        JobState.Completed => [],
        JobState.Cancelled => throw new Refused(RefusalKind.Conflict, "job.cancelled", "The job was cancelled."),
        _ => [new JobCompleted(c.Outcome)],
    };

    // What has ended otherwise meanwhile stays so. A replayed letter may have led to a refusal before anybody has noted that the job was given up and queued again.
    private Event<Job>[] Fail(FailJob c) => State switch
    {
        JobState.Queued => [new JobFailed(c.Error)],
        JobState.Failed when IsGivenUp && !c.Error.IsGivenUp => [new JobFailed(c.Error)],
        _ => [],
    };

    private Event<Job>[] Cancel() => State switch
    {
        JobState.Queued => [new JobCancelled()],
        JobState.Cancelled => [],
        _ => throw Finished(),
    };

    private static Refused Missing() => new(RefusalKind.Missing, "job.missing", "There is no such job.");
    private static Refused Finished() => new(RefusalKind.Conflict, "job.finished", "The job has ended; only one that is queued or runs can be cancelled.");
}
