using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace Nubabel.Api.Host;

/// <summary>
/// One pass over a body before it is read as a type. It refuses what reading would let through (prototype-like members, U+0000, half
/// surrogate pairs, long arrays, duplicates inside values a converter reads itself), with the member named.
/// </summary>
public static class JsonScan
{
    /// <summary>A path is echoed to the client; a body of one huge name shall not come back whole.</summary>
    internal const int LongestField = 200;

    /// <param name="nullItems">Whether arrays may hold null, as in JSON that is kept as it is.</param>
    public static void Check(ReadOnlySpan<byte> utf8, Limits limits, bool nullItems = false)
    {
        if (!Utf8.IsValid(utf8)) throw new Problem("json.encoding", "The body is not UTF-8.");
        // One deeper than allowed, so that the first level too many is met here and can be named.
        var reader = new Utf8JsonReader(utf8, new JsonReaderOptions { MaxDepth = limits.JsonDepth + 1 });
        var open = new Stack<Container>();
        try
        {
            while (reader.Read())
            {
                Check(utf8, ref reader, open, limits);
                // The serializer does not look at the nullability of items: a list of names would hold a null.
                if (reader.TokenType == JsonTokenType.Null && !nullItems && open.TryPeek(out var list) && list.Members is null)
                    throw Fault(utf8, ref reader, "json.wrong_type", "An item must not be null.");
            }
        }
        catch (JsonException e)
        {
            var line = e.LineNumber is { } n ? string.Create(CultureInfo.InvariantCulture, $" Line {n + 1}, byte {e.BytePositionInLine + 1}.") : "";
            throw new Problem("json.malformed", "The body is not one JSON value." + line);
        }
    }

    private static void Check(ReadOnlySpan<byte> utf8, ref Utf8JsonReader reader, Stack<Container> open, Limits limits)
    {
        var isMember = reader.TokenType == JsonTokenType.PropertyName;
        if (!isMember && reader.TokenType is not (JsonTokenType.EndArray or JsonTokenType.EndObject) && open.TryPeek(out var around)
            && around.Members is null && ++around.Items > limits.ArrayItems)
            throw Fault(utf8, ref reader, "json.array_too_long", $"An array has more than {limits.ArrayItems} items.", ofParent: true);
        switch (reader.TokenType)
        {
            case JsonTokenType.StartObject or JsonTokenType.StartArray:
                if (reader.CurrentDepth >= limits.JsonDepth)
                    throw Fault(utf8, ref reader, "json.too_deep", $"The body is nested deeper than {limits.JsonDepth}.");
                open.Push(new Container(reader.TokenType == JsonTokenType.StartObject ? new HashSet<string>(StringComparer.Ordinal) : null));
                break;
            case JsonTokenType.EndObject or JsonTokenType.EndArray:
                open.Pop();
                break;
            case JsonTokenType.PropertyName or JsonTokenType.String when reader.ValueIsEscaped && !IsText(reader.ValueSpan):
                throw Fault(utf8, ref reader, "json.encoding", "A string holds U+0000 or half a surrogate pair.", ofParent: isMember);
        }
        if (!isMember) return;
        if (reader.ValueTextEquals("__proto__"u8) || reader.ValueTextEquals("constructor"u8) || reader.ValueTextEquals("prototype"u8))
            throw Fault(utf8, ref reader, "json.forbidden_member", "A member must not have this name.");
        if (!open.Peek().Members!.Add(reader.GetString()!)) throw Fault(utf8, ref reader, "json.duplicate_member", "The member stands twice.");
    }

    /// <summary>Whether escapes in a string make text: PostgreSQL's jsonb refuses U+0000, and half a surrogate pair is no character.</summary>
    private static bool IsText(ReadOnlySpan<byte> escaped)
    {
        var high = false;
        for (var i = 0; i < escaped.Length; i++)
        {
            if (escaped[i] != '\\')
            {
                if (high) return false;
                continue;
            }
            if (escaped[++i] != 'u')
            {
                if (high) return false;
                continue;
            }
            var unit = (char)ushort.Parse(escaped.Slice(i + 1, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
            i += 4;
            if (unit == 0 || char.IsLowSurrogate(unit) != high) return false;
            high = char.IsHighSurrogate(unit);
        }
        return !high;
    }

    private static Problem Fault(ReadOnlySpan<byte> utf8, ref Utf8JsonReader reader, string code, string message, bool ofParent = false)
    {
        var field = PathTo(utf8, reader.TokenStartIndex, ofParent);
        return field.Length == 0 ? new Problem(code, message) : Problem.At(field, code, message);
    }

    /// <summary>The path of the token that starts at a place: walked again, so that bodies without a fault pay nothing for it.</summary>
    private static string PathTo(ReadOnlySpan<byte> utf8, long start, bool ofParent)
    {
        var reader = new Utf8JsonReader(utf8, new JsonReaderOptions { MaxDepth = 1024 });
        var steps = new List<object>();
        while (reader.Read())
        {
            if (reader.TokenType is JsonTokenType.EndObject or JsonTokenType.EndArray)
            {
                steps.RemoveAt(steps.Count - 1);
                if (reader.TokenStartIndex == start) break;
                continue;
            }
            if (steps.Count > 0 && steps[^1] is int index) steps[^1] = index + 1;
            var here = reader.TokenStartIndex == start;
            if (reader.TokenType == JsonTokenType.PropertyName) steps[^1] = here && ofParent ? "" : reader.GetString()!;
            if (here) break;
            if (reader.TokenType == JsonTokenType.StartObject) steps.Add("");
            else if (reader.TokenType == JsonTokenType.StartArray) steps.Add(-1);
        }
        if (ofParent && steps.Count > 0) steps.RemoveAt(steps.Count - 1);
        return Join(steps);
    }

    private static string Join(List<object> steps)
    {
        var path = new StringBuilder();
        foreach (var step in steps)
        {
            if (step is int index) path.Append(CultureInfo.InvariantCulture, $"[{index}]");
            else if (path.Length == 0) path.Append(step);
            else path.Append('.').Append(step);
        }
        return path.Length <= LongestField ? path.ToString() : path.ToString(0, LongestField) + "…";
    }

    /// <summary>An open object (with its members so far) or an open array (with its items so far).</summary>
    private sealed class Container(HashSet<string>? members)
    {
        public HashSet<string>? Members => members;
        public int Items { get; set; }
    }
}
