namespace Nubabel.Store;

/// <summary>
/// Commits that wait for their turn: in the order of coming within a tenant, and one tenant after the other, so that whoever has many waiting delays the others
/// by one each. Not for concurrent use: its owner holds a lock.
/// </summary>
internal sealed class FairQueue
{
    private readonly Dictionary<string, Queue<AppendEntry>> tenants = [];
    private readonly Queue<string> turns = new();

    /// <summary>How many wait, those included whose callers have gone.</summary>
    public int Count { get; private set; }

    public void Add(AppendEntry entry)
    {
        if (!tenants.TryGetValue(entry.Tenant, out var queue))
        {
            tenants[entry.Tenant] = queue = new Queue<AppendEntry>();
            turns.Enqueue(entry.Tenant);
        }
        queue.Enqueue(entry);
        Count++;
    }

    /// <summary>The next one whose caller still waits; null when there is none.</summary>
    /// <param name="fits">Whether it may go now; a tenant whose next one may not is passed over.</param>
    public AppendEntry? Take(Func<AppendEntry, bool> fits)
    {
        for (var left = turns.Count; left > 0; left--)
        {
            var tenant = turns.Dequeue();
            var queue = tenants[tenant];
            while (queue.TryPeek(out var gone) && gone.Phase == EntryPhase.Ended) Remove(queue);
            var entry = queue.TryPeek(out var next) && fits(next) ? Remove(queue) : null;
            if (queue.Count > 0) turns.Enqueue(tenant);
            else tenants.Remove(tenant);
            if (entry is not null) return entry;
        }
        return null;
    }

    private AppendEntry Remove(Queue<AppendEntry> queue)
    {
        Count--;
        return queue.Dequeue();
    }
}
