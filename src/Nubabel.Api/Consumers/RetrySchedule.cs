namespace Nubabel.Api.Consumers;

/// <summary>When a delivery that failed is tried again: fifteen times in about three days, the pauses varied by a tenth so that what failed together is not tried together.</summary>
public static class RetrySchedule
{
    private static readonly TimeSpan[] Pauses =
    [
        TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(30), TimeSpan.FromMinutes(2), TimeSpan.FromMinutes(10), TimeSpan.FromMinutes(30), TimeSpan.FromHours(1), TimeSpan.FromHours(2),
        TimeSpan.FromHours(4), TimeSpan.FromHours(8), TimeSpan.FromHours(8), TimeSpan.FromHours(12), TimeSpan.FromHours(12), TimeSpan.FromHours(12), TimeSpan.FromHours(12),
    ];

    /// <summary>Attempts of a round, the first one included.</summary>
    public static int Attempts => Pauses.Length + 1;

    /// <summary>A delivery that has failed for so long is given up, however few attempts there were.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromDays(3);

    /// <summary>A consumer none of whose deliveries has succeeded for so long is disabled.</summary>
    public static readonly TimeSpan DisabledAfter = TimeSpan.FromDays(5);

    /// <summary>And only after so many attempts in a row have failed.</summary>
    public const int DisabledAfterFailures = 10;

    /// <summary>The pause after so many attempts, the failed one included; null when that was the last.</summary>
    /// <param name="since">When the first of them was.</param>
    /// <param name="wanted">What the endpoint asked for: it is not called before.</param>
    /// <param name="chance">From 0 to 1.</param>
    public static TimeSpan? After(int attempts, DateTimeOffset since, DateTimeOffset now, TimeSpan? wanted, double chance)
    {
        if (attempts > Pauses.Length) return null;
        var pause = Pauses[attempts - 1] * (0.9 + 0.2 * chance);
        if (wanted > pause) pause = wanted.Value;
        return now + pause - since > Longest ? null : pause;
    }
}
