using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Serialization;

namespace Nubabel.Domain.Consents;

public sealed record PurposeDeclared(PurposeKey Key, Phrase Title, Prose Text, LawfulBasis LawfulBasis, bool Required) : Event<Purpose>;

/// <summary>It says something else from now on: everybody is asked again.</summary>
public sealed record PurposeRewritten(int TextVersion, Phrase Title, Prose Text, LawfulBasis LawfulBasis) : Event<Purpose>;
public sealed record PurposeRequirementSet(bool Required) : Event<Purpose>;
public sealed record PurposeRetired : Event<Purpose>;

public sealed record DeclarePurpose(PurposeKey Key, Phrase Title, Prose Text, LawfulBasis LawfulBasis, bool Required = false) : Command<Purpose>;

/// <summary>What is null stays as it is. Another title, text or basis is a new version of the text.</summary>
public sealed record ChangePurpose(Phrase? Title = null, Prose? Text = null, LawfulBasis? LawfulBasis = null, bool? Required = null) : Command<Purpose>;
public sealed record RetirePurpose : Command<Purpose>;

/// <summary>Why processing is lawful: GDPR article 6(1), letters a to f in their order.</summary>
[JsonConverter(typeof(LawfulBasisConverter))]
public enum LawfulBasis { Consent, Contract, LegalObligation, VitalInterests, PublicTask, LegitimateInterests }

internal sealed class LawfulBasisConverter() : WordConverter<LawfulBasis>("purpose.lawful_basis_invalid");

/// <summary>Where a purpose is in its life; it only ever moves on.</summary>
[JsonConverter(typeof(PurposeStatusConverter))]
public enum PurposeStatus { None, Active, Retired }

internal sealed class PurposeStatusConverter() : WordConverter<PurposeStatus>("purpose.status_invalid");

/// <summary>What a purpose says, as of one of its versions: what people decide on.</summary>
/// <param name="Version">From 1 on.</param>
public sealed record PurposeText(int Version, Phrase Title, Prose Text, LawfulBasis LawfulBasis)
{
    /// <summary>SHA-256, lower-case hexadecimal, of the title, an empty line and the text in UTF-8.</summary>
    public string Hash => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{Title}\n\n{Text}")));
}

/// <summary>
/// What an organization wants to use personal data for. Its stream is named by its key. All its texts stay known, so that what somebody agreed to can be shown word
/// by word. Once retired it allows nothing and never comes back; another one takes another key.
/// </summary>
/// <param name="Texts">All versions, the present one last.</param>
public sealed record Purpose(PurposeStatus Status, PurposeKey? Key, IReadOnlyList<PurposeText> Texts, bool Required) : IAggregate<Purpose>
{
    /// <summary>Versions of a text: each asks everybody again, so none needs as many.</summary>
    public const int MostTexts = 200;

    public static string Kind => "purpose";
    public static Purpose Initial { get; } = new(PurposeStatus.None, null, [], false);

    /// <summary>What people decide on now.</summary>
    public PurposeText Text => Texts[^1];

    /// <summary>Whether a decision against it counts: consent is withdrawn (Art. 7(3)), to public tasks and legitimate interests one objects (Art. 21(1)).</summary>
    public bool IsWithdrawable => Text.LawfulBasis is LawfulBasis.Consent or LawfulBasis.PublicTask or LawfulBasis.LegitimateInterests;

    /// <summary>Whether somebody who has decided like this may be dealt with for this purpose.</summary>
    /// <param name="choice">Null where the person has not decided.</param>
    public bool Allows(ConsentChoice? choice) => Status == PurposeStatus.Active && Text.LawfulBasis switch
    {
        LawfulBasis.Consent => choice is { IsGiven: true } && choice.TextVersion == Text.Version,
        LawfulBasis.PublicTask or LawfulBasis.LegitimateInterests => choice is not { IsGiven: false },
        _ => true,
    };

    /// <summary>How a person stands to it.</summary>
    public ConsentState StateOf(ConsentChoice? choice) =>
        choice is null ? ConsentState.None
        : !choice.IsGiven ? ConsentState.Withdrawn
        : choice.TextVersion == Text.Version ? ConsentState.Given
        : ConsentState.Outdated;

    public static Purpose Evolve(Purpose state, Event<Purpose> e) => e switch
    {
        PurposeDeclared d => new Purpose(PurposeStatus.Active, d.Key, [new PurposeText(1, d.Title, d.Text, d.LawfulBasis)], d.Required),
        PurposeRewritten r => state with { Texts = [.. state.Texts, new PurposeText(r.TextVersion, r.Title, r.Text, r.LawfulBasis)] },
        PurposeRequirementSet r => state with { Required = r.Required },
        PurposeRetired => state with { Status = PurposeStatus.Retired },
        _ => state,
    };

    public static IReadOnlyList<Event<Purpose>> Decide(Purpose state, Command<Purpose> command, Context at) => command switch
    {
        DeclarePurpose c => state.Declare(c),
        _ when state.Status == PurposeStatus.None => throw Missing(),
        RetirePurpose => state.Status == PurposeStatus.Retired ? [] : [new PurposeRetired()],
        _ when state.Status == PurposeStatus.Retired => throw Gone(),
        ChangePurpose c => [.. state.Change(c)],
        _ => throw new NotSupportedException(command.GetType().Name),
    };

    private Event<Purpose>[] Declare(DeclarePurpose c) => Status switch
    {
        PurposeStatus.None => [new PurposeDeclared(c.Key, c.Title, c.Text, c.LawfulBasis, c.Required)],
        PurposeStatus.Active when Texts.Count == 1 && Text == new PurposeText(1, c.Title, c.Text, c.LawfulBasis) && Required == c.Required => [],
        PurposeStatus.Retired => throw Gone(),
        _ => throw new Refused(RefusalKind.Conflict, "purpose.key_taken", "Another purpose has this key.", "key"),
    };

    private IEnumerable<Event<Purpose>> Change(ChangePurpose c)
    {
        var next = Text with { Title = c.Title ?? Text.Title, Text = c.Text ?? Text.Text, LawfulBasis = c.LawfulBasis ?? Text.LawfulBasis };
        if (next != Text)
        {
            if (Texts.Count == MostTexts) throw new Refused(RefusalKind.Conflict, "purpose.texts_limit", $"A purpose has at most {MostTexts} texts.");
            yield return new PurposeRewritten(Text.Version + 1, next.Title, next.Text, next.LawfulBasis);
        }
        if (c.Required is { } required && required != Required) yield return new PurposeRequirementSet(required);
    }

    /// <summary>There is none under this key.</summary>
    public static Refused Missing() => new(RefusalKind.Missing, "purpose.missing", "There is no such purpose.");

    /// <summary>There was one, and it is retired.</summary>
    public static Refused Gone() => new(RefusalKind.Conflict, "purpose.retired", "The purpose is retired.");
}
