using System.Text.Json.Serialization;

namespace Nubabel.Bench;

/// <summary>One measured figure, beside what it is compared with and what it should reach.</summary>
/// <param name="Work">What was done: <c>one event to a new stream, one tenant</c>.</param>
/// <param name="Value">In <paramref name="Unit"/>; the median of the rounds.</param>
/// <param name="Unit"><c>per s</c>, <c>events/s</c>, <c>ms</c>, <c>MB</c>.</param>
internal sealed record Row(string Work, double Value, string Unit)
{
    /// <summary>Callers or connections at the same time.</summary>
    public int? Callers { get; init; }

    public IReadOnlyList<Reference> Beside { get; init; } = [];

    /// <summary>What the figure should reach by itself.</summary>
    public Aim? Aim { get; init; }

    /// <summary>Milliseconds.</summary>
    public double? P50 { get; init; }

    /// <summary>Milliseconds.</summary>
    public double? P99 { get; init; }

    /// <summary>Cores that the process under measurement kept busy.</summary>
    public double? Cpu { get; init; }

    /// <summary>Cores that PostgreSQL kept busy.</summary>
    public double? PostgresCpu { get; init; }

    /// <summary>The most memory the process under measurement had resident, in MB.</summary>
    public double? PeakMb { get; init; }

    /// <summary>Managed bytes allocated for each.</summary>
    public double? Bytes { get; init; }

    /// <summary>The lowest and the highest of the rounds, where there were several.</summary>
    public (double Low, double High)? Spread { get; init; }

    /// <summary>Null where nothing is aimed at.</summary>
    public bool? Met => Aim is null && Beside.All(r => r.Times is null) ? null : Aim is not { IsMet: false } && Beside.All(r => r.Times is not { } times || RatioTo(r) >= times);

    /// <summary>How many times as good as the reference: what is counted per second is divided by it, what is waited for or filled is what it is divided by.</summary>
    public double RatioTo(Reference reference) => IsBetterWhenLow ? reference.Value / Value : Value / reference.Value;

    [JsonIgnore]
    public bool IsBetterWhenLow => Unit is "ms" or "s" or "MB";

    /// <summary>A row of a load that was run in rounds.</summary>
    public static Row Of(string work, int callers, Measured m, string unit = "per s", double each = 1) => new(work, m.PerSecond * each, unit)
    {
        Callers = callers,
        P50 = m.P50,
        P99 = m.P99,
        Cpu = m.Cpu,
        PostgresCpu = m.PostgresCpu,
        PeakMb = m.PeakMb,
        Bytes = m.Bytes,
        Spread = m.Spread is { } s ? (s.Low * each, s.High * each) : null,
    };
}

/// <summary>What a figure is compared with.</summary>
/// <param name="Quoted">Not measured here: published beside the aim. The product does not restore, or another machine measured it.</param>
/// <param name="Times">How many times as good as this the figure should be; null where it is only shown.</param>
internal sealed record Reference(string Name, double Value, double? Times = null, bool Quoted = false);

/// <summary>What a figure should reach by itself.</summary>
internal sealed record Aim(string Text, bool IsMet)
{
    public static Aim AtLeast(double value, double bound, string unit) => new($"≥ {Report.Number(bound, "0.##")} {unit}", value >= bound);
    public static Aim AtMost(double value, double bound, string unit) => new($"< {Report.Number(bound, "0.##")} {unit}", value < bound);
    public Aim And(Aim other) => new($"{Text}, {other.Text}", IsMet && other.IsMet);
}
