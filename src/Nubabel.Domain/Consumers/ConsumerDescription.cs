using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace Nubabel.Domain.Consumers;

/// <summary>What a consumer is for, in a line. It may be empty, which is how a description is taken away.</summary>
[JsonConverter(typeof(ValueConverter<ConsumerDescription>))]
public sealed record ConsumerDescription : IValue<ConsumerDescription>
{
    public const int MinimumCharacters = 0;
    public const int MaximumCharacters = 500;
    public const int MaximumBytes = 2000;

    private ConsumerDescription(string value) => Value = value;

    public string Value { get; }
    public bool IsEmpty => Value.Length == 0;

    /// <exception cref="Refused"><c>consumer.description_invalid</c>.</exception>
    public static ConsumerDescription Parse(string text) =>
        new(text.AsSpan().Trim().IsEmpty ? "" : Text.Line(text, MaximumCharacters, MaximumBytes, "consumer.description_invalid", "A description"));

    public static bool TryParse([NotNullWhen(true)] string? text, [NotNullWhen(true)] out ConsumerDescription? description) => Attempt.Parse(text, out description);
    public override string ToString() => Value;
}
