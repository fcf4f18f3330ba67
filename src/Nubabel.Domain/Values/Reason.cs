using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace Nubabel.Domain;

/// <summary>
/// Why somebody did something, in their words: a line for the audit trail. About a person it is sealed under that person's key (<see cref="Personal"/>); about anything
/// else it is stored in the clear, so the documents ask for no personal data in it.
/// </summary>
[JsonConverter(typeof(ValueConverter<Reason>))]
public sealed record Reason : IValue<Reason>
{
    public const int MaximumCharacters = 500;
    public const int MaximumBytes = 2000;

    private Reason(string value) => Value = value;

    public string Value { get; }

    /// <exception cref="Refused"><c>reason.invalid</c>.</exception>
    public static Reason Parse(string text) => new(Text.Line(text, MaximumCharacters, MaximumBytes, "reason.invalid", "A reason"));
    public static bool TryParse([NotNullWhen(true)] string? text, [NotNullWhen(true)] out Reason? reason) => Attempt.Parse(text, out reason);
    public override string ToString() => Value;
}
