namespace Nubabel.Store;

/// <summary>
/// How many events the next batch takes. It doubles while there is more to do and a batch is quick, and shrinks to what fits into the aim when one was slow:
/// readers wait no longer than a batch, and a pause or a stop waits for one. Bytes are bounded by <see cref="EventPages"/>.
/// </summary>
internal sealed class BatchSize(int largest)
{
    /// <summary>However slow the database is: what costs so much is not the number of events.</summary>
    public const int Smallest = 50;

    private const int First = 500;
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan Aim = TimeSpan.FromMilliseconds(150);
    private static readonly TimeSpan Long = TimeSpan.FromMilliseconds(250);

    public int Events { get; private set; } = Math.Min(First, largest);

    /// <summary>A batch of so many events took so long.</summary>
    public void Took(int events, TimeSpan time)
    {
        if (time > Long) Events = Math.Clamp((int)(Math.Max(events, Smallest) * (Aim / time)), Math.Min(Smallest, largest), largest);
        // One that was not full says nothing about larger ones.
        else if (time < Short && events >= Events) Events = Math.Min(2 * Events, largest);
    }
}
