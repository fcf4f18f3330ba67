namespace Nubabel.Store;

/// <summary>How far a handler is.</summary>
/// <param name="Fraction">From 0 to 1; null when it cannot be said.</param>
public sealed record MessageProgress(double? Fraction, string? Note = null);

/// <summary>
/// The message cannot be handled, now or ever: it becomes a dead letter at once, whatever attempts are left.
/// </summary>
public sealed class Hopeless(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>The message is to be tried again at another time than the queue's back-off says; it counts as a failed attempt.</summary>
public sealed class TryAgain(string message, TimeSpan after, Exception? inner = null) : Exception(message, inner)
{
    public TimeSpan After => after;
}

/// <summary>
/// The message is to be handled later, and nothing has failed: no attempt is counted. One with a key keeps its place, and its key waits; what the handler has
/// enqueued is not.
/// </summary>
public sealed class NotYet(TimeSpan after) : Exception("The message is put off.")
{
    public TimeSpan After => after;
}

/// <summary>This process has lost the message to another one, or the attempt was given up: nothing it still does is written.</summary>
public sealed class MessageLost(Exception? inner = null) : Exception("The message is not this worker's any more.", inner);

/// <summary>What a handler is given beside the message.</summary>
/// <param name="Journal">
/// The unit of work of the message's tenant and actor. Its first commit carries everything: the events, the messages enqueued before it, and that this message
/// is done. So it is the handler's last act, and there is only one. A handler that commits nothing is done when it returns, and what it has enqueued goes with that.
/// </param>
/// <param name="Cancellation">The time limit, a lost lease, a stop of the process, or somebody cancelled it.</param>
public sealed class MessageContext(Delivery delivery, Journal journal, Func<MessageProgress, ValueTask> report, CancellationToken cancellation)
{
    public Delivery Delivery => delivery;
    public string Tenant => delivery.Tenant;
    public string Actor => delivery.Actor;
    public Journal Journal => journal;
    public CancellationToken Cancellation => cancellation;

    /// <summary>The worker that has the message in hand.</summary>
    public long Worker { get; init; }

    /// <summary>Says how far it is, to whoever shows it.</summary>
    public ValueTask Report(MessageProgress progress) => report(progress);
}
