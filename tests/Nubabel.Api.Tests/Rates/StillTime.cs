namespace Nubabel.Api.Tests.Rates;

/// <summary>A clock that stands until a test moves it; the time of day can be set apart from it, as an operator or NTP does.</summary>
internal sealed class StillTime : TimeProvider
{
    private static readonly DateTimeOffset Start = System.GetUtcNow();
    private long moved;
    private long set;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public void Move(TimeSpan by) => Interlocked.Add(ref moved, by.Ticks);

    public void Set(TimeSpan by) => Interlocked.Add(ref set, by.Ticks);

    public override long GetTimestamp() => Interlocked.Read(ref moved);

    public override DateTimeOffset GetUtcNow() => Start.AddTicks(Interlocked.Read(ref moved) + Interlocked.Read(ref set));
}
