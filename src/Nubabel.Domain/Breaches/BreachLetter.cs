using System.Text.Json.Serialization;
using Nubabel.Domain.Users;

namespace Nubabel.Domain.Breaches;

/// <summary>One person is to be told by letter.</summary>
/// <param name="Number">Of the wording.</param>
public sealed record BreachLetterOrdered(Id<Breach> Breach, BreachAudience Audience, int Number, Id<User> User) : Event<BreachLetter>;
public sealed record BreachLetterSent : Event<BreachLetter>;

/// <summary>It could not be delivered.</summary>
public sealed record BreachLetterFailed(LetterFault Fault) : Event<BreachLetter>;

public sealed record OrderBreachLetter(Id<Breach> Breach, BreachAudience Audience, int Number, Id<User> User) : Command<BreachLetter>;
public sealed record SendBreachLetter : Command<BreachLetter>;
public sealed record FailBreachLetter(LetterFault Fault) : Command<BreachLetter>;

/// <summary>Where a letter is.</summary>
[JsonConverter(typeof(BreachLetterStateConverter))]
public enum BreachLetterState { None, Ordered, Sent, Failed }

internal sealed class BreachLetterStateConverter() : WordConverter<BreachLetterState>("breach.letter_state_invalid");

/// <summary>Why somebody could not be reached.</summary>
[JsonConverter(typeof(LetterFaultConverter))]
public enum LetterFault
{
    /// <summary>The person is erased: nothing leads there any more.</summary>
    Erased,

    /// <summary>There is no such account.</summary>
    Unknown,

    /// <summary>The mail server, or the form of the address, says that nothing arrives there.</summary>
    BadAddress,

    /// <summary>The mail server did not take it for as long as it was tried.</summary>
    GivenUp,
}

internal sealed class LetterFaultConverter() : WordConverter<LetterFault>("breach.letter_fault_invalid");

/// <summary>
/// A letter to one person about a breach. Its stream's name follows from the breach, the wording and the person, so that nobody gets it twice, whoever orders it and
/// whatever dies in between. It holds no address: that is looked up when the letter goes.
/// </summary>
public sealed record BreachLetter(BreachLetterState State, LetterFault? Fault = null) : IAggregate<BreachLetter>
{
    public static string Kind => "breach-letter";
    public static BreachLetter Initial { get; } = new(BreachLetterState.None);

    public static BreachLetter Evolve(BreachLetter state, Event<BreachLetter> e) => e switch
    {
        BreachLetterOrdered => new BreachLetter(BreachLetterState.Ordered),
        BreachLetterSent => new BreachLetter(BreachLetterState.Sent),
        BreachLetterFailed f => new BreachLetter(BreachLetterState.Failed, f.Fault),
        _ => state,
    };

    public static IReadOnlyList<Event<BreachLetter>> Decide(BreachLetter state, Command<BreachLetter> command, Context at) => command switch
    {
        OrderBreachLetter c => state.State == BreachLetterState.None ? [new BreachLetterOrdered(c.Breach, c.Audience, c.Number, c.User)] : [],
        _ when state.State == BreachLetterState.None => throw new Refused(RefusalKind.Missing, "breach.letter_missing", "There is no such letter."),
        // One that was given up may be sent after all, when its dead letter is replayed.
        SendBreachLetter => state.State == BreachLetterState.Sent ? [] : [new BreachLetterSent()],
        FailBreachLetter c => state.State == BreachLetterState.Sent || state.Fault == c.Fault ? [] : [new BreachLetterFailed(c.Fault)],
        _ => throw new NotSupportedException(command.GetType().Name),
    };
}
