using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using Nubabel.Api.Host;
using Nubabel.Projections.Consumers;

namespace Nubabel.Api.Consumers;

/// <summary>Events in the structured mode of CloudEvents 1.0, as JSON.</summary>
public static class CloudEvents
{
    // The body is JSON and never HTML: a name that is not English stays readable.
    private static readonly JsonWriterOptions Relaxed = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <param name="data">The public data, a JSON text.</param>
    public static ReadOnlyMemory<byte> Of(Settings settings, string tenant, string shard, LoggedDelivery delivery, ReadOnlySpan<byte> data)
    {
        var buffer = new ArrayBufferWriter<byte>(data.Length + 512);
        using var json = new Utf8JsonWriter(buffer, Relaxed);
        json.WriteStartObject();
        json.WriteString("specversion", "1.0");
        json.WriteString("id", delivery.EventId);
        json.WriteString("source", settings.Issuer);
        json.WriteString("type", delivery.Type);
        json.WriteString("subject", delivery.Stream);
        json.WriteString("time", delivery.At.UtcDateTime);
        json.WriteString("datacontenttype", "application/json");
        json.WriteString("organizationid", tenant);
        // Extension attributes have no numbers beyond 32 bits; as a text it is what Nubabel-Min-Position takes.
        json.WriteString("position", Positions.Format(shard, delivery.Position));
        json.WritePropertyName("data");
        json.WriteRawValue(data);
        json.WriteEndObject();
        json.Flush();
        return buffer.WrittenMemory;
    }
}
