namespace Nubabel.Domain.Retention;

/// <summary>All organizations were looked through for what is too old, and a run was started for each that has something: the line of a day, also when nothing was found.</summary>
/// <param name="At">The time from which periods were counted back.</param>
/// <param name="Due">In so many organizations something was due, the platform's own data being one.</param>
/// <param name="Failed">Categories that could not be looked through, by commas; null for none.</param>
public sealed record RetentionRoundMade(DateTimeOffset At, int Due, string? Failed = null) : Event<RetentionRound>;

public sealed record MakeRetentionRound(DateTimeOffset At, int Due, string? Failed = null) : Command<RetentionRound>;

/// <summary>A scheduled look through all organizations.</summary>
public sealed record RetentionRound(bool IsMade) : IAggregate<RetentionRound>
{
    public static string Kind => "retention-round";
    public static RetentionRound Initial { get; } = new(false);

    public static RetentionRound Evolve(RetentionRound state, Event<RetentionRound> e) => e switch
    {
        RetentionRoundMade => new RetentionRound(true),
        _ => state,
    };

    public static IReadOnlyList<Event<RetentionRound>> Decide(RetentionRound state, Command<RetentionRound> command, Context at) => command switch
    {
        MakeRetentionRound c => state.IsMade ? [] : [new RetentionRoundMade(c.At, c.Due, c.Failed)],
        _ => throw new NotSupportedException(command.GetType().Name),
    };
}
