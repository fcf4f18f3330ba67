namespace Nubabel.Store;

/// <summary>
/// The histories that this node has used lately, by tenant and stream: whole, from the first event on, and as old as they were then. So whoever decides on one
/// appends under its version, and asks the log before it answers anything else. Bounded by what they weigh; what was used longest ago goes first.
/// </summary>
/// <param name="mostBytes">Of all histories together, by <see cref="Recorded.Weight"/>; 0 keeps none.</param>
public sealed class Histories(long mostBytes = Histories.MostBytes)
{
    /// <summary>What they may weigh where nothing else is said.</summary>
    public const long MostBytes = 64L << 20;

    /// <summary>A history that weighs more than this part of the whole is not kept: one stream would push out thousands.</summary>
    private const int HeaviestPart = 8;

    private readonly object gate = new();
    private readonly Dictionary<(string Tenant, string Stream), LinkedListNode<Kept>> kept = [];
    private readonly LinkedList<Kept> byUse = new();
    private long bytes;

    /// <summary>What is held now weighs so much.</summary>
    public long Bytes
    {
        get { lock (gate) return bytes; }
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
        if (!IsWhole(history)) return;
        Kept? before;
        lock (gate) before = kept.GetValueOrDefault((tenant, stream))?.Value;
        if (before?.History.Count >= history.Count) return;
        // Of a history that goes on, only what is new is weighed.
        var goesOn = before is not null && ReferenceEquals(before.History[^1], history[before.History.Count - 1]);
        var weight = goesOn ? before!.Weight + WeightOf(history, before.History.Count) : WeightOf(history, 0);
        lock (gate)
        {
            if (kept.TryGetValue((tenant, stream), out var node))
            {
                if (node.Value.History.Count >= history.Count) return;
                Drop(node);
            }
            if (weight > mostBytes / HeaviestPart) return;
            kept[(tenant, stream)] = byUse.AddFirst(new Kept(tenant, stream, history, weight));
            bytes += weight;
            while (bytes > mostBytes) Drop(byUse.Last!);
        }
    }

    /// <summary>Forgets a history that the log contradicts.</summary>
    public void Forget(string tenant, string stream)
    {
        lock (gate)
            if (kept.TryGetValue((tenant, stream), out var node)) Drop(node);
    }

    /// <summary>From the first event on, without a hole.</summary>
    internal static bool IsWhole(IReadOnlyList<Recorded> history) => history.Count > 0 && history[0].Version == 1 && history[^1].Version == history.Count;

    private static long WeightOf(IReadOnlyList<Recorded> history, int from)
    {
        long weight = 0;
        for (var i = from; i < history.Count; i++) weight += history[i].Weight.Bytes;
        return weight;
    }

    private void Drop(LinkedListNode<Kept> node)
    {
        kept.Remove((node.Value.Tenant, node.Value.Stream));
        byUse.Remove(node);
        bytes -= node.Value.Weight;
    }

    private sealed record Kept(string Tenant, string Stream, IReadOnlyList<Recorded> History, long Weight);
}
