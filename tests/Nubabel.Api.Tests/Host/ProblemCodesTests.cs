using System.Text.RegularExpressions;
using Nubabel.Api.Host;

namespace Nubabel.Api.Tests.Host;

public sealed partial class ProblemCodesTests
{
    private static readonly string Root = FindRoot();

    [Fact]
    public void Every_code_that_the_source_throws_is_in_the_catalogue()
    {
        var unknown = from file in Directory.EnumerateFiles(Path.Combine(Root, "src"), "*.cs", SearchOption.AllDirectories)
                      where !file.Contains("/obj/", StringComparison.Ordinal) && !file.Contains("/bin/", StringComparison.Ordinal)
                      from Match thrown in Thrown().Matches(File.ReadAllText(file))
                      from Match code in Code().Matches(thrown.Value)
                      where ProblemCodes.Find(code.Groups[1].Value) is null
                      select $"{Path.GetFileName(file)}: {code.Groups[1].Value}";
        Assert.Empty(unknown.Distinct());
    }

    [Fact]
    public void Codes_are_unique_and_well_formed()
    {
        Assert.Equal(ProblemCodes.All.Count, ProblemCodes.All.Select(p => p.Code).Distinct().Count());
        Assert.All(ProblemCodes.All, p => Assert.Matches("^[a-z][a-z_]*\\.[a-z][a-z_]*$", p.Code));
        Assert.All(ProblemCodes.All, p => Assert.InRange(p.Status, 400, 599));
        Assert.All(ProblemCodes.All, p => Assert.EndsWith(".", p.When, StringComparison.Ordinal));
    }

    [Fact]
    public void A_bare_status_means_a_catalogued_code_of_that_status()
    {
        foreach (var status in new[] { 400, 401, 403, 404, 405, 406, 408, 409, 412, 413, 414, 415, 429, 431, 500, 503, 504 })
            Assert.Equal(status, ProblemCodes.Find(ProblemCodes.CodeOf(status))!.Status);
    }

    /// <summary>Set NUBABEL_WRITE_CONTRACTS=1 to rewrite the page.</summary>
    [Fact]
    [Trait("Category", "Contract")]
    public void The_page_of_problems_is_the_catalogue()
    {
        var page = Path.Combine(Root, "docs", "problems.md");
        if (Environment.GetEnvironmentVariable("NUBABEL_WRITE_CONTRACTS") == "1") File.WriteAllText(page, ProblemCodes.Markdown());
        Assert.Equal(ProblemCodes.Markdown(), File.ReadAllText(page));
    }

    private static string FindRoot()
    {
        var directory = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(directory!.FullName, "Nubabel.sln"))) directory = directory.Parent;
        return directory.FullName;
    }

    // What refuses: exceptions, claims, and the parsers and converters of values that get their code from their type. Up to the end of
    // the statement, since the code may stand on the next line.
    [GeneratedRegex("""(?:\b(?:Refused|Problem|Problem\.At|RetryLater|Claim|Text\.Line|WordConverter<\w+>|Missing|Invalid|Unauthorized)\(|RefusalKind\.)[^;]*""")]
    private static partial Regex Thrown();

    // Not the field that Problem.At begins with, which may look alike.
    [GeneratedRegex("""
        (?<!At\()"([a-z][a-z_]*\.[a-z][a-z_]*)"
        """)]
    private static partial Regex Code();
}
