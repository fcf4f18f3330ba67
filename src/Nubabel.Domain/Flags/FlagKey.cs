using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;

namespace Nubabel.Domain.Flags;

/// <summary>
/// What code asks for a flag by; unique on the platform, never changed, and never given to another flag. It is taken as written, neither trimmed nor
/// lower-cased, because it names the flag's stream and takes part in the hash of a rollout.
/// </summary>
[JsonConverter(typeof(ValueConverter<FlagKey>))]
public sealed partial record FlagKey : IValue<FlagKey>
{
    public const int MaximumCharacters = 100;

    /// <summary>The rule, for documents and clients.</summary>
    public const string Pattern = "^[a-z0-9][a-z0-9._-]{0,99}$";

    private FlagKey(string value) => Value = value;

    public string Value { get; }

    /// <exception cref="Refused"><c>flag.key_invalid</c>.</exception>
    public static FlagKey Parse(string text) => Form().IsMatch(text)
        ? new FlagKey(text)
        : throw new Refused(RefusalKind.Invalid, "flag.key_invalid", $"A flag's key is 1 to {MaximumCharacters} of a-z, 0-9, dot, underscore and hyphen, and begins with a letter or digit.");

    public static bool TryParse([NotNullWhen(true)] string? text, [NotNullWhen(true)] out FlagKey? key) => Attempt.Parse(text, out key);
    public override string ToString() => Value;

    // \z, not $, which lets a line end pass.
    [GeneratedRegex(@"\A[a-z0-9][a-z0-9._-]{0,99}\z", RegexOptions.CultureInvariant)]
    private static partial Regex Form();
}
