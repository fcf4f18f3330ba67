using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace Nubabel.Domain;

/// <summary>A line of text that people write for people: a title, a category, a recipient. It is stored in the clear, so the documents ask for no personal data in it.</summary>
[JsonConverter(typeof(ValueConverter<Phrase>))]
public sealed record Phrase : IValue<Phrase>
{
    public const int MaximumCharacters = 300;
    public const int MaximumBytes = 1200;

    private Phrase(string value) => Value = value;

    public string Value { get; }

    /// <exception cref="Refused"><c>phrase.invalid</c>.</exception>
    public static Phrase Parse(string text) => new(Text.Line(text, MaximumCharacters, MaximumBytes, "phrase.invalid", "A line"));
    public static bool TryParse([NotNullWhen(true)] string? text, [NotNullWhen(true)] out Phrase? phrase) => Attempt.Parse(text, out phrase);
    public override string ToString() => Value;
}
