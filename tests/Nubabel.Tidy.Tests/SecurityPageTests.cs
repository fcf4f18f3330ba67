using System.Globalization;
using System.Text.RegularExpressions;
using Nubabel.Testing;

namespace Nubabel.Tidy.Tests;

/// <summary>The security review says what is so: whatever it names exists, and its sums are right.</summary>
public sealed partial class SecurityPageTests
{
    private static readonly string[] States = ["met", "partly", "not met", "not applicable"];
    private static readonly string[] Pages = ["docs/security.md", "docs/threat-model.md"];
    private static readonly string Review = Page("docs/security.md");

    private static readonly HashSet<string> TestClasses =
        [.. Sources.CSharp.Where(s => s.Path.StartsWith("tests/", StringComparison.Ordinal)).SelectMany(Declarations.Types).Select(t => t.Name)];

    private static List<Requirement> All => Requirements(Review);

    [Fact]
    public void Every_test_and_path_that_is_named_exists() => StyleTests.Clean(Pages.SelectMany(page => Unknown(page, Page(page))));

    [Fact]
    public void A_test_or_path_that_is_gone_is_found()
    {
        Assert.Equal(["p: NoSuchTests", "p: src/Nubabel.Api/Gone.cs"], Unknown("p", "| `NoSuchTests` | `src/Nubabel.Api/Gone.cs` |"));
        Assert.Empty(Unknown("p", "`SecurityPageTests`, `DeviceSpecs`, `src/Nubabel.Domain/Core.cs`, `docs/adr`, `./dev test`"));
    }

    [Fact]
    public void Every_requirement_stands_once_in_its_order_with_a_state_and_a_reason()
    {
        Assert.Equal(190, All.Count);
        Assert.Equal(All.Select(r => r.Number).Order(), All.Select(r => r.Number));
        Assert.Equal(All.Count, All.Select(r => r.Id).Distinct().Count());
        Assert.All(All, r => Assert.Contains(r.State, States));
        Assert.All(All, r => Assert.NotEqual("", r.Reason));
        // What is not there has no test that holds it, or says what its test holds.
        Assert.All(All.Where(r => r.State == "not applicable"), r => Assert.Equal("", r.Test));
    }

    [Fact]
    public void The_counts_are_those_of_the_tables()
    {
        var counted = CountRow().Matches(Review).Select(m => m.Groups.Values.Skip(1).Select(g => int.Parse(g.Value, CultureInfo.InvariantCulture)).ToArray()).ToArray();
        var chapters = All.GroupBy(r => r.Chapter).Select(g => (int[])[g.Key, .. States.Select(state => g.Count(r => r.State == state))]);
        Assert.Equal(chapters, counted);
    }

    /// <summary>How cryptography is found wherever it is used.</summary>
    [Fact]
    public void Every_source_with_cryptography_is_in_the_inventory() =>
        StyleTests.Clean(from source in Sources.Product
                         where UsesCryptography(source.Code) && !Review.Contains($"`{source.Path}`", StringComparison.Ordinal)
                         select $"{source.Path} uses cryptography and is not in docs/security.md");

    [Fact]
    public void A_source_with_cryptography_is_found()
    {
        Assert.True(UsesCryptography("using System.Security.Cryptography;"));
        Assert.True(UsesCryptography("var x = System.Security.Cryptography.SHA256.HashData(y);"));
        Assert.False(UsesCryptography("using System.Text;"));
    }

    private static string Page(string path) => File.ReadAllText(Repository.At(path.Split('/')));

    private static bool UsesCryptography(string code) => code.Contains("System.Security.Cryptography", StringComparison.Ordinal);

    private static IEnumerable<string> Unknown(string page, string text) =>
        from match in Named().Matches(text)
        let name = match.Groups[1].Value
        where TestName().IsMatch(name) ? !TestClasses.Contains(name) : PathName().IsMatch(name) && !Path.Exists(Repository.At(name.Split('/')))
        select $"{page}: {name}";

    private static List<Requirement> Requirements(string text) =>
        [.. from match in Row().Matches(text) select new Requirement(match.Groups[1].Value, match.Groups[2].Value, match.Groups[3].Value.Trim(), match.Groups[4].Value.Trim())];

    private sealed record Requirement(string Id, string State, string Reason, string Test)
    {
        public int Chapter => int.Parse(Id[..Id.IndexOf('.', StringComparison.Ordinal)], CultureInfo.InvariantCulture);
        public Version Number => Version.Parse(Id);
    }

    [GeneratedRegex(@"^\| (\d+\.\d+\.\d+) \| [123] \| [^|]+ \| ([^|]+) \|([^|]*)\|([^|]*)\|$", RegexOptions.Multiline)]
    private static partial Regex Row();

    [GeneratedRegex(@"^\| V(\d+) [^|]*\| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", RegexOptions.Multiline)]
    private static partial Regex CountRow();

    [GeneratedRegex("`([^`\n]+)`")]
    private static partial Regex Named();

    [GeneratedRegex("^[A-Z][A-Za-z0-9]*(Tests|Specs)$")]
    private static partial Regex TestName();

    [GeneratedRegex("^(src|tests|docs|deploy|scripts|bench)/[^ ]+$")]
    private static partial Regex PathName();
}
