using System.Text.Json.Serialization;

namespace Nubabel.Domain.Consents;

/// <summary>The person has agreed to a text.</summary>
/// <param name="TextHash">Of the words (<see cref="PurposeText.Hash"/>): a proof that does not rest on the purpose's own stream.</param>
public sealed record ConsentGiven(PurposeKey Purpose, int TextVersion, string TextHash, ConsentChannel? Channel = null) : Event<Consent>;

/// <summary>The person agrees no more, or objects.</summary>
public sealed record ConsentWithdrawn(PurposeKey Purpose, ConsentChannel? Channel = null) : Event<Consent>;

public sealed record GiveConsent(PurposeKey Purpose, int TextVersion, string TextHash, ConsentChannel? Channel = null) : Command<Consent>;

/// <param name="Objects">It counts also where nothing was given: an objection (Art. 21).</param>
public sealed record WithdrawConsent(PurposeKey Purpose, bool Objects = false, ConsentChannel? Channel = null) : Command<Consent>;

/// <summary>How a person stands to a purpose.</summary>
[JsonConverter(typeof(ConsentStateConverter))]
public enum ConsentState
{
    /// <summary>The person has not decided.</summary>
    None,

    /// <summary>Agreed, to the present text.</summary>
    Given,

    /// <summary>Agreed, to a text that has another one behind it: to be asked again.</summary>
    Outdated,

    /// <summary>Agrees no more, or objects.</summary>
    Withdrawn,
}

internal sealed class ConsentStateConverter() : WordConverter<ConsentState>("consent.state_invalid");

/// <summary>What a person has last decided on a purpose.</summary>
/// <param name="TextVersion">The text that was agreed to last; 0 where none was.</param>
public sealed record ConsentChoice(bool IsGiven, int TextVersion);

/// <summary>
/// What one person has decided, purpose by purpose. Its stream is named by the person's id: <c>consent-0198…</c>. Its events name no person and hold no words of one, so
/// that they stay, as the proof of what was agreed to (Art. 7(1)), when the person is erased.
/// </summary>
public sealed record Consent(IReadOnlyDictionary<string, ConsentChoice> Choices) : IAggregate<Consent>
{
    public static string Kind => "consent";
    public static Consent Initial { get; } = new(new Dictionary<string, ConsentChoice>());

    public ConsentChoice? Of(PurposeKey purpose) => Choices.GetValueOrDefault(purpose.Value);

    public static Consent Evolve(Consent state, Event<Consent> e) => e switch
    {
        ConsentGiven g => state.With(g.Purpose, new ConsentChoice(true, g.TextVersion)),
        ConsentWithdrawn w => state.With(w.Purpose, new ConsentChoice(false, state.Of(w.Purpose)?.TextVersion ?? 0)),
        _ => state,
    };

    public static IReadOnlyList<Event<Consent>> Decide(Consent state, Command<Consent> command, Context at) => command switch
    {
        GiveConsent c => state.Of(c.Purpose) is { IsGiven: true } choice && choice.TextVersion == c.TextVersion ? [] : [new ConsentGiven(c.Purpose, c.TextVersion, c.TextHash, c.Channel)],
        WithdrawConsent c => (state.Of(c.Purpose)?.IsGiven ?? c.Objects) ? [new ConsentWithdrawn(c.Purpose, c.Channel)] : [],
        _ => throw new NotSupportedException(command.GetType().Name),
    };

    private Consent With(PurposeKey purpose, ConsentChoice choice) => new(new Dictionary<string, ConsentChoice>(Choices) { [purpose.Value] = choice });
}
