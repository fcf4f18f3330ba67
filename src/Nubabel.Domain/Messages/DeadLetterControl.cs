namespace Nubabel.Domain.Messages;

/// <summary>A dead letter is to be handled once more.</summary>
/// <param name="Tenant">Whose letter it is.</param>
/// <param name="Type">The alias of the message's type.</param>
/// <param name="Round">How often it had been replayed before, so that one death is answered once.</param>
/// <param name="Edited">With another body than it died with; that stands in the letter and not in the log.</param>
public sealed record DeadLetterReplayed(string Tenant, string Queue, string Type, int Round, bool Edited = false, Reason? Reason = null) : Event<DeadLetterControl>;

/// <summary>A dead letter is not to be handled.</summary>
/// <param name="Tenant">Whose letter it is.</param>
/// <param name="Type">The alias of the message's type.</param>
/// <param name="Round">How often it had been replayed before.</param>
public sealed record DeadLetterDiscarded(string Tenant, string Queue, string Type, int Round, Reason Reason) : Event<DeadLetterControl>;

/// <summary>Somebody has looked into a dead letter: at its body, headers and errors.</summary>
/// <param name="Tenant">Whose letter it is.</param>
/// <param name="Type">The alias of the message's type.</param>
/// <param name="Opened">Its personal values were opened for that.</param>
public sealed record DeadLetterRead(string Tenant, string Queue, string Type, bool Opened) : Event<DeadLetterControl>;

public sealed record ReplayDeadLetter(string Tenant, string Queue, string Type, int Round, bool Edited = false, Reason? Reason = null) : Command<DeadLetterControl>;
public sealed record DiscardDeadLetter(string Tenant, string Queue, string Type, int Round, Reason Reason) : Command<DeadLetterControl>;
public sealed record ReadDeadLetter(string Tenant, string Queue, string Type, bool Opened) : Command<DeadLetterControl>, IRecordsEachTime;

/// <summary>
/// What operators have done about a dead letter: a stream of the platform, named by the message's id. The letter itself is a row of the engine, and its state
/// follows from these orders and from what handlers do.
/// </summary>
/// <param name="Rounds">How many of the letter's deaths are dealt with.</param>
public sealed record DeadLetterControl(int Rounds) : IAggregate<DeadLetterControl>
{
    public static string Kind => "dead-letter";
    public static DeadLetterControl Initial { get; } = new(0);

    public static DeadLetterControl Evolve(DeadLetterControl state, Event<DeadLetterControl> e) => e switch
    {
        DeadLetterReplayed r => state with { Rounds = r.Round + 1 },
        DeadLetterDiscarded d => state with { Rounds = d.Round + 1 },
        DeadLetterRead => state,
        _ => state,
    };

    /// <summary>Of those who order at the same time the first is granted; to the others it is so already.</summary>
    public static IReadOnlyList<Event<DeadLetterControl>> Decide(DeadLetterControl state, Command<DeadLetterControl> command, Context at) => command switch
    {
        ReplayDeadLetter c => state.Rounds > c.Round ? [] : [new DeadLetterReplayed(c.Tenant, c.Queue, c.Type, c.Round, c.Edited, c.Reason)],
        DiscardDeadLetter c => state.Rounds > c.Round ? [] : [new DeadLetterDiscarded(c.Tenant, c.Queue, c.Type, c.Round, c.Reason)],
        ReadDeadLetter c => [new DeadLetterRead(c.Tenant, c.Queue, c.Type, c.Opened)],
        _ => throw new NotSupportedException(command.GetType().Name),
    };
}
