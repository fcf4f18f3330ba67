using System.Diagnostics;

namespace Nubabel.Store;

/// <summary>
/// When this process saw the log reach where, so that it can say for how long a read model has been behind. By the clock that is never set: an event's own
/// time comes from the clock of the node that wrote it, which may be minutes off.
/// </summary>
internal sealed class Sightings
{
    private const int Most = 1_000;
    private readonly Lock turn = new();
    private readonly List<(long Highest, long At)> seen = [];

    /// <summary>The log was visible up to here now.</summary>
    public void See(long highest) => See(highest, Stopwatch.GetTimestamp());

    internal void See(long highest, long at)
    {
        lock (turn)
        {
            // A log that ends before is another one (a failover, a restore): what was seen beyond its end will not come.
            while (seen.Count > 0 && seen[^1].Highest > highest) seen.RemoveAt(seen.Count - 1);
            if (seen.Count > 0 && seen[^1].Highest == highest) return;
            // Half of them tell nearly as much; the first one, by which the longest delay is told, stays.
            if (seen.Count == Most)
                for (var i = Most - 1; i > 0; i -= 2) seen.RemoveAt(i);
            seen.Add((highest, at));
        }
    }

    /// <summary>Since when something beyond this position has been there to be projected; zero when nothing has.</summary>
    public TimeSpan Behind(long position) => Behind(position, Stopwatch.GetTimestamp());

    internal TimeSpan Behind(long position, long now)
    {
        lock (turn)
        {
            foreach (var (highest, at) in seen)
                if (highest > position) return Stopwatch.GetElapsedTime(at, now);
            return TimeSpan.Zero;
        }
    }
}
