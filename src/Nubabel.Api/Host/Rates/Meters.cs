using System.Collections.Concurrent;

namespace Nubabel.Api.Host.Rates;

/// <summary>
/// The meters of one policy, in a table of bounded size. A meter that is full says nothing, so it goes when room is needed; a flood of new keys, each of
/// which spends little, therefore costs a sweep now and then, and no memory.
/// </summary>
/// <param name="name">As the headers and the notes to other nodes call it.</param>
/// <param name="clock">The node's clock, in ticks.</param>
internal sealed class Meters(string name, Func<long> clock, int bound = Meters.Bound)
{
    /// <summary>Keys of a policy that a node keeps apart. About 15 MB when full.</summary>
    public const int Bound = 100_000;

    private readonly ConcurrentDictionary<UInt128, Meter> meters = new();
    private readonly ConcurrentQueue<Meter> untold = new();
    private int count;
    private long nextSweep = long.MinValue;
    private long rounds;

    public string Name => name;
    public int Count => Volatile.Read(ref count);

    /// <summary>How often this node has told others, since the start.</summary>
    public long Rounds => Interlocked.Read(ref rounds);

    public Taken Take(UInt128 id, in Allowance allowance)
    {
        var meter = Of(id);
        var taken = meter.Take(allowance, clock(), out var tells);
        if (tells) untold.Enqueue(meter);
        return taken;
    }

    public void Return(UInt128 id, in Allowance allowance) => Of(id).Return(allowance);

    public void Charge(UInt128 id, long ticks) => Of(id).Charge(ticks, clock());

    /// <summary>Nothing would pass now.</summary>
    public bool IsSpent(UInt128 id, in Allowance allowance) => !allowance.IsOff && meters.TryGetValue(id, out var meter) && meter.IsSpent(allowance, clock());

    /// <summary>What other nodes do not know yet: each key with the ticks spent here.</summary>
    public IEnumerable<(UInt128 Id, long Ticks)> Tell()
    {
        Interlocked.Increment(ref rounds);
        // Those that are there now: one that goes on spending comes with the next round.
        for (var left = untold.Count; left > 0 && untold.TryDequeue(out var meter); left--)
            if (meter.Tell() is > 0 and var ticks) yield return (meter.Id, ticks);
    }

    private Meter Of(UInt128 id)
    {
        if (meters.TryGetValue(id, out var known)) return known;
        var fresh = new Meter(id);
        // Where not even a sweep finds room (so many that spend at once get no answer from this machine anyway) a key goes unmetered rather than the table over its bound.
        if (Count >= bound && !Sweep()) return fresh;
        if (!meters.TryAdd(id, fresh)) return meters.GetValueOrDefault(id, fresh);
        Interlocked.Increment(ref count);
        return fresh;
    }

    private bool Sweep()
    {
        var now = clock();
        // One at a time, and not again at once when it found little.
        var due = Volatile.Read(ref nextSweep);
        if (now < due || Interlocked.CompareExchange(ref nextSweep, now + TimeSpan.TicksPerSecond, due) != due) return Count < bound;
        foreach (var entry in meters)
            if (entry.Value.IsFull(now) && meters.TryRemove(entry)) Interlocked.Decrement(ref count);
        return Count < bound;
    }
}
