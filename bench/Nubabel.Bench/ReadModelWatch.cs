using System.Diagnostics;
using Npgsql;
using Nubabel.Testing;

namespace Nubabel.Bench;

/// <summary>Looks into the table of devices, as fast as the database answers, until a device is there: what any reader would see, whoever runs the projection.</summary>
internal sealed class ReadModelWatch : IAsyncDisposable
{
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(10);
    private readonly NpgsqlConnection connection;
    private readonly NpgsqlCommand look;
    private readonly NpgsqlParameter<string> key = new();

    private ReadModelWatch(NpgsqlConnection connection)
    {
        this.connection = connection;
        look = new NpgsqlCommand($"select 1 from read.devices_v2 where tenant_id = '{Seed.Tenant}' and key = $1", connection) { Parameters = { key } };
    }

    public static async Task<ReadModelWatch> Open(TestDatabase database, CancellationToken ct)
    {
        var watch = new ReadModelWatch(await database.Superuser.OpenConnectionAsync(ct));
        await watch.look.PrepareAsync(ct);
        return watch;
    }

    /// <summary>Milliseconds from the time stamp until a look has found the device.</summary>
    public async Task<double> Since(long begun, Guid device, CancellationToken ct)
    {
        key.TypedValue = $"device-{device}";
        while (await look.ExecuteScalarAsync(ct) is null)
            if (Stopwatch.GetElapsedTime(begun) > Longest) throw new TimeoutException("The read model does not show the device.");
        return Stopwatch.GetElapsedTime(begun).TotalMilliseconds;
    }

    public async ValueTask DisposeAsync()
    {
        await look.DisposeAsync();
        await connection.DisposeAsync();
    }
}
