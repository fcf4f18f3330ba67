namespace Nubabel.Store;

/// <summary>
/// The hint that the log has grown: set after each append, heard by the loops of this process, and passed on to other nodes. A hint only:
/// whoever misses it polls.
/// </summary>
public sealed class Signal
{
    private TaskCompletionSource? anyWaiter;
    private TaskCompletionSource? ownWaiter;

    /// <summary>This process has appended. Cheap when nobody waits, and never blocks.</summary>
    public void Set()
    {
        Wake(ref ownWaiter);
        Heard();
    }

    /// <summary>Another node has appended.</summary>
    internal void Heard() => Wake(ref anyWaiter);

    /// <summary>Completes at the next hint. Take it before looking at the log, or a hint in between is lost.</summary>
    internal Task Next => Waiter(ref anyWaiter);

    /// <summary>Completes at the next hint of this process's own.</summary>
    internal Task NextOwn => Waiter(ref ownWaiter);

    private static void Wake(ref TaskCompletionSource? waiter) => Interlocked.Exchange(ref waiter, null)?.TrySetResult();

    private static Task Waiter(ref TaskCompletionSource? waiter)
    {
        var current = Volatile.Read(ref waiter);
        if (current is not null) return current.Task;
        var fresh = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        return (Interlocked.CompareExchange(ref waiter, fresh, null) ?? fresh).Task;
    }
}
