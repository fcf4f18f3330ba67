using System.Text.Json;

namespace Nubabel.Store;

/// <summary>A file of events that cannot be taken; the message names the line.</summary>
public sealed class BadEventFile(string message) : Exception(message)
{
    public BadEventFile(long line, string message) : this($"Line {line}: {message}")
    {
    }
}

/// <summary>The first line of a file of events.</summary>
/// <param name="Tenant">Whose events it holds; null for everybody's.</param>
/// <param name="From">The first position it was to hold.</param>
/// <param name="To">The last one.</param>
/// <param name="Shard">Where it was taken.</param>
/// <param name="Master">The fingerprint of the master key that its sealed values need.</param>
/// <param name="WithKeys">Whether it holds the keys of subjects, wrapped by that master key.</param>
/// <param name="Root">What its look-up keys are derived from, wrapped by that master key, in base64; null in files from before there was a root: then it is the master key.</param>
public sealed record EventFileHeader(string? Tenant, long From, long To, string Shard, string? Master, bool WithKeys, DateTimeOffset At, string? Root = null);

/// <summary>The last line: what a whole file has.</summary>
/// <param name="Sha256">Of all bytes before this line, in lower-case hexadecimal digits.</param>
public sealed record EventFileEnd(long Events, long Keys, string Sha256);

/// <summary>
/// The form of a file of events: lines of JSON in UTF-8. First the header, then keys of subjects where they were wanted, then events in the order of the log with
/// members named as the columns are, then the end. A null column has no member.
/// </summary>
internal static class EventFile
{
    public const string Format = "nubabel.events";
    public const int Version = 1;

    /// <summary>What PostgreSQL keeps must go out and in again, and it keeps what is nested more than ten thousand levels deep. So nothing here calls itself.</summary>
    private static readonly JsonDocumentOptions Strict = new() { MaxDepth = 100_000, AllowDuplicateProperties = false };

    private const string Microseconds = "yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'";

    public static JsonDocument Parse(ReadOnlyMemory<byte> line, long number)
    {
        try
        {
            var document = JsonDocument.Parse(line, Strict);
            if (document.RootElement.ValueKind == JsonValueKind.Object) return document;
            document.Dispose();
            throw new BadEventFile(number, "This is no JSON object.");
        }
        catch (JsonException broken)
        {
            throw new BadEventFile(number, $"This is no JSON: {broken.Message}");
        }
    }

    /// <summary>What a line is, told by its first member: <c>format</c>, <c>key</c>, <c>seq_id</c> or <c>end</c>.</summary>
    public static string KindOf(JsonDocument line)
    {
        foreach (var member in line.RootElement.EnumerateObject()) return member.Name;
        return "";
    }

    public static void Write(Utf8JsonWriter to, EventFileHeader header)
    {
        to.WriteStartObject();
        to.WriteString("format", Format);
        to.WriteNumber("version", Version);
        Text(to, "tenant", header.Tenant);
        to.WriteNumber("from", header.From);
        to.WriteNumber("to", header.To);
        to.WriteString("shard", header.Shard);
        Text(to, "master", header.Master);
        Text(to, "root", header.Root);
        if (header.WithKeys) to.WriteBoolean("keys", true);
        to.WriteString("at", header.At.UtcDateTime);
        to.WriteEndObject();
    }

    public static void Write(Utf8JsonWriter to, SubjectKeyRow key)
    {
        to.WriteStartObject();
        to.WriteStartObject("key");
        to.WriteString("tenant_id", key.Tenant);
        to.WriteString("subject", key.Subject);
        if (key.Wrapped is { } wrapped) to.WriteBase64String("wrapped", wrapped);
        Time(to, "created", key.Created);
        if (key.Destroyed is { } destroyed) Time(to, "destroyed", destroyed);
        to.WriteEndObject();
        to.WriteEndObject();
    }

