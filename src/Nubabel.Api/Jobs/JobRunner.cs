using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Domain.Jobs;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Jobs;

/// <summary>
/// Handles the messages of jobs. The end of a job, what it has done and the end of its message are one commit, so each happens once or not at all; whether it
/// was cancelled meanwhile, the version of its stream says.
/// </summary>
public sealed class JobRunner(Node node, JobHandlers handlers, RunningJobs running)
{
    /// <summary>How long a handler that was cancelled may take to notice before it is left alone.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(5);

    public Task Run(JobMessage message, MessageContext context) => Run(message.Kind, message.Body, context);

    public Task Run(LongJobMessage message, MessageContext context) => Run(message.Kind, message.Body, context);

    /// <summary>A job's message became a dead letter: the job has failed, unless it has ended otherwise or was taken up again.</summary>
    public Task GiveUp(JobGivenUp message, MessageContext context) =>
        context.Journal.Handle(new Id<Job>(message.Job), new FailJob(new JobError("job.gave_up", "It failed again and again.")), context.Cancellation);

    /// <summary>What is enqueued with the dead letter of a job.</summary>
    public static Message GivenUp(Delivery given, string cause) => new(new JobGivenUp(given.Id));

    private async Task Run(JobKind kind, System.Text.Json.JsonElement body, MessageContext context)
    {
        var id = new Id<Job>(context.Delivery.Id);
        using var stay = running.Enter(id.Value, context.Cancellation);
        var job = (await context.Journal.Load(id, stay.Token)).State;
        if (job.State is not (JobState.Queued or JobState.Failed)) return;
        // Its dead letter was replayed.
        if (job.State == JobState.Failed) await node.Journal(context.Tenant, context.Journal.Origin).Handle(id, new RequeueJob(), stay.Token);
        var handler = handlers.Of(kind) ?? throw new InvalidOperationException($"This process has no handler of jobs of the kind {kind}.");
        try
        {
            var end = await Call(handler, id, body, context, stay);
            await context.Journal.Commit([new Step<Job>(id, new CompleteJob(end.Outcome)), .. end.Steps], context.Cancellation);
        }
        catch (Refused refused) when (refused.Code == "job.cancelled")
        {
            // The cancel was faster: nothing of what was done here is written.
        }
        catch (OperationCanceledException) when (stay.IsCancelled)
        {
        }
        catch (Refused refused)
        {
            await context.Journal.Handle(id, new FailJob(new JobError(refused.Code, refused.Message)), context.Cancellation);
        }
    }

    private async Task<JobEnd> Call(Func<System.Text.Json.JsonElement, JobContext, Task<JobEnd>> handler, Id<Job> id, System.Text.Json.JsonElement body, MessageContext context, RunningJobs.Stay stay)
    {
        await MessageRuns.Begin(context, stay.Token);
        await using var progress = new JobProgress(context);
        var work = handler(body, new JobContext(id, context, progress, node.Journal, stay.Token));
        // One that does not notice that it was cancelled is left alone: what it still commits is refused.
        var cancelled = Task.Delay(Timeout.InfiniteTimeSpan, stay.Token);
        if (await Task.WhenAny(work, cancelled) != work && stay.IsCancelled) return await work.WaitAsync(Grace, CancellationToken.None);
        return await work;
    }
}
