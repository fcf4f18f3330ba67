using System.Text.Json;
using Nubabel.Testing;

namespace Nubabel.Store.Tests.Chain;

/// <summary>
/// Digests that never change, whatever PostgreSQL runs: each vector is written as it is, made <c>jsonb</c> and read back by the running server, and must give the text, the digest and the link
/// that the file has.
/// </summary>
public sealed class ChainVectorTests
{
    private static JsonElement[] Vectors => [.. JsonDocument.Parse(File.ReadAllText(Repository.At("docs", "contracts", "audit-chain.vectors.json"))).RootElement.GetProperty("vectors").EnumerateArray()];

    [Fact]
    public async Task The_running_PostgreSQL_gives_the_digests_of_the_vectors()
    {
        var database = (await TestDatabase.Shared).Database;
        var link = ChainDigest.Seed(Vectors[0].GetProperty("tenant").GetString()!);
        foreach (var vector in Vectors)
        {
            var what = vector.GetProperty("what").GetString();
            await using var command = database.Daemon.CreateCommand("select $1::jsonb::text, $2::jsonb::text, to_timestamp(0) + $3 * interval '1 microsecond'");
            command.Parameters.Add(new() { Value = (object?)Text(vector, "writtenData") ?? DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Text });
            command.Parameters.Add(new() { Value = (object?)Text(vector, "writtenHeaders") ?? DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Text });
            command.Parameters.Add(new() { Value = vector.GetProperty("at").GetInt64() });
            await using var row = await command.ExecuteReaderAsync();
            await row.ReadAsync();
            var stored = new LoggedEvent
            {
                Position = vector.GetProperty("position").GetInt64(), Id = vector.GetProperty("id").GetGuid(), Tenant = Text(vector, "tenant")!, Stream = Text(vector, "stream")!, Version = vector.GetProperty("version").GetInt64(),
                Type = Text(vector, "type")!, At = row.GetDateTime(2), Actor = Text(vector, "actor"), Data = row.GetString(0), Headers = row.IsDBNull(1) ? null : row.GetString(1),
            };
            Assert.Equal((what, Text(vector, "data"), Text(vector, "headers")), (what, stored.Data, stored.Headers));
            var digest = ChainDigest.Of(stored);
            link = ChainDigest.Link(link, digest);
            Assert.Equal((what, Text(vector, "digest"), Text(vector, "link")), (what, Convert.ToHexStringLower(digest), Convert.ToHexStringLower(link)));
        }
    }

    [Fact]
    public void The_vectors_cover_what_is_nasty()
    {
        Assert.True(Vectors.Length >= 12);
        // Some are stored otherwise than they were written, or they would show nothing of PostgreSQL.
        Assert.True(Vectors.Count(v => Text(v, "writtenData") != Text(v, "data")) >= 5);
        Assert.Equal(Vectors.Length, Vectors.Select(v => Text(v, "digest")).Distinct().Count());
    }

    private static string? Text(JsonElement vector, string member) => vector.GetProperty(member).GetString();
}
