using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace Nubabel.Domain.Flags;

/// <summary>What a flag is for, in a line for operators. It may be empty, which is how a description is taken away.</summary>
[JsonConverter(typeof(ValueConverter<FlagDescription>))]
public sealed record FlagDescription : IValue<FlagDescription>
{
    public const int MinimumCharacters = 0;
    public const int MaximumCharacters = 500;
    public const int MaximumBytes = 2000;

    private FlagDescription(string value) => Value = value;

    public string Value { get; }
    public bool IsEmpty => Value.Length == 0;

    /// <exception cref="Refused"><c>flag.description_invalid</c>.</exception>
    public static FlagDescription Parse(string text) =>
        new(text.AsSpan().Trim().IsEmpty ? "" : Text.Line(text, MaximumCharacters, MaximumBytes, "flag.description_invalid", "A description"));

    public static bool TryParse([NotNullWhen(true)] string? text, [NotNullWhen(true)] out FlagDescription? description) => Attempt.Parse(text, out description);
    public override string ToString() => Value;
}
