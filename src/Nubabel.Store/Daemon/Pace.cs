using System.Diagnostics;

namespace Nubabel.Store;

/// <summary>
/// The distance between the rounds of a loop that follows the log. A round costs much the same whether it brings one event or a hundred, so where many come
/// the rounds keep a distance and share that cost. Where few come, and after a pause, a round begins at once.
/// </summary>
internal sealed class Pace
{
    /// <summary>From the beginning of one round to the next one's, while many events come. Readers wait half of it on average.</summary>
    public static readonly TimeSpan Distance = TimeSpan.FromMilliseconds(10);

    /// <summary>So many events in one round are many: 400 a second at the distance, some 1,500 without.</summary>
    public const int Many = 4;

    private long began;

    public void Begin() => began = Stopwatch.GetTimestamp();

    /// <summary>Keeps the distance behind a round that met so many events.</summary>
    public async Task Keep(long events, CancellationToken ct)
    {
        if (events < Many) return;
        var rest = Distance - Stopwatch.GetElapsedTime(began);
        if (rest > TimeSpan.Zero) await Task.Delay(rest, ct);
    }
}
