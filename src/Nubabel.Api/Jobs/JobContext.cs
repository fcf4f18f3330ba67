using Nubabel.Domain;
using Nubabel.Domain.Jobs;
using Nubabel.Store;

namespace Nubabel.Api.Jobs;

/// <summary>What the handler of a job is given beside its body.</summary>
/// <param name="Job">The job's id.</param>
/// <param name="Cancellation">Somebody cancelled the job, its time is over, or the process stops or has lost it.</param>
public sealed record JobContext(Id<Job> Job, MessageContext Message, JobProgress Progress, Func<string, Origin, Journal> Journals, CancellationToken Cancellation)
{
    public string Tenant => Message.Tenant;

    /// <summary>Who started it.</summary>
    public string Starter => Message.Actor;

    /// <summary>Enqueues a message with the end of the job: not when it fails or was cancelled.</summary>
    public void Enqueue(Message message) => Message.Journal.Enqueue(message);

    /// <summary>Says how far it is, as often as it likes: it is written once a second at most.</summary>
    /// <param name="total">Null while it is not known.</param>
    /// <param name="text">A few words for people; no personal data.</param>
    public void Report(long done, long? total = null, string? text = null) => Progress.Report(done, total, text);

    /// <summary>
    /// A journal for what is committed while the job goes on, as its starter. It takes no part in the job's end: what is done with it stays when the job is
    /// cancelled, and is done again when the job is. For reading there is <see cref="MessageContext.Journal"/>.
    /// </summary>
    public Journal Beside() => Journals(Tenant, Message.Journal.Origin);
}
