using System.Text.Json.Serialization;

namespace Nubabel.Domain.Retention;

/// <summary>A run has begun.</summary>
/// <param name="At">The time from which periods are counted back; it stands in the event so that a run that goes on after a crash counts from the same.</param>
public sealed record RetentionRunBegun(DateTimeOffset At, RetentionTrigger Trigger) : Event<RetentionRun>;

/// <summary>What the run has done in one category. A category in which nothing was due has none.</summary>
/// <param name="Days">The period that counted.</param>
/// <param name="UpTo">What was older than this was due.</param>
/// <param name="From">The oldest that was removed; null where nothing was.</param>
/// <param name="Held">So many were due and stay under a legal hold.</param>
/// <param name="Sha256">Of the list of what was removed: each name with the hash before it, from 32 zero bytes on.</param>
/// <param name="Problem">Why the category was not done to its end.</param>
public sealed record RetentionRunCarriedOut(
    string Category, int Days, DateTimeOffset UpTo, DateTimeOffset? From, long Removed, long Held, string Sha256, string? Problem = null) : Event<RetentionRun>;

/// <summary>The run is over; a run that found nothing has this line alone.</summary>
/// <param name="Failed">Categories that were not done to their end.</param>
public sealed record RetentionRunEnded(RetentionEnd How, long Removed, long Held, int Failed) : Event<RetentionRun>;

/// <summary>What was done in one category.</summary>
public sealed record CategoryResult(string Category, int Days, DateTimeOffset UpTo, DateTimeOffset? From, long Removed, long Held, string Sha256, string? Problem = null);

public sealed record BeginRetentionRun(DateTimeOffset At, RetentionTrigger Trigger) : Command<RetentionRun>;

/// <summary>Writes down what was done; the first end counts.</summary>
public sealed record EndRetentionRun(RetentionEnd How, IReadOnlyList<CategoryResult> Results) : Command<RetentionRun>
{
    // By what it holds: a list alone would be equal to itself only.
    public bool Equals(EndRetentionRun? other) => other is not null && How == other.How && Results.SequenceEqual(other.Results);
    public override int GetHashCode() => HashCode.Combine(How, Results.Count);
}

/// <summary>Why a run was made.</summary>
[JsonConverter(typeof(RetentionTriggerConverter))]
public enum RetentionTrigger { Schedule, Person }

internal sealed class RetentionTriggerConverter() : WordConverter<RetentionTrigger>("retention.trigger_invalid");

/// <summary>How a run has ended. What was removed until then is removed in each case.</summary>
[JsonConverter(typeof(RetentionEndConverter))]
public enum RetentionEnd { Completed, Cancelled, Interrupted }

internal sealed class RetentionEndConverter() : WordConverter<RetentionEnd>("retention.end_invalid");

/// <summary>Where a run is in its life.</summary>
[JsonConverter(typeof(RetentionRunStateConverter))]
public enum RetentionRunState { None, Running, Completed, Cancelled, Interrupted }

internal sealed class RetentionRunStateConverter() : WordConverter<RetentionRunState>("retention.state_invalid");

/// <summary>A run of retention in one organization, or in the platform's own data: the evidence of what was removed because of its age.</summary>
public sealed record RetentionRun(RetentionRunState State, DateTimeOffset At) : IAggregate<RetentionRun>
{
    public static string Kind => "retention-run";
    public static RetentionRun Initial { get; } = new(RetentionRunState.None, default);

    public static RetentionRun Evolve(RetentionRun state, Event<RetentionRun> e) => e switch
    {
        RetentionRunBegun b => new RetentionRun(RetentionRunState.Running, b.At),
        RetentionRunCarriedOut => state,
        RetentionRunEnded r => state with { State = StateOf(r.How) },
        _ => state,
    };

    public static RetentionRunState StateOf(RetentionEnd how) => how switch
    {
        RetentionEnd.Completed => RetentionRunState.Completed,
        RetentionEnd.Cancelled => RetentionRunState.Cancelled,
        _ => RetentionRunState.Interrupted,
    };

    public static IReadOnlyList<Event<RetentionRun>> Decide(RetentionRun state, Command<RetentionRun> command, Context at) => command switch
    {
        BeginRetentionRun c => state.State == RetentionRunState.None ? [new RetentionRunBegun(c.At, c.Trigger)] : [],
        EndRetentionRun c => state.End(c),
        _ => throw new NotSupportedException(command.GetType().Name),
    };

    /// <summary>One answer for what never was and what belongs to another organization.</summary>
    public static Refused Missing() => new(RefusalKind.Missing, "retention_run.missing", "There is no such retention run.");

    private List<Event<RetentionRun>> End(EndRetentionRun c)
    {
        if (State == RetentionRunState.None) throw Missing();
        if (State != RetentionRunState.Running) return [];
        List<Event<RetentionRun>> events = [.. c.Results.Select(r => new RetentionRunCarriedOut(r.Category, r.Days, r.UpTo, r.From, r.Removed, r.Held, r.Sha256, r.Problem))];
        events.Add(new RetentionRunEnded(c.How, c.Results.Sum(r => r.Removed), c.Results.Sum(r => r.Held), c.Results.Count(r => r.Problem is not null)));
        return events;
    }
}
