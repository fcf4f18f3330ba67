using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace Nubabel.Domain.Consumers;

/// <summary>What people call a consumer: the program at its other end, most of the time.</summary>
[JsonConverter(typeof(ValueConverter<ConsumerName>))]
public sealed record ConsumerName : IValue<ConsumerName>
{
    public const int MaximumCharacters = 200;
    public const int MaximumBytes = 800;

    private ConsumerName(string value) => Value = value;

    public string Value { get; }

    /// <summary>Equal for two names that differ in case only; what an organization's consumers are unique by.</summary>
    public string Folded => Text.Fold(Value);

    /// <exception cref="Refused"><c>consumer.name_invalid</c>.</exception>
    public static ConsumerName Parse(string text) => new(Text.Line(text, MaximumCharacters, MaximumBytes, "consumer.name_invalid", "A consumer's name"));
    public static bool TryParse([NotNullWhen(true)] string? text, [NotNullWhen(true)] out ConsumerName? name) => Attempt.Parse(text, out name);
    public override string ToString() => Value;
}
