using System.Text.Json;
using Nubabel.Store;

namespace Nubabel.Projections.Audit;

/// <summary>
/// What streams are called: people by their names, devices, keys, consumers by theirs, as the log has them now, what was removed or deleted too. A stream without a name of its own
/// (a session) has none.
/// </summary>
public sealed class StreamNames
{
    /// <summary>Kinds whose streams have a name, with the events that give it.</summary>
    public static IReadOnlyDictionary<string, IReadOnlyList<string>> Kinds { get; } = new Dictionary<string, IReadOnlyList<string>>
    {
        ["user"] = ["user_registered", "user_renamed"],
        ["device"] = ["device_registered", "device_renamed"],
        ["organization"] = ["organization_founded", "organization_renamed"],
        ["api-key"] = ["api_key_made"],
        ["consumer"] = ["consumer_created", "consumer_renamed"],
        ["operator"] = ["operator_added"],
        ["invitation"] = ["invitation_issued"],
        ["webhook-source"] = ["webhook_source_added"],
        ["processing-record"] = ["processing_record_created", "processing_record_revised"],
        ["breach"] = ["breach_recorded", "breach_amended"],
        ["job"] = ["job_started"],
    };

    /// <summary>Kinds that are named by a key, which is the name.</summary>
    private static readonly string[] Keyed = ["flag-", "projection-", "purpose-", "retention-policy-"];

    private static readonly string[] Naming = [.. Kinds.Values.SelectMany(types => types)];

    private readonly string tenant;
    private readonly IReadOnlyDictionary<string, string?> names;

    private StreamNames(string tenant, IReadOnlyDictionary<string, string?> names) => (this.tenant, this.names) = (tenant, names);

    /// <summary>The stream of who acts, where it has one in this tenant: an operator's is the platform's.</summary>
    public static string? OfActor(string? actor, string tenant) => actor?.Split(':', 2) switch
    {
        ["user", var id] => "user-" + id,
        ["key", var id] => "api-key-" + id,
        ["operator", var id] when tenant == Store.Projection.PlatformTenant => "operator-" + id,
        _ => null,
    };

    /// <summary>Reads the names of streams as they are stored, sealed where they are personal: a JSON object, from stream to name.</summary>
    public static async Task<ReadOnlyMemory<byte>> Sealed(Reader db, IEnumerable<string> streams, CancellationToken ct)
    {
        var wanted = streams.Where(IsNamed).Distinct().ToArray();
        if (wanted.Length == 0) return "{}"u8.ToArray();
        var rows = await db.Query($"""
            select s.stream, n.name::text from unnest({wanted}) s (stream) cross join lateral (
              select coalesce(e.data->'name', e.data->'email', e.data->'provider', e.data->'kind', e.data->'facts'->'title', e.data->'description'->'name') as name from events.mt_events e
               where e.tenant_id = {db.Tenant} and e.stream_id = s.stream and e.type = any({Naming}) order by e.version desc limit 1) n
             where n.name is not null
            """, row => (Stream: row.GetString(0), Name: row.GetString(1)), ct);
        var json = new System.Buffers.ArrayBufferWriter<byte>();
        await using (var writer = new Utf8JsonWriter(json))
        {
            writer.WriteStartObject();
            foreach (var (stream, name) in rows)
            {
                writer.WritePropertyName(stream);
                writer.WriteRawValue(name, skipInputValidation: true);
            }
            writer.WriteEndObject();
        }
        return json.WrittenMemory;
    }

    /// <summary>The same once the values are opened.</summary>
    public static StreamNames Opened(string tenant, ReadOnlyMemory<byte> json)
    {
        using var document = JsonDocument.Parse(json);
        // Another writer's name may be anything.
        return new StreamNames(tenant, document.RootElement.EnumerateObject().ToDictionary(m => m.Name, m => m.Value.ValueKind == JsonValueKind.String ? m.Value.GetString() : null));
    }

    /// <summary>The name alone; null where there is none, or it is erased.</summary>
    public string? Of(string? stream) => stream is null ? null : names.GetValueOrDefault(stream) ?? Key(stream);

    /// <summary>Who acts, within a sentence.</summary>
    public string Actor(string? actor) => actor?.Split(':', 2) switch
    {
        ["user", var id] => Object("user-" + id),
        ["key", var id] => Of("api-key-" + id) is { } name ? $"the API key {Sentence.Quoted(name)}" : "an API key",
        ["operator", var id] => Of("operator-" + id) ?? (tenant == Store.Projection.PlatformTenant && names.ContainsKey("operator-" + id) ? Sentence.ErasedPerson : "an operator"),
        ["system", _] => "the system",
        _ => "somebody",
    };

    /// <summary>What it happened to, within a sentence.</summary>
    public string Object(string stream)
    {
        var isPerson = stream.StartsWith("user-", StringComparison.Ordinal) || stream.StartsWith("operator-", StringComparison.Ordinal);
        if (Of(stream) is { } name) return isPerson ? name : Sentence.Quoted(name);
        return isPerson || stream.StartsWith("invitation-", StringComparison.Ordinal) ? names.ContainsKey(stream) ? Sentence.ErasedPerson : "somebody"
            : names.ContainsKey(stream) ? Sentence.Erased
            : Sentence.Quoted(stream);
    }

    private static string? Key(string stream) => Keyed.FirstOrDefault(kind => stream.StartsWith(kind, StringComparison.Ordinal)) is { } found ? stream[found.Length..] : null;

    // Named by an id, the stream's kind is all before it.
    private static bool IsNamed(string stream) => stream.Length > 37 && Kinds.ContainsKey(stream[..^37]) && stream[^37] == '-' && Guid.TryParseExact(stream.AsSpan(stream.Length - 36), "D", out _);
}
