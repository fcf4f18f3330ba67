using Nubabel.Domain;
using Nubabel.Domain.Consents;
using Nubabel.Projections;
using Nubabel.Projections.Consents;
using Nubabel.Store;

namespace Nubabel.Api.Consents;

/// <summary>A purpose as one person stands to it.</summary>
/// <param name="TextVersion">Of the text that is shown: who agrees sends it back.</param>
/// <param name="Allowed">Whether the person may be dealt with for this purpose now.</param>
/// <param name="Withdrawable">Whether a withdrawal or an objection counts.</param>
/// <param name="GivenVersion">The text that was agreed to last; null where none was.</param>
public sealed record ConsentView(
    PurposeKey Purpose, Phrase Title, Prose Text, int TextVersion, string TextHash, LawfulBasis LawfulBasis, bool Required, bool Retired, ConsentState State, bool Allowed, bool Withdrawable,
    int? GivenVersion, DateTimeOffset? GivenAt, DateTimeOffset? WithdrawnAt, ConsentChannel? Channel)
{
    internal const string Example = """
        {"purpose":"newsletter","title":"Our newsletter","text":"Once a month we write to you about what is new. You can end that at any time.","textVersion":2,
        "textHash":"0f3d9a1c5be27f8840f6f0a3c1d5f1a9e4c8b2767d0e9f3a5b6c7d8e9f0a1b2c","lawfulBasis":"consent","required":false,"retired":false,"state":"given","allowed":true,"withdrawable":true,
        "givenVersion":2,"givenAt":"2026-11-21T08:15:30.123456Z","channel":"settings-page"}
        """;

    /// <param name="decisions">All of the person's.</param>
    internal static ConsentView Of(Purpose purpose, Outcome<Consent> decisions)
    {
        var key = purpose.Key!;
        var row = decisions.Row<ConsentRows>()?.Of.GetValueOrDefault(key);
        var choice = row is null ? null : new ConsentChoice(row.State == ConsentState.Given, row.TextVersion ?? 0);
        return new ConsentView(
            key, purpose.Text.Title, purpose.Text.Text, purpose.Text.Version, purpose.Text.Hash, purpose.Text.LawfulBasis, purpose.Required, purpose.Status == PurposeStatus.Retired,
            purpose.StateOf(choice), purpose.Allows(choice), purpose.IsWithdrawable, row?.TextVersion, row?.GivenAt, row?.WithdrawnAt, row?.Channel);
    }

    /// <summary>The same from a row of the list of purposes.</summary>
    internal static ConsentView Of(PurposeRow row, Outcome<Consent> decisions) =>
        Of(new Purpose(row.Status, row.Key, [new PurposeText(row.TextVersion, row.Title, row.Text, row.LawfulBasis)], row.Required), decisions);
}
