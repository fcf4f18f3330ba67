using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace Nubabel.Domain;

/// <summary>A person's name in plain text: it lives at the edge only and is sealed before it goes into a command. One free text; people's names have no parts.</summary>
[JsonConverter(typeof(ValueConverter<PersonName>))]
public sealed record PersonName : IValue<PersonName>
{
    public const int MaximumCharacters = 200;
    public const int MaximumBytes = 800;

    private PersonName(string value) => Value = value;

    public string Value { get; }

    /// <exception cref="Refused"><c>name.invalid</c>.</exception>
    public static PersonName Parse(string text) => new(Text.Line(text, MaximumCharacters, MaximumBytes, "name.invalid", "A name"));
    public static bool TryParse([NotNullWhen(true)] string? text, [NotNullWhen(true)] out PersonName? name) => Attempt.Parse(text, out name);

    /// <summary>Says nothing: a log or an exception that holds a name by accident must not show it.</summary>
    public override string ToString() => "(name)";
}
