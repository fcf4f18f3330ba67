using System.Collections.Concurrent;

namespace Nubabel.Api.Host;

/// <summary>The events that requests have met and nobody could read: each is said in the log once, however often its stream is asked for.</summary>
public sealed class UnreadableEvents
{
    /// <summary>A program that writes nonsense may write any number of them; beyond this all are forgotten and said again.</summary>
    private const int Most = 1_000;

    private readonly ConcurrentDictionary<long, bool> known = new();

    /// <summary>True at the first time.</summary>
    public bool IsNew(long position)
    {
        if (known.Count >= Most) known.Clear();
        return known.TryAdd(position, true);
    }
}
