using System.Reflection;
using Nubabel.Domain;
using Nubabel.Projections.Audit;

namespace Nubabel.Projections.Tests.Audit;

/// <summary>Every event says in a sentence what happened, and what its sentence takes from the event is there.</summary>
public sealed class SentenceTests
{
    private static readonly string[] Always = ["actor", "object", "action"];

    [Fact]
    public void Every_event_has_a_sentence() => Assert.Equal([], EventCatalog.All.Select(e => e.Alias).Except(Sentences.All.Keys));

    [Fact]
    public void What_a_sentence_takes_from_an_event_the_event_has_and_shows()
    {
        var wrong =
            from entry in EventCatalog.All
            where Sentences.All.ContainsKey(entry.Alias)
            from hole in Sentence.Of(entry.Alias).Holes
            where !Always.Contains(hole.Member) && (!Sentence.Forms.Contains(hole.Form) || !Has(entry.Type, Path(hole.Member)) || AuditTrail.Hidden.Contains(Path(hole.Member)[0]))
            select $"{entry.Alias}: {hole}";
        Assert.Equal([], wrong);
    }

    [Fact]
    public void A_hole_that_is_written_wrongly_is_seen() => Assert.All(Sentences.All, s =>
    {
        Assert.Equal(s.Value.Count(c => c == '{'), s.Value.Count(c => c == '}'));
        Assert.Equal(s.Value.Count(c => c == '['), s.Value.Count(c => c == ']'));
        var texts = s.Value.Split('|');
        Assert.Equal(Sentence.Of(s.Key).Holes.Order(new ByText()), texts.SelectMany(Holes).Distinct().Order(new ByText()));
    });

    [Fact]
    public void What_gives_a_stream_its_name_is_an_event_with_a_name() => Assert.All(StreamNames.Kinds, kind => Assert.All(kind.Value, alias =>
    {
        var entry = Assert.Single(EventCatalog.All, e => e.Alias == alias);
        Assert.StartsWith(kind.Key.Replace('-', '_') + "_", alias, StringComparison.Ordinal);
        Assert.Contains(entry.Type.GetProperties(), p => p.Name is "Name" or "Email" or "Provider" or "Kind" || (p.Name is "Facts" && Has(p.PropertyType, ["title"])) || (p.Name is "Description" && Has(p.PropertyType, ["name"])));
    }));

    private static IEnumerable<Hole> Holes(string text) =>
        text.Split('{').Skip(1).Select(part => part[..part.IndexOf('}', StringComparison.Ordinal)].Split(':')).Select(hole => new Hole(hole[0], hole.Length > 1 ? hole[1] : ""));

    private static string[] Path(string member) => (member.StartsWith("before.", StringComparison.Ordinal) ? member["before.".Length..] : member).Split('.');

    private static bool Has(Type type, IEnumerable<string> path)
    {
        foreach (var member in path)
        {
            if (type.GetProperties(BindingFlags.Public | BindingFlags.Instance).FirstOrDefault(p => System.Text.Json.JsonNamingPolicy.CamelCase.ConvertName(p.Name) == member) is not { } found) return type == typeof(Domain.Flags.FlagRule);
            type = Nullable.GetUnderlyingType(found.PropertyType) ?? found.PropertyType;
        }
        return true;
    }

    private sealed class ByText : IComparer<Hole>
    {
        public int Compare(Hole? x, Hole? y) => string.CompareOrdinal(x?.ToString(), y?.ToString());
    }
}
