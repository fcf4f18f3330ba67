namespace Nubabel.Api.Host.Rates;

/// <summary>What became of one request at a meter.</summary>
/// <param name="Remaining">Requests that would still pass now.</param>
/// <param name="Wait">Ticks until one more would pass than now.</param>
internal readonly record struct Taken(bool Passed, long Remaining, long Wait)
{
    /// <summary>Whole seconds, at least 1.</summary>
    public int WaitSeconds => (int)Math.Clamp((Wait + TimeSpan.TicksPerSecond - 1) / TimeSpan.TicksPerSecond, 1, int.MaxValue);
}

/// <summary>
/// A token bucket as the generic cell rate algorithm has it (ITU-T I.371): one number, the time up to which everything that was let in is paid for. A
/// bucket is full when that time is past, and empty when it lies a whole burst ahead. It is changed by compare-and-swap, so that exactly as many requests
/// pass as there is room for, however many come at once; nothing has to fill it up.
/// </summary>
internal sealed class Meter(UInt128 id)
{
    /// <summary>How far other nodes' spending may put a bucket below empty. It also bounds what a clock that runs backwards could do.</summary>
    internal const long LongestDebt = TimeSpan.TicksPerMinute;

    /// <summary>No note of another node is worth more than this.</summary>
    private const long MostAtOnce = TimeSpan.TicksPerHour;

    // Long past, and far enough from the end of numbers to be reckoned with.
    private long paidUntil = long.MinValue / 2;
    private long untold;
    private int isListed;

    public UInt128 Id => id;

    /// <param name="now">Ticks of a clock that only this process knows.</param>
    /// <param name="tells">Other nodes should hear now what was spent here.</param>
    public Taken Take(in Allowance allowance, long now, out bool tells)
    {
        var (interval, capacity) = (allowance.Interval, allowance.Capacity);
        while (true)
        {
            var seen = Volatile.Read(ref paidUntil);
            var worst = now + capacity + LongestDebt;
            var after = Math.Clamp(seen, now, worst) + interval;
            var spare = now + capacity - after;
            tells = false;
            if (spare < 0)
            {
                // Written down, or a clock that has jumped back would begin the wait anew at every look.
                if (seen > worst) Interlocked.CompareExchange(ref paidUntil, worst, seen);
                return new Taken(false, 0, -spare);
            }
            if (Interlocked.CompareExchange(ref paidUntil, after, seen) != seen) continue;
            tells = Interlocked.Add(ref untold, interval) > capacity / Exchange.Threshold && Interlocked.Exchange(ref isListed, 1) == 0;
            return new Taken(true, spare / interval, interval - spare % interval);
        }
    }

    /// <summary>Gives one request back that was let in here and refused elsewhere.</summary>
    public void Return(in Allowance allowance)
    {
        Interlocked.Add(ref paidUntil, -allowance.Interval);
        Interlocked.Add(ref untold, -allowance.Interval);
    }

    /// <summary>Takes off what was spent at another node.</summary>
    public void Charge(long ticks, long now)
    {
        var debt = Math.Clamp(ticks, 0, MostAtOnce);
        while (true)
        {
            var seen = Volatile.Read(ref paidUntil);
            if (Interlocked.CompareExchange(ref paidUntil, Math.Min(Math.Max(seen, now) + debt, now + MostAtOnce), seen) == seen) return;
        }
    }

    /// <summary>What was spent here since the last time, in ticks.</summary>
    public long Tell()
    {
        Volatile.Write(ref isListed, 0);
        return Interlocked.Exchange(ref untold, 0);
    }

    public bool IsSpent(in Allowance allowance, long now) => Volatile.Read(ref paidUntil) + allowance.Interval > now + allowance.Capacity;

    public bool IsFull(long now) => Volatile.Read(ref paidUntil) <= now;
}
