using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace Nubabel.Projections;

/// <summary>How events and read-model rows are written as JSON: camelCase members, nothing for null; enums write themselves as words.</summary>
public static class StoredJson
{
    public static JsonSerializerOptions Options { get; } = Make();

    /// <summary>Reads what is never the literal null: a stored document.</summary>
    public static T Read<T>(ReadOnlySpan<byte> json) => JsonSerializer.Deserialize<T>(json, Options) ?? throw new JsonException("A stored document is null.");

    // What is null is not written, so a member that may be null may be absent.
    private static void AbsentIsNull(JsonTypeInfo type)
    {
        foreach (var member in type.Properties)
            if (member.IsRequired && member.IsSetNullable) member.IsRequired = false;
    }

    private static JsonSerializerOptions Make()
    {
        var options = new JsonSerializerOptions(JsonSerializerDefaults.Web)
        {
            PropertyNameCaseInsensitive = false,
            NumberHandling = JsonNumberHandling.Strict,
            DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
            AllowOutOfOrderMetadataProperties = true,
            RespectNullableAnnotations = true,
            RespectRequiredConstructorParameters = true,
            Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
            TypeInfoResolver = new DefaultJsonTypeInfoResolver { Modifiers = { AbsentIsNull } },
            Converters = { new UtcTimes() },
        };
        options.MakeReadOnly(populateMissingResolver: true);
        return options;
    }
}
