using System.Text.Json;
using Nubabel.Store;

namespace Nubabel.Projections.Audit;

/// <summary>An entry with its personal values opened, as a person reads it.</summary>
/// <param name="Json">The entry with <c>summary</c>, <c>actorName</c> and <c>objectName</c>, ready to go out.</param>
/// <param name="Summary">What happened, in a sentence.</param>
public sealed record ToldEntry(
    ReadOnlyMemory<byte> Json, string Summary, string? Actor, string? ActorName, string? ActorStream, string Action, string Object, string? ObjectName, JsonElement? Before, JsonElement? After)
{
    private static readonly JsonWriterOptions Relaxed = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping, MaxDepth = 1_000 };

    /// <summary>Opens the entries' values and tells each of them: a query for the names, and one for the keys.</summary>
    /// <param name="show">The entry as it goes out, with members <c>before</c> and <c>after</c>.</param>
    public static async Task<IReadOnlyList<ToldEntry>> Tell(Reader db, IReadOnlyList<AuditTrail.Entry> entries, Func<AuditTrail.Entry, object> show, CancellationToken ct)
    {
        if (entries.Count == 0) return [];
        var names = await StreamNames.Sealed(db, entries.SelectMany(e => Sentence.Named(e, db.Tenant)), ct);
        var opened = await db.Open([.. entries.Select(e => (ReadOnlyMemory<byte>)JsonSerializer.SerializeToUtf8Bytes(show(e), StoredJson.Options)), names], ct);
        var known = StreamNames.Opened(db.Tenant, opened[^1]);
        return [.. entries.Select((e, i) => Tell(e, opened[i], known, db.Tenant))];
    }

    /// <summary>Whether a text stands in what is read of the entry: in its sentence, or in who, what and on which object. Letters' cases do not matter.</summary>
    public bool Mentions(string text) =>
        new[] { Summary, Actor, ActorName, Action, Object, ObjectName }.Any(t => t?.Contains(text, StringComparison.OrdinalIgnoreCase) == true);

    private static ToldEntry Tell(AuditTrail.Entry e, ReadOnlyMemory<byte> json, StreamNames names, string tenant)
    {
        var (actorStream, entry) = (StreamNames.OfActor(e.Row.Actor, tenant), JsonElement.Parse(json.Span, new JsonDocumentOptions { MaxDepth = 1_000 }));
        var told = new ToldEntry(json, "", e.Row.Actor, names.Of(actorStream), actorStream, e.Row.Action, e.Row.Object, names.Of(e.Row.Object), Member("before"), Member("after"));
        told = told with { Summary = Sentence.Of(e.Type).Text(told, names) };
        return told with { Json = With(entry, told) };

        JsonElement? Member(string name) => entry.TryGetProperty(name, out var value) ? value : null;
    }

    private static ReadOnlyMemory<byte> With(JsonElement entry, ToldEntry told)
    {
        var buffer = new System.Buffers.ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer, Relaxed))
        {
            writer.WriteStartObject();
            writer.WriteString("summary", told.Summary);
            if (told.ActorName is { } actor) writer.WriteString("actorName", actor);
            if (told.ObjectName is { } on) writer.WriteString("objectName", on);
            foreach (var member in entry.EnumerateObject()) member.WriteTo(writer);
            writer.WriteEndObject();
        }
        return buffer.WrittenMemory;
    }
}
