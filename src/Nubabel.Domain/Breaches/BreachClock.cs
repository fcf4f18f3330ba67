using System.Text.Json.Serialization;

namespace Nubabel.Domain.Breaches;

/// <summary>How the 72 hours stand.</summary>
[JsonConverter(typeof(BreachClockStateConverter))]
public enum BreachClockState
{
    /// <summary>More than 24 hours are left.</summary>
    Running,

    /// <summary>At most 24 hours are left.</summary>
    DueSoon,

    /// <summary>They are over: a report now says why it is late.</summary>
    Overdue,

    /// <summary>Nothing has to be reported any more.</summary>
    Stopped,
}

internal sealed class BreachClockStateConverter() : WordConverter<BreachClockState>("breach.clock_invalid");

/// <summary>The time until a breach has to be reported to the authority: 72 hours from when it became known (Art. 33(1)).</summary>
/// <param name="RemainingSeconds">Below 0 when they are over; null once the clock has stopped.</param>
/// <param name="StoppedBecause"><c>reported</c>, <c>noRisk</c> or <c>closed</c>.</param>
/// <param name="WasLate">The first report came after the deadline.</param>
public sealed record BreachClock(DateTimeOffset Deadline, BreachClockState State, long? RemainingSeconds = null, string? StoppedBecause = null, bool WasLate = false)
{
    /// <summary>Art. 33(1).</summary>
    public static TimeSpan Limit { get; } = TimeSpan.FromHours(72);

    /// <summary>From here on it is due soon.</summary>
    public static TimeSpan Soon { get; } = TimeSpan.FromHours(24);

    /// <summary>From here on it is very soon: operators are told once more.</summary>
    public static TimeSpan VerySoon { get; } = TimeSpan.FromHours(12);

    /// <summary>The clock of a breach at a time.</summary>
    public static BreachClock Of(Breach breach, DateTimeOffset now)
    {
        var deadline = breach.Facts!.AwareAt + Limit;
        if (breach.Reports is [var first, ..]) return new BreachClock(deadline, BreachClockState.Stopped, null, "reported", first.ReportedAt > deadline);
        if (breach.Assessment?.Risk == BreachRisk.None) return new BreachClock(deadline, BreachClockState.Stopped, null, "noRisk");
        if (breach.Status == BreachStatus.Closed) return new BreachClock(deadline, BreachClockState.Stopped, null, "closed");
        var remaining = deadline - now;
        // Rounded up, so that nothing is over before it is.
        var state = remaining < TimeSpan.Zero ? BreachClockState.Overdue : remaining <= Soon ? BreachClockState.DueSoon : BreachClockState.Running;
        return new BreachClock(deadline, state, (long)Math.Ceiling(remaining.TotalSeconds));
    }
}
