using System.Text.RegularExpressions;
using Npgsql;

namespace Nubabel.Testing;

/// <summary>The login of a stock Marten, made by the very statements that <c>docs/marten.md</c> tells an operator to run.</summary>
public static partial class MartenLogin
{
    public static async Task<NpgsqlDataSource> On(TestDatabase database)
    {
        var page = await File.ReadAllTextAsync(Path.Combine(Repository.Root, "docs", "marten.md"));
        var sql = SqlBlock().Match(page).Groups["sql"].Value.Replace("grant connect on database nubabel", $"grant connect on database {database.Name}", StringComparison.Ordinal);
        if (!sql.Contains("create role marten", StringComparison.Ordinal)) throw new InvalidOperationException("docs/marten.md has no statements that make the login.");
        // Logins belong to the server, and other test processes may be making the same one.
        await database.Run($"begin; select pg_advisory_xact_lock(78); {sql} commit;");
        return NpgsqlDataSource.Create(database.Server.As("marten", "…", database.Name));
    }

    [GeneratedRegex("```sql\n(?<sql>.*?)```", RegexOptions.Singleline)]
    private static partial Regex SqlBlock();
}
