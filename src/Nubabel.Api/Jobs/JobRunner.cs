using System.Text.Json;
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
        context.Journal.Handle(new Id<Job>(message.Job), new FailJob(JobError.GaveUp), context.Cancellation);

    /// <summary>What is enqueued with the dead letter of a job.</summary>
    public static Message GivenUp(Delivery given, string cause) => new(new JobGivenUp(given.Id));

    private async Task Run(JobKind kind, JsonElement body, MessageContext context)
    {
        var id = new Id<Job>(context.Delivery.Id);
        using var stay = running.Enter(context.Tenant, id.Value, context.Cancellation);
        try
        {
            await End(id, kind, body, context, stay);
        }
        catch (Exception ended) when (ended is Refused { Code: "job.cancelled" } || stay.IsCancelled && ended is OperationCanceledException or TimeoutException)
        {
            // The cancel was faster: nothing of what was done here is written, and the message is done.
            context.Journal.TakeBack();
        }
        catch (Refused refused) when (refused.Code is not ("stream.contended" or "job.missing"))
        {
            context.Journal.TakeBack();
            await context.Journal.Handle(id, new FailJob(new JobError(refused.Code, refused.Message)), context.Cancellation);
        }
    }

    private async Task End(Id<Job> id, JobKind kind, JsonElement body, MessageContext context, RunningJobs.Stay stay)
    {
        var job = (await context.Journal.Load(id, stay.Token)).State;
        if (job.State is JobState.Completed or JobState.Cancelled || job is { State: JobState.Failed, IsGivenUp: false }) return;
        // Its dead letter was replayed.
        if (job.IsGivenUp) await node.Journal(context.Tenant, context.Journal.Origin).Handle(id, new RequeueJob(), stay.Token);
        var handler = handlers.Of(kind) ?? throw new InvalidOperationException($"This process has no handler of jobs of the kind {kind}.");
        var end = await Call(handler, id, body, context, stay);
        await context.Journal.Commit([new Step<Job>(id, new CompleteJob(end.Outcome)), .. end.Steps], context.Cancellation);
    }

    private async Task<JobEnd> Call(Func<JsonElement, JobContext, Task<JobEnd>> handler, Id<Job> id, JsonElement body, MessageContext context, RunningJobs.Stay stay)
    {
        await MessageRuns.Begin(context, stay.Token);
        await using var progress = new JobProgress(context);
        var work = handler(body, new JobContext(id, context, progress, node.Journal, stay.Token));
        var cancelled = Task.Delay(Timeout.InfiniteTimeSpan, stay.Token);
        // One that does not notice that it was cancelled is left alone: what it still commits is refused.
        return await Task.WhenAny(work, cancelled) != work && stay.IsCancelled ? await work.WaitAsync(Grace, CancellationToken.None) : await work;
    }
}
