using System.Text;
using Npgsql;
using NpgsqlTypes;
using Nubabel.Testing;

namespace Nubabel.Projections.Tests;

/// <summary>jsonb is not bytes: it re-orders members, rewrites numbers and drops duplicates. What was once stored must read the same from there.</summary>
public sealed class GoldenThroughPostgresTests
{
    public static TheoryData<GoldenEvent> Files() => [.. GoldenEvents.All];

    [Theory]
    [MemberData(nameof(Files))]
    public async Task A_stored_event_reads_the_same_from_postgresql(GoldenEvent golden)
    {
        var database = await TestDatabase.Shared;
        await using var command = database.Superuser.CreateCommand("select $1::jsonb");
        command.Parameters.Add(new NpgsqlParameter { Value = golden.Json, NpgsqlDbType = NpgsqlDbType.Jsonb });
        await using var reader = await command.ExecuteReaderAsync();
        await reader.ReadAsync();
        var stored = reader.GetFieldValue<byte[]>(0);
        var data = GoldenEvents.Types.Read(golden.Alias, stored, golden.Shape);
        Assert.NotNull(data);
        Assert.Equal(GoldenEvents.Types.Read(golden.Alias, Encoding.UTF8.GetBytes(golden.Json), golden.Shape), data);
    }
}
