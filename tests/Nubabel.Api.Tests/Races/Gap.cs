using Npgsql;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Races;

/// <summary>Somebody's open transaction that has drawn a number of the log: until it ends, the high-water mark and all read models wait below it.</summary>
internal sealed class Gap : IAsyncDisposable
{
    private readonly NpgsqlConnection connection;

    private Gap(NpgsqlConnection connection) => this.connection = connection;

    public static async Task<Gap> Open(TestDatabase database)
    {
        var connection = await database.Superuser.OpenConnectionAsync();
        await using var draw = new NpgsqlCommand("begin; select nextval('events.mt_events_sequence')", connection);
        await draw.ExecuteNonQueryAsync();
        return new Gap(connection);
    }

    public async ValueTask DisposeAsync()
    {
        await using (var end = new NpgsqlCommand("rollback", connection)) await end.ExecuteNonQueryAsync();
        await connection.DisposeAsync();
    }
}
