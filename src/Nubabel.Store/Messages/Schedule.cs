namespace Nubabel.Store;

/// <summary>What becomes of ticks whose time passed while no process was there.</summary>
public enum MissedTicks
{
    /// <summary>They are left out; the next one comes at its time.</summary>
    Skip,

    /// <summary>The latest of them comes at once, the others are left out.</summary>
    Once,

    /// <summary>Each of them comes, in order.</summary>
    All,
}

/// <summary>A message that is enqueued again and again, each tick once, however many processes there are and whenever they start.</summary>
/// <param name="Tenant">Whose it is; the platform's for what belongs to nobody.</param>
/// <param name="Name">Unique for the tenant.</param>
/// <param name="Cron">Five fields: minute, hour, day of the month, month, day of the week.</param>
/// <param name="Body">The body of each message.</param>
public sealed record Schedule(string Tenant, string Name, string Cron, object Body)
{
    /// <summary>An IANA time zone; the fields of <see cref="Cron"/> are in its local time.</summary>
    public string Zone { get; init; } = "UTC";

    public MissedTicks Missed { get; init; } = MissedTicks.Once;

    /// <summary>The key of each message.</summary>
    public string? Key { get; init; }

    /// <summary>Who stands behind each message.</summary>
    public string Actor { get; init; } = "system:schedule";
}
