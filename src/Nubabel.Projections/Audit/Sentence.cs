using System.Collections.Frozen;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Nubabel.Projections.Audit;

/// <summary>A hole of a sentence: a member of the event, dotted where it stands deeper, and the form it is written in.</summary>
/// <param name="Form">
/// Nothing for a quoted text; <c>word</c> as it is, in small letters where it is a word of ours; <c>time</c>; <c>onoff</c>; <c>list</c>; <c>times</c> how often, where it is more than once; <c>person</c> the id of a
/// user; <c>stream</c> a stream that has a name; <c>people</c> how many subjects.
/// </param>
public sealed record Hole(string Member, string Form);

/// <summary>The sentence of one event, made of its template and of an entry whose personal values are opened.</summary>
public sealed partial class Sentence
{
    /// <summary>Stands for a person whose key has been destroyed.</summary>
    public const string ErasedPerson = "an erased person";

    /// <summary>Stands for another personal value that is gone.</summary>
    public const string Erased = "(erased)";

    public static IReadOnlyList<string> Forms { get; } = ["", "word", "time", "onoff", "list", "times", "person", "stream", "people"];

    private static readonly FrozenDictionary<string, Sentence> ByAlias = Sentences.All.ToFrozenDictionary(s => s.Key, s => new Sentence(s.Value));
    private static readonly Sentence Unknown = new(Sentences.OfUnknown);

    private readonly Clause[] onOneself, onOthers;

    private Sentence(string template)
    {
        var texts = template.Split('|');
        (onOneself, onOthers) = (Clauses(texts[0]), Clauses(texts[^1]));
        Holes = [.. HoleForm().Matches(template).Select(HoleOf).Distinct()];
    }

    public IReadOnlyList<Hole> Holes { get; }

    public static Sentence Of(string? alias) => alias is not null && ByAlias.TryGetValue(alias, out var sentence) ? sentence : Unknown;

    /// <summary>The streams whose names the sentence of an entry mentions.</summary>
    public static IEnumerable<string> Named(AuditTrail.Entry e, string tenant)
    {
        if (StreamNames.OfActor(e.Row.Actor, tenant) is { } actor) yield return actor;
        yield return e.Row.Object;
        if (e.After is not { ValueKind: JsonValueKind.Object } data) yield break;
        foreach (var hole in Of(e.Type).Holes)
            if (StreamOf(hole, Found(data, hole.Member)) is { } stream) yield return stream;
    }

    /// <summary>The sentence.</summary>
    /// <param name="entry">Its personal values are opened.</param>
    public string Text(ToldEntry entry, StreamNames names)
    {
        var text = new StringBuilder();
        foreach (var clause in entry.ActorStream is { } actor && actor == entry.Object ? onOneself : onOthers)
        {
            var values = clause.Holes.Select(hole => Value(hole, entry, names)).ToArray();
            if (clause.IsOptional && values.Contains(null)) continue;
            for (var i = 0; i < clause.Words.Length; i++) text.Append(clause.Words[i]).Append(i < values.Length ? values[i] ?? "something" : null);
        }
        if (text.Length > 0) text[0] = char.ToUpperInvariant(text[0]);
        return text.ToString();
    }

    private static Clause[] Clauses(string text) =>
    [
        .. Bracket().Split(text).Where(part => part.Length > 0).Select(part =>
        {
            var isOptional = part[0] == '[';
            var inner = isOptional ? part[1..^1] : part;
            return new Clause(isOptional, HoleForm().Replace(inner, "\n").Split('\n'), [.. HoleForm().Matches(inner).Select(HoleOf)]);
        }),
    ];

    private static Hole HoleOf(Match match) => new(match.Groups[1].Value, match.Groups[2].Value);

    private static string? Value(Hole hole, ToldEntry entry, StreamNames names)
    {
        if (hole.Member == "actor") return names.Actor(entry.Actor);
        if (hole.Member == "object") return names.Object(entry.Object);
        if (hole.Member == "action") return Quoted(entry.Action);
        var (data, member) = hole.Member.StartsWith("before.", StringComparison.Ordinal) ? (entry.Before, hole.Member["before.".Length..]) : (entry.After, hole.Member);
        if (data is not { ValueKind: JsonValueKind.Object } from || Found(from, member) is not { } value) return null;
        if (StreamOf(hole, value) is { } stream) return names.Object(stream);
        return hole.Form switch
        {
            "people" => People(from, value),
            "list" when value.ValueKind == JsonValueKind.Array => value.GetArrayLength() == 0 ? null : string.Join(", ", value.EnumerateArray().Select(v => v.ToString())),
            "onoff" => value.ValueKind == JsonValueKind.True ? "on" : "off",
            "times" => value.TryGetInt64(out var count) && count > 1 ? string.Create(CultureInfo.InvariantCulture, $"{count} times") : null,
            "time" => Time(value),
            // Of a value that was opened and is null the key has been destroyed.
            _ when value.ValueKind == JsonValueKind.Null => Erased,
            "word" => Word(value.ToString()),
            _ => Quoted(value.ToString()),
        };
    }

    private static string? StreamOf(Hole hole, JsonElement? value) => value is not { ValueKind: JsonValueKind.String } text ? null : hole.Form switch
    {
        "person" => "user-" + text.GetString(),
        "stream" => text.GetString(),
        _ => null,
    };

    private static JsonElement? Found(JsonElement data, string path)
    {
        foreach (var member in path.Split('.'))
        {
            if (data.ValueKind != JsonValueKind.Object || !data.TryGetProperty(member, out var next)) return null;
            data = next;
        }
        return data;
    }

    private static string People(JsonElement data, JsonElement subjects)
    {
        var more = data.TryGetProperty("more", out var beyond) && beyond.TryGetInt64(out var number) ? number : 0;
        var count = more + (subjects.ValueKind == JsonValueKind.Array ? subjects.GetArrayLength() : 0);
        return count == 1 ? "one subject" : string.Create(CultureInfo.InvariantCulture, $"{count} subjects");
    }

    private static string Time(JsonElement value) =>
        DateTimeOffset.TryParse(value.ToString(), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time)
            ? time.UtcDateTime.ToString("yyyy-MM-dd HH:mm 'UTC'", CultureInfo.InvariantCulture)
            : value.ToString();

    // signedOut reads "signed out"; what is no word of ours (a route, a code) stays as it is.
    private static string Word(string text) => OurWord().IsMatch(text) ? Capital().Replace(text, m => " " + m.Value.ToLowerInvariant()) : text;

    internal static string Quoted(string text) => $"“{Shortened(text)}”";

    private static string Shortened(string text)
    {
        const int longest = 200;
        if (text.Length <= longest) return text;
        var cut = new StringBuilder(longest + 1);
        foreach (var rune in text.EnumerateRunes())
        {
            if (cut.Length >= longest) break;
            cut.Append(rune);
        }
        return cut.Append('…').ToString();
    }

    [GeneratedRegex(@"\{([A-Za-z.]+)(?::([a-z]+))?\}")]
    private static partial Regex HoleForm();

    // With the brackets among what is split.
    [GeneratedRegex(@"(\[[^\[\]]*\])")]
    private static partial Regex Bracket();

    [GeneratedRegex(@"\A[a-z]+([A-Z][a-z]+)+\z")]
    private static partial Regex OurWord();

    [GeneratedRegex("[A-Z]")]
    private static partial Regex Capital();

    /// <summary>A stretch of a sentence: words, and between each two of them a hole.</summary>
    private sealed record Clause(bool IsOptional, string[] Words, Hole[] Holes);
}
