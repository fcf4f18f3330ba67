using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;

namespace Nubabel.Domain.ApiKeys;

/// <summary>A permission that a key holds, by its name. Which permissions there are, and which of them a key may hold, the edge knows.</summary>
[JsonConverter(typeof(ValueConverter<Scope>))]
public sealed partial record Scope : IValue<Scope>
{
    public const int MaximumCharacters = 100;

    /// <summary>The rule, for documents and clients.</summary>
    public const string Pattern = "^[a-z]+(-[a-z]+)*:[a-z]+(-[a-z]+)*$";

    private Scope(string value) => Value = value;

    public string Value { get; }

    /// <exception cref="Refused"><c>api_key.scope_invalid</c>.</exception>
    public static Scope Parse(string text) => text.Length <= MaximumCharacters && Form().IsMatch(text)
        ? new Scope(text)
        : throw new Refused(RefusalKind.Invalid, "api_key.scope_invalid", "A scope is the name of a permission, such as members:read.");

    public static bool TryParse([NotNullWhen(true)] string? text, [NotNullWhen(true)] out Scope? scope) => Attempt.Parse(text, out scope);
    public override string ToString() => Value;

    // \z, not $, which lets a line end pass.
    [GeneratedRegex(@"\A[a-z]+(-[a-z]+)*:[a-z]+(-[a-z]+)*\z", RegexOptions.CultureInvariant)]
    private static partial Regex Form();
}
