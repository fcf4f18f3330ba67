using System.Globalization;
using System.Text.Json;

namespace Nubabel.Store;

/// <summary>The members of a line's object, which may have these and no others.</summary>
internal sealed class LineMembers
{
    private readonly JsonElement line;
    private readonly long number;

    public LineMembers(JsonElement line, long number, params IReadOnlyList<string> known)
    {
        (this.line, this.number) = (line, number);
        if (line.ValueKind != JsonValueKind.Object) throw Bad(known[0], "an object");
        foreach (var member in line.EnumerateObject())
            if (!known.Contains(member.Name)) throw new BadEventFile(number, $"There is no member {member.Name}.");
    }

    public LineMembers Inner(string name, params IReadOnlyList<string> known) => new(line.GetProperty(name), number, known);

    public string Text(string name) => TextOrNull(name) is { Length: > 0 } text ? text : throw Bad(name, "a text");

    public string? TextOrNull(string name)
    {
        if (Find(name) is not { } found) return null;
        if (found.ValueKind != JsonValueKind.String) throw Bad(name, "a text");
        try
        {
            var text = found.GetString()!;
            return text.Contains('\0', StringComparison.Ordinal) ? throw Bad(name, "a text without U+0000") : text;
        }
        catch (InvalidOperationException)
        {
            throw Bad(name, "a text of whole characters");
        }
    }

    public long Number(string name) => Find(name) is { ValueKind: JsonValueKind.Number } found && found.TryGetInt64(out var value) && value >= 0 ? value : throw Bad(name, "a whole number");

    public bool Flag(string name) => Find(name) is { } found && (found.ValueKind is JsonValueKind.True or JsonValueKind.False ? found.GetBoolean() : throw Bad(name, "true or false"));

    public Guid Guid(string name) => Find(name) is { ValueKind: JsonValueKind.String } found && found.TryGetGuid(out var value) ? value : throw Bad(name, "a UUID");

    public DateTime Time(string name) => TimeOrNull(name) ?? throw Bad(name, "a time");

    public DateTime? TimeOrNull(string name) => TextOrNull(name) is not { } text ? null
        : DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time) && text[^1] == 'Z' ? time.UtcDateTime
        : throw Bad(name, "a time in UTC, as in 2026-01-31T12:00:00.000000Z");

    public byte[]? Bytes(string name) => Find(name) is not { } found ? null
        : found.ValueKind == JsonValueKind.String && found.TryGetBytesFromBase64(out var bytes) ? bytes
        : throw Bad(name, "base64");

    /// <summary>The member's own text, which PostgreSQL must be able to keep as <c>jsonb</c>.</summary>
    public string? JsonOrNull(string name)
    {
        if (Find(name) is not { } found) return null;
        var json = found.GetRawText();
        // Only what is written by its number can be one of those.
        if (json.Contains("\\u", StringComparison.Ordinal) && !IsKept(found))
            throw new BadEventFile(number, $"The member {name} holds U+0000 or half a surrogate pair, which PostgreSQL does not keep.");
        return json;
    }

    private JsonElement? Find(string name) => line.TryGetProperty(name, out var found) ? found : null;

    private BadEventFile Bad(string name, string expected) => new(number, $"The member {name} is not {expected}.");

    /// <summary>Whether PostgreSQL keeps all texts in a value, names included; a broken one shows when it is asked for.</summary>
    private static bool IsKept(JsonElement value)
    {
        var open = new Stack<JsonElement>([value]);
        while (open.TryPop(out var next))
        {
            if (next.ValueKind == JsonValueKind.String && !IsKept(() => next.GetString()!)) return false;
            if (next.ValueKind == JsonValueKind.Array) foreach (var item in next.EnumerateArray()) open.Push(item);
            if (next.ValueKind != JsonValueKind.Object) continue;
            foreach (var member in next.EnumerateObject())
            {
                if (!IsKept(() => member.Name)) return false;
                open.Push(member.Value);
            }
        }
        return true;
    }

    private static bool IsKept(Func<string> text)
    {
        try
        {
            return !text().Contains('\0', StringComparison.Ordinal);
        }
        catch (InvalidOperationException)
        {
            return false;
        }
    }
}
