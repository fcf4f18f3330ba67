using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace Nubabel.Domain;

/// <summary>A text of some paragraphs that people write for people. Lines end with a line feed, whatever they were typed with.</summary>
[JsonConverter(typeof(ValueConverter<Prose>))]
public sealed record Prose : IValue<Prose>
{
    public const int MaximumCharacters = 10_000;
    public const int MaximumBytes = 40_000;

    private Prose(string value) => Value = value;

    public string Value { get; }

    /// <exception cref="Refused"><c>prose.invalid</c>.</exception>
    public static Prose Parse(string text) => new(Text.Lines(text, MaximumCharacters, MaximumBytes, "prose.invalid", "A text"));
    public static bool TryParse([NotNullWhen(true)] string? text, [NotNullWhen(true)] out Prose? prose) => Attempt.Parse(text, out prose);
    public override string ToString() => Value;
}
