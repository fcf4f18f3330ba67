using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Nubabel.Domain;

namespace Nubabel.Api.Host;

/// <summary>How the edge reads and writes JSON: nothing is guessed, ignored or converted.</summary>
public static class Json
{
    public static JsonSerializerOptions Options { get; } = Made();

    /// <summary>Reads a body that <see cref="JsonScan"/> has passed. A refusal names every member at fault, not only the first.</summary>
    public static T? Read<T>(ReadOnlySpan<byte> utf8)
    {
        try
        {
            return JsonSerializer.Deserialize<T>(utf8, Options);
        }
        catch (Exception e) when (e is JsonException or Refused)
        {
            throw JsonDiagnosis.Of(utf8, typeof(T), e, Options);
        }
    }

    internal static void Configure(JsonSerializerOptions o)
    {
        o.PropertyNamingPolicy = JsonNamingPolicy.CamelCase;
        o.DictionaryKeyPolicy = null;
        o.PropertyNameCaseInsensitive = false;
        o.NumberHandling = JsonNumberHandling.Strict;
        o.UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow;
        o.AllowDuplicateProperties = false;
        o.AllowTrailingCommas = false;
        o.ReadCommentHandling = JsonCommentHandling.Disallow;
        o.RespectNullableAnnotations = true;
        o.RespectRequiredConstructorParameters = true;
        o.MaxDepth = Limits.MostJsonDepth;
        o.DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull;
        // Answers are application/json with nosniff, never HTML; escaping every letter of a name that is not English helps nobody.
        o.Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping;
        o.TypeInfoResolver ??= new DefaultJsonTypeInfoResolver();
        o.Converters.Add(new StrictTimes());
        o.Converters.Add(new StrictEnums());
    }

    private static JsonSerializerOptions Made()
    {
        var options = new JsonSerializerOptions();
        Configure(options);
        options.MakeReadOnly();
        return options;
    }
}

/// <summary>Times are RFC 3339 in UTC with a <c>Z</c>; a time without an offset is refused, since it would mean the server's zone.</summary>
internal sealed class StrictTimes : JsonConverter<DateTimeOffset>
{
    public override DateTimeOffset Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType == JsonTokenType.String && TryParse(reader.GetString(), out var time)) return time;
        throw new JsonException("A time is RFC 3339 with an offset, as in 2026-01-31T12:00:00Z.");
    }

    public override void Write(Utf8JsonWriter writer, DateTimeOffset value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value.UtcDateTime);

    /// <summary>A time outside of JSON: a query parameter.</summary>
    public static bool TryParse(string? text, out DateTimeOffset time)
    {
        var ok = DateTimeOffset.TryParseExact(
            text, ["yyyy-MM-dd'T'HH:mm:ssK", "yyyy-MM-dd'T'HH:mm:ss.FFFFFFFK"], System.Globalization.CultureInfo.InvariantCulture, System.Globalization.DateTimeStyles.None, out time);
        time = time.ToUniversalTime();
        // K also takes the absence of an offset, which would mean this machine's.
        return ok && text is { Length: >= 20 } && HasOffset(text);
    }

    private static bool HasOffset(string text) => text[^1] == 'Z' || text[^6] is '+' or '-';
}

/// <summary>Enums are camelCase strings in exactly one spelling. The framework's converter also takes other cases and lists.</summary>
internal sealed class StrictEnums : JsonConverterFactory
{
    // The domain's enums bring converters of their own, which refuse an unknown word with the slice's code.
    public override bool CanConvert(Type typeToConvert) => typeToConvert.IsEnum && !typeToConvert.IsDefined(typeof(JsonConverterAttribute), false);

    public override JsonConverter CreateConverter(Type typeToConvert, JsonSerializerOptions options) =>
        (JsonConverter)Activator.CreateInstance(typeof(StrictEnum<>).MakeGenericType(typeToConvert))!;
}

internal sealed class StrictEnum<T> : JsonConverter<T> where T : struct, Enum
{
    public static IReadOnlyList<string> Names { get; } = [.. Enum.GetNames<T>().Select(JsonNamingPolicy.CamelCase.ConvertName)];

    private static readonly Dictionary<string, T> ByName =
        Enum.GetNames<T>().ToDictionary(JsonNamingPolicy.CamelCase.ConvertName, Enum.Parse<T>, StringComparer.Ordinal);

    private static readonly Dictionary<T, JsonEncodedText> ByValue =
        ByName.GroupBy(p => p.Value).ToDictionary(g => g.Key, g => JsonEncodedText.Encode(g.First().Key));

    public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.TokenType == JsonTokenType.String && ByName.TryGetValue(reader.GetString()!, out var value)
            ? value
            : throw new JsonException("One of " + string.Join(", ", Names) + ".");

    public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) => writer.WriteStringValue(ByValue[value]);
}
