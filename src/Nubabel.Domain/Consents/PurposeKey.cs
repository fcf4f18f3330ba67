using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;

namespace Nubabel.Domain.Consents;

/// <summary>What code asks for a purpose by: <c>newsletter</c>. Unique in its organization, taken as written, and never given to another purpose.</summary>
[JsonConverter(typeof(ValueConverter<PurposeKey>))]
public sealed partial record PurposeKey : IValue<PurposeKey>
{
    public const int MaximumCharacters = 60;

    /// <summary>The rule, for documents and clients.</summary>
    public const string Pattern = "^[a-z0-9][a-z0-9._-]{0,59}$";

    private PurposeKey(string value) => Value = value;

    public string Value { get; }

    /// <exception cref="Refused"><c>purpose.key_invalid</c>.</exception>
    public static PurposeKey Parse(string text) => Form().IsMatch(text)
        ? new PurposeKey(text)
        : throw new Refused(RefusalKind.Invalid, "purpose.key_invalid", $"A purpose's key is 1 to {MaximumCharacters} of a-z, 0-9, dot, underscore and hyphen, and begins with a letter or digit.");

    public static bool TryParse([NotNullWhen(true)] string? text, [NotNullWhen(true)] out PurposeKey? key) => Attempt.Parse(text, out key);
    public override string ToString() => Value;

    // \z, not $, which lets a line end pass.
    [GeneratedRegex(@"\A[a-z0-9][a-z0-9._-]{0,59}\z", RegexOptions.CultureInvariant)]
    private static partial Regex Form();
}

/// <summary>Where in the product somebody decided: <c>settings-page</c>. A word of the product's own and not of people, so that nothing personal stands in it.</summary>
[JsonConverter(typeof(ValueConverter<ConsentChannel>))]
public sealed partial record ConsentChannel : IValue<ConsentChannel>
{
    public const int MaximumCharacters = 40;

    /// <summary>The rule, for documents and clients.</summary>
    public const string Pattern = "^[a-z0-9][a-z0-9._-]{0,39}$";

    private ConsentChannel(string value) => Value = value;

    public string Value { get; }

    /// <exception cref="Refused"><c>consent.channel_invalid</c>.</exception>
    public static ConsentChannel Parse(string text) => Form().IsMatch(text)
        ? new ConsentChannel(text)
        : throw new Refused(RefusalKind.Invalid, "consent.channel_invalid", $"A channel is 1 to {MaximumCharacters} of a-z, 0-9, dot, underscore and hyphen, and begins with a letter or digit.");

    public static bool TryParse([NotNullWhen(true)] string? text, [NotNullWhen(true)] out ConsentChannel? channel) => Attempt.Parse(text, out channel);
    public override string ToString() => Value;

    [GeneratedRegex(@"\A[a-z0-9][a-z0-9._-]{0,39}\z", RegexOptions.CultureInvariant)]
    private static partial Regex Form();
}
