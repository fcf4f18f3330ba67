using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace Nubabel.Domain.Devices;

/// <summary>What a user calls a device: trimmed, NFC, without control characters.</summary>
[JsonConverter(typeof(ValueConverter<DeviceName>))]
public sealed record DeviceName : IValue<DeviceName>
{
    /// <summary>As people count: a family emoji is one, and so is a letter with its accents.</summary>
    public const int MaximumCharacters = 50;

    /// <summary>In UTF-8; one character as people count them may be of any number of code points, so their number alone bounds nothing.</summary>
    public const int MaximumBytes = 200;

    private DeviceName(string value) => Value = value;

    public string Value { get; }

    /// <summary>Equal for two names that differ in case only; what a user's names are unique by. See <see cref="Text.Fold"/> for what equal means.</summary>
    public string Folded => Text.Fold(Value);

    /// <exception cref="Refused"><c>device.name_invalid</c>.</exception>
    public static DeviceName Parse(string text) => new(Text.Line(text, MaximumCharacters, MaximumBytes, "device.name_invalid", "A device's name"));
    public static bool TryParse([NotNullWhen(true)] string? text, [NotNullWhen(true)] out DeviceName? name) => Attempt.Parse(text, out name);
    public override string ToString() => Value;
}
