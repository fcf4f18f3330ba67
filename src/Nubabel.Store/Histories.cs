namespace Nubabel.Store;

/// <summary>
/// The histories that this node has used lately, by tenant and stream: whole, from the first event on, and as old as they were then. So whoever decides on one
/// appends under its version, and asks the log before it answers anything else. Bounded; what was used longest ago goes first.
/// </summary>
/// <param name="mostEvents">Of all histories together.</param>
public sealed class Histories(int mostEvents = Histories.MostEvents)
{
    /// <summary>Events in a node's memory, where nothing else is said: tens of megabytes.</summary>
    public const int MostEvents = 40_000;

    /// <summary>A longer history is not kept: one stream would push out hundreds.</summary>
    public const int Longest = 500;

    private readonly object gate = new();
    private readonly Dictionary<(string Tenant, string Stream), LinkedListNode<Kept>> kept = [];
    private readonly LinkedList<Kept> byUse = new();
    private int events;

    /// <summary>Events held now.</summary>
    public int Events
    {
        get { lock (gate) return events; }
    }

    /// <summary>The history as it was when it was last seen; null when it is not kept.</summary>
    public IReadOnlyList<Recorded>? Find(string tenant, string stream)
    {
        lock (gate)
        {
            if (!kept.TryGetValue((tenant, stream), out var node)) return null;
            byUse.Remove(node);
            byUse.AddFirst(node);
            return node.Value.History;
        }
    }

    /// <summary>Keeps a whole history, unless a longer one of the stream is kept already: its writer was faster with the log and slower here.</summary>
    public void Keep(string tenant, string stream, IReadOnlyList<Recorded> history)
    {
        if (history.Count == 0 || history[0].Version != 1 || history[^1].Version != history.Count) return;
        lock (gate)
        {
            if (kept.TryGetValue((tenant, stream), out var node))
            {
                if (node.Value.History.Count >= history.Count) return;
                Drop(node);
            }
            if (history.Count > Math.Min(Longest, mostEvents)) return;
            kept[(tenant, stream)] = byUse.AddFirst(new Kept(tenant, stream, history));
            events += history.Count;
            while (events > mostEvents) Drop(byUse.Last!);
        }
    }

    /// <summary>Forgets a history that the log contradicts.</summary>
    public void Forget(string tenant, string stream)
    {
        lock (gate)
            if (kept.TryGetValue((tenant, stream), out var node)) Drop(node);
    }

    private void Drop(LinkedListNode<Kept> node)
    {
        kept.Remove((node.Value.Tenant, node.Value.Stream));
        byUse.Remove(node);
        events -= node.Value.History.Count;
    }

    private sealed record Kept(string Tenant, string Stream, IReadOnlyList<Recorded> History);
}
