using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace Nubabel.Domain.Jobs;

/// <summary>A small JSON value that a job has led to. Two with the same members in another order are equal.</summary>
[JsonConverter(typeof(JobDataConverter))]
public sealed record JobData
{
    private JobData(string json) => Json = json;

    /// <summary>The value, its members in order.</summary>
    public string Json { get; }

    public static JobData Of(JsonElement value) => new(Ordered(JsonNode.Parse(value.GetRawText()))?.ToJsonString() ?? "null");
    public override string ToString() => Json;

    private static JsonNode? Ordered(JsonNode? node) => node switch
    {
        JsonObject o => new JsonObject(o.OrderBy(m => m.Key, StringComparer.Ordinal).Select(m => KeyValuePair.Create(m.Key, Ordered(m.Value)))),
        JsonArray a => new JsonArray([.. a.Select(Ordered)]),
        _ => node?.DeepClone(),
    };
}

internal sealed class JobDataConverter : JsonConverter<JobData>
{
    public override JobData Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => JobData.Of(JsonElement.ParseValue(ref reader));

    public override void Write(Utf8JsonWriter writer, JobData value, JsonSerializerOptions options) => writer.WriteRawValue(value.Json);
}
