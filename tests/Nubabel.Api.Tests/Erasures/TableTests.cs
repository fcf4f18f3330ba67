using System.Text.RegularExpressions;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Erasures;

/// <summary>Every table that there is stands in the page on erasure, with what becomes of it: one that is made later fails here until somebody has decided.</summary>
public sealed partial class TableTests
{
    [Fact]
    public async Task Every_table_is_decided()
    {
        var database = await TestDatabase.Shared;
        var there = await database.Scalar<string[]>("""
            select array_agg(n.nspname || '.' || regexp_replace(c.relname, '_v[0-9]+$', '') order by 1) from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where c.relkind in ('r', 'm', 'p') and n.nspname in ('events', 'nubabel', 'read') and c.relname !~ '_v[0-9]+_r$'
            """);
        var page = await File.ReadAllTextAsync(Repository.At("docs", "erasure.md"));
        var decided = Row().Matches(page).SelectMany(row => Table().Matches(row.Groups[1].Value)).Select(m => m.Groups[1].Value).ToArray();
        Assert.Equal([], there.Except(decided));
        Assert.Equal([], decided.Except(there));
        Assert.Equal(decided.Distinct(), decided);
    }

    [GeneratedRegex(@"^\| (`(?:events|nubabel|read)\.[^|]+)\|", RegexOptions.Multiline)]
    private static partial Regex Row();

    [GeneratedRegex(@"`((?:events|nubabel|read)\.[a-z_]+)`")]
    private static partial Regex Table();
}
