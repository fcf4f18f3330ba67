using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;

namespace Nubabel.Domain.Consumers;

/// <summary>The type of an integration event, <c>nubabel.device.registered.v1</c>, or <c>*</c> for all of them. Which there are, the edge knows.</summary>
[JsonConverter(typeof(ValueConverter<PublicType>))]
public sealed partial record PublicType : IValue<PublicType>
{
    public const int MaximumCharacters = 100;

    /// <summary>The rule, for documents and clients.</summary>
    public const string Pattern = @"^(\*|nubabel(\.[a-z]+(_[a-z]+)*){2,}\.v[0-9]{1,3})$";

    private PublicType(string value) => Value = value;

    public string Value { get; }
    public static PublicType All { get; } = new("*");

    /// <exception cref="Refused"><c>consumer.type_unknown</c>.</exception>
    public static PublicType Parse(string text) => text.Length <= MaximumCharacters && Form().IsMatch(text)
        ? new PublicType(text)
        : throw new Refused(RefusalKind.Invalid, "consumer.type_unknown", "A type is one of the catalogue, such as nubabel.device.registered.v1, or * for all.");

    public static bool TryParse([NotNullWhen(true)] string? text, [NotNullWhen(true)] out PublicType? type) => Attempt.Parse(text, out type);
    public override string ToString() => Value;

    // \z, not $, which lets a line end pass.
    [GeneratedRegex(@"\A(\*|nubabel(\.[a-z]+(_[a-z]+)*){2,}\.v[0-9]{1,3})\z", RegexOptions.CultureInvariant)]
    private static partial Regex Form();
}
