using Nubabel.Domain;

namespace Nubabel.Tidy.Tests;

/// <summary>The rules, over the repository.</summary>
public sealed class StyleTests
{
    private static IEnumerable<Source> Tests => Sources.CSharp.Where(s => s.Path.StartsWith("tests/", StringComparison.Ordinal));

    [Fact]
    public void No_banned_call_is_made() => Clean(Sources.CSharp.SelectMany(Rules.Calls));

    [Fact]
    public void No_test_waits_blindly() => Clean(Tests.SelectMany(Rules.Delays));

    [Fact]
    public void Names_say_something() => Clean(Sources.CSharp.SelectMany(Rules.Names));

    [Fact]
    public void Files_and_members_are_short() => Clean(Sources.CSharp.SelectMany(Rules.Sizes));

    [Fact]
    public void Every_public_type_of_domain_and_store_has_a_summary()
    {
        var evident = typeof(EventCatalog).Assembly.GetTypes().Where(t => Model.IsEvent(t) || Model.IsCommand(t)).Select(t => t.Name).ToHashSet();
        Clean(Rules.Summaries(Sources.Under("Nubabel.Domain").Concat(Sources.Under("Nubabel.Store")), evident.Contains));
    }

    [Fact]
    public void Every_index_says_what_it_is_for() => Clean(Sources.OfKind(".sql").SelectMany(Rules.Indexes));

    [Fact]
    public void What_is_opened_for_others_is_recorded() => Clean(Sources.Product.SelectMany(Rules.SilentReads));

    [Fact]
    public void No_tenants_slice_sees_every_tenant() => Clean(Sources.Product.SelectMany(Rules.PlatformAccess));

    [Fact]
    public void Every_link_of_the_documents_leads_somewhere() =>
        Clean(Sources.OfKind(".md").SelectMany(d => Rules.Links(d, path => Path.Exists(Testing.Repository.At(path)))));

    internal static void Clean(IEnumerable<string> violations)
    {
        var all = violations.ToArray();
        Assert.True(all.Length == 0, string.Join('\n', all));
    }
}
