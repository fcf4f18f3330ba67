using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace Nubabel.Domain.Organizations;

/// <summary>What an organization calls itself. Not unique: its <see cref="Slug"/> is.</summary>
[JsonConverter(typeof(ValueConverter<OrganizationName>))]
public sealed record OrganizationName : IValue<OrganizationName>
{
    public const int MaximumCharacters = 200;
    public const int MaximumBytes = 800;

    private OrganizationName(string value) => Value = value;

    public string Value { get; }

    /// <exception cref="Refused"><c>organization.name_invalid</c>.</exception>
    public static OrganizationName Parse(string text) =>
        new(Text.Line(text, MaximumCharacters, MaximumBytes, "organization.name_invalid", "An organization's name"));
    public static bool TryParse([NotNullWhen(true)] string? text, [NotNullWhen(true)] out OrganizationName? name) => Attempt.Parse(text, out name);
    public override string ToString() => Value;
}
