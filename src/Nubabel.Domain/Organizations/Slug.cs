using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;

namespace Nubabel.Domain.Organizations;

/// <summary>
/// An organization's name in addresses and at sign-in, unique on the platform and never changed: lower-case letters, digits and single
/// hyphens between them. It is taken as written, neither trimmed nor lower-cased, so one slug has one spelling everywhere.
/// </summary>
[JsonConverter(typeof(ValueConverter<Slug>))]
public sealed partial record Slug : IValue<Slug>
{
    /// <summary>The rule, for documents and clients.</summary>
    public const string Pattern = "^[a-z0-9](-?[a-z0-9]){1,38}$";

    private Slug(string value) => Value = value;

    public string Value { get; }

    /// <exception cref="Refused"><c>organization.slug_invalid</c>.</exception>
    public static Slug Parse(string text) => Form().IsMatch(text) && !IsId(text)
        ? new Slug(text)
        : throw new Refused(RefusalKind.Invalid, "organization.slug_invalid", "A slug is 2 to 39 lower-case letters and digits, with single hyphens between them, and no UUID.");

    public static bool TryParse([NotNullWhen(true)] string? text, [NotNullWhen(true)] out Slug? slug) => Attempt.Parse(text, out slug);
    public override string ToString() => Value;

    // An organization is named by its slug or its id, so nobody may take another's id for a slug.
    private static bool IsId(string text) => Guid.TryParseExact(text, "D", out _) || Guid.TryParseExact(text, "N", out _);

    // \z, not $, which lets a line end pass. Without backtracking, so that no text makes it slow.
    [GeneratedRegex(@"\A[a-z0-9](-?[a-z0-9]){1,38}\z", RegexOptions.CultureInvariant)]
    private static partial Regex Form();
}
