namespace Nubabel.Store;

/// <summary>
/// The histories that this node has used lately, by tenant and stream: whole, from the first event on, and as old as they were then. So whoever decides on one
/// appends under its version, and asks the log before it answers anything else. Bounded by what they weigh; what was used longest ago goes first. Those that were used once
/// have only a small part of the room: a garbage collector pays for all that stays for a while, and most of them are not asked for again.
/// </summary>
/// <param name="mostBytes">Of all histories together, by <see cref="Recorded.Weight"/>; 0 keeps none.</param>
public sealed class Histories(long mostBytes = Histories.MostBytes)
{
    /// <summary>What they may weigh where nothing else is said.</summary>
    public const long MostBytes = 64L << 20;

    /// <summary>A history that weighs more than this part of the whole is not kept: one stream would push out thousands.</summary>
    private const int HeaviestPart = 8;

    /// <summary>The part of the whole that those may have that were used once.</summary>
    private const int OncePart = 64;

    /// <summary>Two uses count together when fewer others than this lie between them, about.</summary>
    private const int Close = 2048;

    private readonly object gate = new();
    private readonly Dictionary<(string Tenant, string Stream), LinkedListNode<Kept>> kept = [];
    private readonly LinkedList<Kept> once = new(), often = new();

    /// <summary>What was used lately, each at the place that its name falls on, where the next one takes it.</summary>
    private readonly int[] lately = new int[Close];

    private long bytes, onceBytes;

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
            var list = node.List!;
            list.Remove(node);
            list.AddFirst(node);
            return node.Value.History;
        }
    }

    /// <summary>Keeps a whole history, unless a longer one of the stream is kept already: its writer was faster with the log and slower here.</summary>
    /// <param name="isUse">Whether this is a use of its own, and not the rest of one.</param>
    public void Keep(string tenant, string stream, IReadOnlyList<Recorded> history, bool isUse = true)
    {
        if (!IsWhole(history)) return;
        var again = isUse && WasUsed(tenant, stream);
        Kept? before;
        lock (gate) before = kept.GetValueOrDefault((tenant, stream))?.Value;
        if (before?.History.Count >= history.Count)
        {
            if (again) MoveUp(tenant, stream);
            return;
        }
        // Of a history that goes on, only what is new is weighed.
        var goesOn = before is not null && ReferenceEquals(before.History[^1], history[before.History.Count - 1]);
        var weight = goesOn ? before!.Weight + WeightOf(history, before.History.Count) : WeightOf(history, 0);
        lock (gate)
        {
            if (kept.TryGetValue((tenant, stream), out var node))
            {
                if (node.Value.History.Count >= history.Count) return;
                again |= node.List == often;
                Drop(node);
            }
            if (weight <= mostBytes / HeaviestPart) Add(new Kept(tenant, stream, history, weight), again ? often : once);
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

    /// <summary>Whether it was used lately; from now on it was. Two whose names fall together are taken for one: that costs some room and no more.</summary>
    private bool WasUsed(string tenant, string stream)
    {
        var name = HashCode.Combine(tenant, stream);
        ref var place = ref lately[(uint)name % Close];
        if (place == name) return true;
        place = name;
        return false;
    }

    private void MoveUp(string tenant, string stream)
    {
        lock (gate)
        {
            if (!kept.TryGetValue((tenant, stream), out var node) || node.List == often) return;
            Drop(node);
            Add(node.Value, often);
        }
    }

    private static long WeightOf(IReadOnlyList<Recorded> history, int from)
    {
        long weight = 0;
        for (var i = from; i < history.Count; i++) weight += history[i].Weight.Bytes;
        return weight;
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

    private sealed record Kept(string Tenant, string Stream, IReadOnlyList<Recorded> History, long Weight);
}
