using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;

namespace Nubabel.Domain.Reads;

/// <summary>What personal data was looked at for: the number of a case or a keyword, so that it is no place for names.</summary>
[JsonConverter(typeof(ValueConverter<ReadPurpose>))]
public sealed partial record ReadPurpose : IValue<ReadPurpose>
{
    public const int MaximumCharacters = 100;

    /// <summary>The rule, for documents and clients.</summary>
    public const string Pattern = "^[A-Za-z0-9][A-Za-z0-9._:/#-]{0,99}$";

    private ReadPurpose(string value) => Value = value;

    public string Value { get; }

    /// <exception cref="Refused"><c>read_purpose.invalid</c>.</exception>
    public static ReadPurpose Parse(string text) => Form().IsMatch(text)
        ? new ReadPurpose(text)
        : throw new Refused(RefusalKind.Invalid, "read_purpose.invalid", "A purpose is the number of a case or a keyword: letters, digits and . _ : / # -, 100 at most.");

    public static bool TryParse([NotNullWhen(true)] string? text, [NotNullWhen(true)] out ReadPurpose? purpose) => Attempt.Parse(text, out purpose);
    public override string ToString() => Value;

    // \z, not $, which lets a line end pass.
    [GeneratedRegex(@"\A[A-Za-z0-9][A-Za-z0-9._:/#-]{0,99}\z", RegexOptions.CultureInvariant)]
    private static partial Regex Form();
}
