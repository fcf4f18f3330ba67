using System.Globalization;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Retention;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Retention;

/// <summary>The table of categories in the documents is the one of the code. Set NUBABEL_WRITE_CONTRACTS=1 to rewrite it.</summary>
public sealed class RetentionTableTests
{
    private const string Begin = "<!-- categories -->\n", End = "<!-- /categories -->";

    [Fact]
    [Trait("Category", "Contract")]
    public async Task The_table_of_categories_in_the_documents_is_the_one_of_the_code()
    {
        var page = Repository.At("docs", "retention.md");
        var text = await File.ReadAllTextAsync(page);
        var (from, to) = (text.IndexOf(Begin, StringComparison.Ordinal) + Begin.Length, text.IndexOf(End, StringComparison.Ordinal));
        var wanted = text[..from] + Table((await TestApi.Shared).Services.GetRequiredService<RetentionCategories>()) + text[to..];
        if (Environment.GetEnvironmentVariable("NUBABEL_WRITE_CONTRACTS") == "1") await File.WriteAllTextAsync(page, wanted);
        Assert.Equal(await File.ReadAllTextAsync(page), wanted);
    }

    private static string Table(RetentionCategories categories)
    {
        var table = new StringBuilder("| category | holds | counted from | days | may be set to | by | what becomes of it |\n|---|---|---|---|---|---|---|\n");
        foreach (var c in categories.All)
        {
            var bounds = c.Setter == PeriodSetter.Nobody ? "–" : string.Create(CultureInfo.InvariantCulture, $"{c.Shortest}–{c.Longest}");
            table.Append(CultureInfo.InvariantCulture, $"| `{c.Name}` | {c.Holds} | {c.Counted} | {c.Days} | {bounds} | {(c.Setter == PeriodSetter.Nobody ? "–" : c.Setter.ToString().ToLowerInvariant())} | {c.Act.Word} |\n");
        }
        return table.ToString();
    }
}
