using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace Nubabel.Domain.ApiKeys;

/// <summary>What people call an API key: where it is used, most of the time.</summary>
[JsonConverter(typeof(ValueConverter<ApiKeyName>))]
public sealed record ApiKeyName : IValue<ApiKeyName>
{
    public const int MaximumCharacters = 200;
    public const int MaximumBytes = 800;

    private ApiKeyName(string value) => Value = value;

    public string Value { get; }

    /// <summary>Equal for two names that differ in case only; what an organization's keys are unique by.</summary>
    public string Folded => Text.Fold(Value);

    /// <exception cref="Refused"><c>api_key.name_invalid</c>.</exception>
    public static ApiKeyName Parse(string text) => new(Text.Line(text, MaximumCharacters, MaximumBytes, "api_key.name_invalid", "A key's name"));
    public static bool TryParse([NotNullWhen(true)] string? text, [NotNullWhen(true)] out ApiKeyName? name) => Attempt.Parse(text, out name);
    public override string ToString() => Value;
}
