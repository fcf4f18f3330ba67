namespace Nubabel.Store;

/// <summary>
/// The streams that this node has used lately, by tenant and name, as old as they were then: what was folded of them, and not their events. So whoever decides on one appends under
/// its version, and asks the log before it answers anything else. Bounded by what they weigh; what was used longest ago goes first. Those that were used once make room for each other
/// and have half of it at most, so that going through very many takes nothing from those that are used again and again.
/// </summary>
/// <param name="mostBytes">Of all together, by <see cref="Seen.Weight(long)"/>; 0 keeps none.</param>
public sealed class RememberedStreams(long mostBytes = RememberedStreams.MostBytes)
{
    /// <summary>What they may weigh where nothing else is said.</summary>
    public const long MostBytes = 64L << 20;

    /// <summary>One that weighs more than this part of the whole is not kept: it would push out thousands.</summary>
    private const int HeaviestPart = 8;

    /// <summary>The part of the whole that those may have that were used once.</summary>
    private const int OncePart = 2;

    private readonly Lock gate = new();
    private readonly Dictionary<(string Tenant, string Stream), LinkedListNode<Kept>> kept = [];
    private readonly LinkedList<Kept> once = new(), often = new();
    private long bytes, onceBytes;

    /// <summary>What is held now weighs so much.</summary>
    public long Bytes
    {
        get { lock (gate) return bytes; }
    }

    /// <summary>The stream as it was when it was last seen; null when it is not kept.</summary>
    public Seen? Find(string tenant, string stream)
    {
        lock (gate)
        {
            if (!kept.TryGetValue((tenant, stream), out var node)) return null;
            var list = node.List!;
            list.Remove(node);
            list.AddFirst(node);
            return node.Value.Seen;
        }
    }

    /// <summary>Keeps a stream, unless it is kept already as it was later: its writer was faster with the log and slower here.</summary>
    /// <param name="isUse">Whether this is a use of its own, and not the rest of one.</param>
    public void Keep(string tenant, string stream, Seen seen, bool isUse = true)
    {
        ArgumentNullException.ThrowIfNull(seen);
        if (seen.Version == 0 || mostBytes == 0) return;
        if (!seen.IsSound)
        {
            Forget(tenant, stream);
            return;
        }
        var weight = seen.Weight(mostBytes / HeaviestPart);
        lock (gate)
        {
            var again = false;
            if (kept.TryGetValue((tenant, stream), out var node))
            {
                again = isUse || node.List == often;
                if (node.Value.Seen.Version >= seen.Version) (seen, weight) = (node.Value.Seen, node.Value.Weight);
                Drop(node);
            }
            if (weight <= mostBytes / HeaviestPart) Add(new Kept(tenant, stream, seen, weight), again ? often : once);
        }
    }

    /// <summary>Forgets a stream that the log contradicts.</summary>
    public void Forget(string tenant, string stream)
    {
        lock (gate)
            if (kept.TryGetValue((tenant, stream), out var node)) Drop(node);
    }

    /// <summary>Forgets all: the log is another one now.</summary>
    public void Clear()
    {
        lock (gate)
        {
            kept.Clear();
            once.Clear();
            often.Clear();
            (bytes, onceBytes) = (0, 0);
        }
    }

    private void Add(Kept next, LinkedList<Kept> to)
    {
        kept[(next.Tenant, next.Stream)] = to.AddFirst(next);
        bytes += next.Weight;
        if (to == once) onceBytes += next.Weight;
        // The one that has just come stays, however heavy it is.
        while (once.Count > 1 && onceBytes > mostBytes / OncePart) Drop(once.Last!);
        while (bytes > mostBytes) Drop((often.Last ?? once.Last)!);
    }

    private void Drop(LinkedListNode<Kept> node)
    {
        kept.Remove((node.Value.Tenant, node.Value.Stream));
        bytes -= node.Value.Weight;
        if (node.List == once) onceBytes -= node.Value.Weight;
        node.List!.Remove(node);
    }

    private sealed record Kept(string Tenant, string Stream, Seen Seen, long Weight);
}
