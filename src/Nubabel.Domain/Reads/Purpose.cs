using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;

namespace Nubabel.Domain.Reads;

/// <summary>What personal data was looked at for: the number of a case or a keyword, so that it is no place for names.</summary>
[JsonConverter(typeof(ValueConverter<Purpose>))]
public sealed partial record Purpose : IValue<Purpose>
{
    public const int MaximumCharacters = 100;

    /// <summary>The rule, for documents and clients.</summary>
    public const string Pattern = "^[A-Za-z0-9][A-Za-z0-9._:/#-]{0,99}$";

    private Purpose(string value) => Value = value;

    public string Value { get; }

    /// <exception cref="Refused"><c>purpose.invalid</c>.</exception>
    public static Purpose Parse(string text) => Form().IsMatch(text)
        ? new Purpose(text)
        : throw new Refused(RefusalKind.Invalid, "purpose.invalid", "A purpose is the number of a case or a keyword: letters, digits and . _ : / # -, 100 at most.");

    public static bool TryParse([NotNullWhen(true)] string? text, [NotNullWhen(true)] out Purpose? purpose) => Attempt.Parse(text, out purpose);
    public override string ToString() => Value;

    // \z, not $, which lets a line end pass.
    [GeneratedRegex(@"\A[A-Za-z0-9][A-Za-z0-9._:/#-]{0,99}\z", RegexOptions.CultureInvariant)]
    private static partial Regex Form();
}
