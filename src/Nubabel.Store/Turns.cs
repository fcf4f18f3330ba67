using System.Runtime.InteropServices;

namespace Nubabel.Store;

/// <summary>
/// One at a time per key, in the order of coming; who needs several keys has them all or waits. Entries take their places at all their keys at once, so two can
/// never wait for each other. Not for concurrent use: its owner holds a lock.
/// </summary>
internal sealed class Turns
{
    private readonly Dictionary<AppendKey, Line> lines = [];

    /// <summary>Keys that somebody has or waits for.</summary>
    public int Count => lines.Count;

    /// <summary>True when all its keys are its own now; otherwise a later <see cref="Leave"/> names it.</summary>
    public bool Enter(AppendEntry entry)
    {
        foreach (var key in entry.Keys)
        {
            ref var line = ref CollectionsMarshal.GetValueRefOrAddDefault(lines, key, out var exists);
            if (!exists)
            {
                line.Holder = entry;
                continue;
            }
            // A key may be named twice by one commit.
            if (line.Holder == entry || line.Waiting?.LastOrDefault() == entry) continue;
            (line.Waiting ??= new Queue<AppendEntry>()).Enqueue(entry);
            entry.Blockers++;
        }
        return entry.Blockers == 0;
    }

    /// <summary>
    /// Gives the keys on. Whoever has all its keys by that comes into <paramref name="ready"/>; whoever is refused by what has just been committed comes into
    /// <paramref name="refused"/> with the answer, without asking the database.
    /// </summary>
    /// <param name="committed">The version that the entry's stream has now; 0 for unknown.</param>
    public void Leave(AppendEntry entry, long committed, List<AppendEntry> ready, List<(AppendEntry Entry, Appended Answer)> refused)
    {
        foreach (var key in entry.Keys)
        {
            ref var line = ref CollectionsMarshal.GetValueRefOrNullRef(lines, key);
            // Who has gone while waiting is passed over when its turn comes.
            if (System.Runtime.CompilerServices.Unsafe.IsNullRef(ref line) || line.Holder != entry) continue;
            line.Holder = null;
            while (line.Holder is null && line.Waiting is { Count: > 0 } waiting)
            {
                var next = waiting.Dequeue();
                if (next.Phase == EntryPhase.Ended) continue;
                if (key.Kind == AppendKey.Stream && next.IsStale(committed))
                {
                    refused.Add((next, new Appended.Conflict(key.Value, committed, false)));
                    continue;
                }
                line.Holder = next;
                if (--next.Blockers == 0) ready.Add(next);
            }
            if (line.Holder is null) lines.Remove(key);
        }
    }

    private struct Line
    {
        public AppendEntry? Holder;
        public Queue<AppendEntry>? Waiting;
    }
}
