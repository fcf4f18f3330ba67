using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Nubabel.Domain.Flags;

/// <summary>A share of 0 to 100 % with two decimals: exactly the 10,000 buckets of a rollout. A JSON number.</summary>
[JsonConverter(typeof(PercentageConverter))]
public sealed record Percentage
{
    public const int MaximumHundredths = 10_000;

    private Percentage(int hundredths) => Hundredths = hundredths;

    /// <summary>How many of 10,000 buckets it takes.</summary>
    public int Hundredths { get; }

    /// <exception cref="Refused"><c>flag.percentage_invalid</c>.</exception>
    public static Percentage Of(decimal value) =>
        // The bounds first: what is far beyond them cannot be multiplied.
        value is >= 0 and <= 100 && value * 100 == decimal.Truncate(value * 100)
            ? new Percentage((int)(value * 100))
            : throw new Refused(RefusalKind.Invalid, "flag.percentage_invalid", "A percentage is 0 to 100 with at most two decimals.");

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Hundredths / 100m} %");
}

internal sealed class PercentageConverter : JsonConverter<Percentage>
{
    public override Percentage Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType != JsonTokenType.Number) throw new JsonException();
        try
        {
            // A number that no decimal can hold is a number none the less, and out of bounds. So is one with digits that a decimal would round away.
            return Percentage.Of(reader.TryGetDecimal(out var value) && IsExact(ref reader) ? value : -1);
        }
        catch (Refused refused)
        {
            throw new JsonException(refused.Message, refused);
        }
    }

    public override void Write(Utf8JsonWriter writer, Percentage value, JsonSerializerOptions options) => writer.WriteNumberValue(value.Hundredths / 100m);

    private static bool IsExact(ref Utf8JsonReader reader) => (reader.HasValueSequence ? reader.ValueSequence.Length : reader.ValueSpan.Length) <= 28;
}
