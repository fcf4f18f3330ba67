using System.Text.Json;
using System.Text.Json.Serialization;

namespace Nubabel.Projections;

/// <summary>Times as RFC 3339 in UTC with <c>Z</c>, to the microsecond where there is one: the form in which rows are stored and sent.</summary>
public sealed class UtcTimes : JsonConverter<DateTimeOffset>
{
    public override DateTimeOffset Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => reader.GetDateTimeOffset().ToUniversalTime();

    public override void Write(Utf8JsonWriter writer, DateTimeOffset value, JsonSerializerOptions options) => writer.WriteStringValue(value.UtcDateTime);
}
