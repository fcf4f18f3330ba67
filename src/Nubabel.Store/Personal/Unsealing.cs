using System.Buffers;
using System.Text.Json;

namespace Nubabel.Store;

/// <summary>
/// Opens the personal values of a JSON text, wherever they stand: <c>{"$p":1,"s":…,"c":…}</c> becomes the text, or null where the subject
/// is erased or the value does not open. One key query a text, however many values.
/// </summary>
public static class Unsealing
{
    // Answers are application/json, never HTML: a name that is not English stays readable.
    private static readonly JsonWriterOptions Relaxed = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    // As deep as the writer goes; what we store is flat.
    private static readonly JsonDocumentOptions Deep = new() { MaxDepth = 1_000 };

    /// <summary>Whether the text may hold personal values: where it does not, its bytes go out as they are.</summary>
    public static bool Needed(ReadOnlySpan<byte> json) => json.IndexOf("\"$p\""u8) >= 0;

    /// <summary>The text with its personal values opened.</summary>
    public static async ValueTask<ReadOnlyMemory<byte>> Open(SubjectKeys keys, string tenant, ReadOnlyMemory<byte> json, CancellationToken ct) =>
        (await Open(keys, tenant, [json], ct))[0];

    /// <summary>The texts with their personal values opened, all with one key query.</summary>
    /// <param name="of">Whose values are opened; another person's become null. Null opens all.</param>
    /// <param name="opened">Told whose values were opened.</param>
    public static async ValueTask<IReadOnlyList<ReadOnlyMemory<byte>>> Open(
        SubjectKeys keys, string tenant, IReadOnlyList<ReadOnlyMemory<byte>> json, CancellationToken ct, string? of = null, Action<IEnumerable<string>>? opened = null)
    {
        if (!json.Any(j => Needed(j.Span))) return json;
        var subjects = new HashSet<string>();
        var documents = new JsonDocument[json.Count];
        try
        {
            for (var i = 0; i < json.Count; i++)
            {
                documents[i] = JsonDocument.Parse(json[i], Deep);
                Subjects(documents[i].RootElement, subjects);
            }
            if (of is not null) subjects.IntersectWith([of]);
            var known = await keys.Load(tenant, subjects, ct);
            opened?.Invoke(known.Where(k => k.Value is not null).Select(k => k.Key));
            return [.. documents.Select(d => Written(d, tenant, known))];
        }
        finally
        {
            foreach (var document in documents) document?.Dispose();
        }
    }

    private static ReadOnlyMemory<byte> Written(JsonDocument document, string tenant, IReadOnlyDictionary<string, byte[]?> known)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer, Relaxed)) Write(document.RootElement, writer, tenant, known);
        return buffer.WrittenMemory;
    }

    private static bool IsSealed(JsonElement e, out string subject, out string cipher)
    {
        (subject, cipher) = ("", "");
        // A foreign writer's event may hold anything; what only looks like a personal value is shown as it is.
        if (!e.TryGetProperty("$p", out var form) || form.ValueKind != JsonValueKind.Number || !form.TryGetInt32(out var number) || number != 1) return false;
        if (!e.TryGetProperty("s", out var s) || s.ValueKind != JsonValueKind.String || !e.TryGetProperty("c", out var c) || c.ValueKind != JsonValueKind.String) return false;
        (subject, cipher) = (s.GetString()!, c.GetString()!);
        return true;
    }

    /// <summary>Adds the subjects of all personal values in a JSON value, however deep it is.</summary>
    internal static void Subjects(JsonElement json, HashSet<string> subjects)
    {
        var open = new Stack<JsonElement>([json]);
        while (open.TryPop(out var e))
        {
            if (e.ValueKind == JsonValueKind.Array) foreach (var item in e.EnumerateArray()) open.Push(item);
            if (e.ValueKind != JsonValueKind.Object) continue;
            if (IsSealed(e, out var subject, out _))
            {
                if (subject.Length > 0) subjects.Add(subject);
            }
            else foreach (var member in e.EnumerateObject()) open.Push(member.Value);
        }
    }

    private static void Write(JsonElement e, Utf8JsonWriter writer, string tenant, IReadOnlyDictionary<string, byte[]?> known)
    {
        switch (e.ValueKind)
        {
            case JsonValueKind.Object when IsSealed(e, out var subject, out var cipher):
                writer.WriteStringValue(SubjectKeys.Open(tenant, subject, cipher, known));
                break;
            case JsonValueKind.Object:
                writer.WriteStartObject();
                foreach (var member in e.EnumerateObject())
                {
                    writer.WritePropertyName(member.Name);
                    Write(member.Value, writer, tenant, known);
                }
                writer.WriteEndObject();
                break;
            case JsonValueKind.Array:
                writer.WriteStartArray();
                foreach (var item in e.EnumerateArray()) Write(item, writer, tenant, known);
                writer.WriteEndArray();
                break;
            default:
                e.WriteTo(writer);
                break;
        }
    }
}
