using System.Text.Json;
using Nubabel.Domain;
using Nubabel.Domain.Users;
using Nubabel.Projections;
using Nubabel.Projections.DataExports;
using Nubabel.Projections.Erasures;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Privacy;

/// <summary>Nothing that may hold a person's data is left without a decision on what is handed over of it and what erases it.</summary>
public sealed class PersonalPlacesTests
{
    [Fact]
    public void Every_sealed_value_has_a_subject_an_export_and_an_erasure()
    {
        var found = Places.Sealed.ToHashSet();
        Assert.True(found.Count > 20);
        None("not decided on", found.Where(p => !PersonalPlaces.Places.TryGetValue(p, out var fate) || !PersonalPlaces.Fates[fate].IsSealed));
        None("no such place", PersonalPlaces.Places.Where(p => PersonalPlaces.Fates[p.Value].IsSealed && !found.Contains(p.Key) && !p.Key.StartsWith("origin.", StringComparison.Ordinal)).Select(p => p.Key));
    }

    [Fact]
    public async Task Every_text_that_is_written_is_decided_on()
    {
        var found = Places.Texts.Concat(await Places.Columns()).ToHashSet();
        Assert.True(found.Count > 200);
        None("not decided on", found.Where(p => !PersonalPlaces.Places.ContainsKey(p)));
        None("no such place", PersonalPlaces.Places.Where(p => !PersonalPlaces.Fates[p.Value].IsSealed && !found.Contains(p.Key)).Select(p => p.Key));
        // What the edge parses and seals never gets further as it is.
        Assert.DoesNotContain(EventCatalog.All.SelectMany(e => e.Type.GetProperties()), p => p.PropertyType == typeof(Email) || p.PropertyType == typeof(PersonName));
    }

    [Fact]
    public void Values_are_sealed_for_whom_it_is_said()
    {
        var seen = 0;
        foreach (var file in Directory.EnumerateFiles(Path.Combine(Repository.Root, "docs", "contracts", "events"), "*.json"))
        {
            var alias = Path.GetFileName(file).Split('.')[0];
            using var golden = JsonDocument.Parse(File.ReadAllBytes(file));
            foreach (var member in golden.RootElement.EnumerateObject())
            {
                if (member.Value.ValueKind != JsonValueKind.Object || !member.Value.TryGetProperty("$p", out _) || member.Value.GetProperty("s").GetString() is not { Length: > 0 } subject) continue;
                var kinds = PersonalPlaces.Fates[PersonalPlaces.Places[$"event {alias}.{member.Name}"]].Kinds;
                Assert.True(kinds.Any(k => subject.StartsWith(k + "-", StringComparison.Ordinal)), $"{alias}.{member.Name} is sealed for {subject}");
                seen++;
            }
        }
        Assert.True(seen >= 10, $"{seen} golden values");
    }

    [Fact]
    public void What_is_said_of_exports_and_erasures_is_what_they_do()
    {
        var kinds = PersonalPlaces.Subjects.Select(s => s.Kind).ToHashSet();
        Assert.All(PersonalPlaces.Fates.Values.SelectMany(f => f.Kinds), kind => Assert.Contains(kind, kinds));
        var sections = new HeldData(null!, null!, new Id<User>(Guid.Empty), 0).Sections().Select(s => s.Name).ToHashSet();
        Assert.All(PersonalPlaces.Fates.Values.SelectMany(f => f.Sections), section => Assert.Contains(section, sections));
        // The subjects whose keys an erasure destroys, by the names of their streams.
        var erased = new Belongings("user-x", [], [], [], ["invitation-x"], ["legal-hold-x"], ["sign-in-x"], []).Subjects.Select(s => s[..^2]);
        Assert.Equal(PersonalPlaces.Subjects.Where(s => s.IsErased).Select(s => s.Kind).Order(StringComparer.Ordinal), erased.Order(StringComparer.Ordinal));
    }

    private static void None(string fault, IEnumerable<string> places) => Assert.True(!places.Any(), $"{fault} in PersonalPlaces: {string.Join(' ', places.Order(StringComparer.Ordinal))}");

    /// <summary>Set NUBABEL_WRITE_CONTRACTS=1 to rewrite the page.</summary>
    [Fact]
    [Trait("Category", "Contract")]
    public async Task The_page_of_places_is_the_table()
    {
        var page = Path.Combine(Repository.Root, "docs", "personal-data.md");
        if (Environment.GetEnvironmentVariable("NUBABEL_WRITE_CONTRACTS") == "1") await File.WriteAllTextAsync(page, PersonalPlaces.Markdown());
        Assert.Equal(PersonalPlaces.Markdown(), await File.ReadAllTextAsync(page));
    }
}
