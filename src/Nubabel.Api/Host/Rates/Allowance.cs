namespace Nubabel.Api.Host.Rates;

/// <summary>So many requests a minute, evenly, and so many of them at once.</summary>
/// <param name="PerMinute">0: no limit.</param>
/// <param name="Burst">What somebody may send at once who has sent nothing for a while.</param>
public readonly record struct Allowance(int PerMinute, int Burst)
{
    /// <summary>The part of a minute's requests that may come at once where nothing else is said.</summary>
    private const int UsualShare = 4;

    public bool IsOff => PerMinute == 0;

    /// <summary>What one request costs, in ticks; rounded up, so that never more than the rate gets in.</summary>
    internal long Interval => (TimeSpan.TicksPerMinute + PerMinute - 1) / PerMinute;

    /// <summary>The time in which a spent burst comes back, in ticks.</summary>
    internal long Capacity => Interval * Burst;

    /// <summary>The same in seconds, for <c>RateLimit-Policy</c>: the burst in this window is the rate.</summary>
    internal long WindowSeconds => Math.Max(1, (Capacity + TimeSpan.TicksPerSecond - 1) / TimeSpan.TicksPerSecond);

    /// <summary>This, or the rate that an organization has of its own, with a burst in the same proportion.</summary>
    internal Allowance Or(int? perMinute) => perMinute is not > 0 ? this
        : new Allowance(perMinute.Value, (int)Math.Max(1, IsOff ? perMinute.Value / UsualShare : Math.Min(int.MaxValue, (long)Burst * perMinute.Value / PerMinute)));
}