    public static void Write(Utf8JsonWriter to, LoggedEvent e)
    {
        to.WriteStartObject();
        to.WriteNumber("seq_id", e.Position);
        to.WriteString("id", e.Id);
        to.WriteString("tenant_id", e.Tenant);
        to.WriteString("stream_id", e.Stream);
        Text(to, "stream_type", e.Kind);
        to.WriteNumber("version", e.Version);
        to.WriteString("type", e.Type);
        Time(to, "timestamp", e.At);
        Text(to, "mt_dotnet_type", e.DotNetType);
        Text(to, "correlation_id", e.CorrelationId);
        Text(to, "causation_id", e.CausationId);
        Text(to, "user_name", e.Actor);
        if (e.Archived) to.WriteBoolean("is_archived", true);
        if (e.Binary is { } binary) to.WriteBase64String("bdata", binary);
        // As PostgreSQL writes it: jsonb is one line of valid JSON.
        if (e.Headers is { } headers) Raw(to, "headers", headers);
        Raw(to, "data", e.Data);
        to.WriteEndObject();
    }

    public static void Write(Utf8JsonWriter to, EventFileEnd end)
    {
        to.WriteStartObject();
        to.WriteStartObject("end");
        to.WriteNumber("events", end.Events);
        to.WriteNumber("keys", end.Keys);
        to.WriteString("sha256", end.Sha256);
        to.WriteEndObject();
        to.WriteEndObject();
    }

    public static EventFileHeader Header(JsonDocument line, long number)
    {
        var members = new LineMembers(line.RootElement, number, "format", "version", "tenant", "from", "to", "shard", "master", "root", "keys", "at");
        if (members.Text("format") != Format) throw new BadEventFile(number, $"The file does not begin with the format {Format}.");
        if (members.Number("version") != Version) throw new BadEventFile(number, $"This build reads version {Version} of the format.");
        return new EventFileHeader(
            members.TextOrNull("tenant"), members.Number("from"), members.Number("to"), members.Text("shard"), members.TextOrNull("master"), members.Flag("keys"), members.Time("at"), members.TextOrNull("root"));
    }

    public static EventFileEnd End(JsonDocument line, long number)
    {
        var members = new LineMembers(line.RootElement, number, "end").Inner("end", "events", "keys", "sha256");
        return new EventFileEnd(members.Number("events"), members.Number("keys"), members.Text("sha256"));
    }

    public static SubjectKeyRow Key(JsonDocument line, long number)
    {
        var members = new LineMembers(line.RootElement, number, "key").Inner("key", "tenant_id", "subject", "wrapped", "created", "destroyed");
        return new SubjectKeyRow(members.Text("tenant_id"), members.Text("subject"), members.Bytes("wrapped"), members.Time("created"), members.TimeOrNull("destroyed"));
    }

    public static LoggedEvent Event(JsonDocument line, long number)
    {
        var m = new LineMembers(
            line.RootElement, number, "seq_id", "id", "tenant_id", "stream_id", "stream_type", "version", "type", "timestamp", "mt_dotnet_type", "correlation_id", "causation_id", "user_name",
            "is_archived", "bdata", "headers", "data");
        return new LoggedEvent
        {
            Position = m.Number("seq_id"),
            Id = m.Guid("id"),
            Tenant = m.Text("tenant_id"),
            Stream = m.Text("stream_id"),
            Kind = m.TextOrNull("stream_type"),
            Version = m.Number("version"),
            Type = m.Text("type"),
            At = m.Time("timestamp"),
            DotNetType = m.TextOrNull("mt_dotnet_type"),
            CorrelationId = m.TextOrNull("correlation_id"),
            CausationId = m.TextOrNull("causation_id"),
            Actor = m.TextOrNull("user_name"),
            Archived = m.Flag("is_archived"),
            Binary = m.Bytes("bdata"),
            Headers = m.JsonOrNull("headers"),
            Data = m.JsonOrNull("data") ?? throw new BadEventFile(number, "The member data is missing."),
        };
    }

    private static void Text(Utf8JsonWriter to, string name, string? value)
    {
        if (value is not null) to.WriteString(name, value);
    }

    private static void Time(Utf8JsonWriter to, string name, DateTime value) =>
        to.WriteString(name, value.ToString(Microseconds, System.Globalization.CultureInfo.InvariantCulture));

    private static void Raw(Utf8JsonWriter to, string name, string json)
    {
        to.WritePropertyName(name);
        to.WriteRawValue(json, skipInputValidation: true);
    }
}
