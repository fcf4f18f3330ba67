namespace Nubabel.Store;

/// <summary>The part of the unit of work that is about messages.</summary>
public sealed partial class Journal
{
    private readonly List<Outgoing> pending = [];

    /// <summary>Where messages go; a journal without it enqueues none.</summary>
    public Outbox? Outbox { get; init; }

    /// <summary>Set in a handler: its first commit says in the same transaction that the message is done.</summary>
    internal HandlerCommit? Handler { get; set; }

    /// <summary>Messages that wait for the next commit.</summary>
    internal IReadOnlyList<Outgoing> Pending => pending;

    /// <summary>
    /// Enqueues a message with the next commit of this journal, in its transaction: both happen or none. A command that turns out to change nothing commits
    /// nothing, and nothing is enqueued.
    /// </summary>
    /// <returns>The message's id.</returns>
    public Guid Enqueue(Message message)
    {
        if (Handler is { IsOver: true }) throw new InvalidOperationException("The handler has committed: what it enqueues comes before that.");
        var draft = Out().Draft(tenant, message, origin, Now());
        pending.Add(draft);
        return draft.Id;
    }

    /// <summary>Writes what is enqueued so far now, in a transaction of its own.</summary>
    /// <returns>The ids of the messages that were written: one whose once-only id is known already is left out.</returns>
    public async Task<IReadOnlyList<Guid>> Send(CancellationToken ct)
    {
        if (Handler is not null) throw new InvalidOperationException("What a handler enqueues goes with its commit.");
        if (pending.Count == 0) return [];
        var written = await Out().Send(database.Api, tenant, pending, ct);
        pending.Clear();
        return written;
    }

    /// <summary>Takes back what is enqueued and not committed yet.</summary>
    public void TakeBack() => pending.Clear();

    private void Carry()
    {
        if (pending.Count == 0) return;
        Out().Enqueued(pending.Select(m => m.Type.Queue).Distinct());
        pending.Clear();
    }

    private Outbox Out() => Outbox ?? throw new InvalidOperationException("This journal was made without an outbox.");
}

/// <summary>A handler's commit: what it appends and enqueues, and that its message is done.</summary>
internal abstract class HandlerCommit
{
    /// <summary>The handler has committed.</summary>
    public bool IsOver { get; private set; }

    public async Task<Appended> Commit(AppendItem item, IReadOnlyList<Outgoing> enqueued, CancellationToken ct)
    {
        if (IsOver) throw new InvalidOperationException("A handler commits once.");
        var result = await Write(item, enqueued, ct);
        IsOver = result is Appended.Done;
        return result;
    }

    protected abstract Task<Appended> Write(AppendItem item, IReadOnlyList<Outgoing> enqueued, CancellationToken ct);
}
