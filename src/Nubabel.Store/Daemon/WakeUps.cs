using Microsoft.Extensions.Logging;
using Npgsql;

namespace Nubabel.Store;

/// <summary>
/// Carries the hint that the log has grown between nodes. NOTIFY goes on its own connection and is coalesced: inside the append's
/// transaction it would make all commits wait in one line.
/// </summary>
internal sealed class WakeUps : IAsyncDisposable
{
    private const string Channel = "nubabel_events";
    private static readonly TimeSpan Spacing = TimeSpan.FromMilliseconds(5);

    private readonly NpgsqlDataSource direct;
    private readonly Signal signal;
    private int notifierPid;

    public WakeUps(NpgsqlDataSource direct, Signal signal, ILogger log)
    {
        (this.direct, this.signal) = (direct, signal);
        Loops = [new Loop("notify", Notify, log), new Loop("listen", Listen, log)];
    }

    public IReadOnlyList<Loop> Loops { get; }

    public void Start()
    {
        foreach (var loop in Loops) loop.Start();
    }

    public async Task Stop()
    {
        foreach (var loop in Loops) await loop.Stop();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var loop in Loops) await loop.DisposeAsync();
    }

    private async Task Notify(CancellationToken ct)
    {
        await using var connection = await direct.OpenConnectionAsync(ct);
        // A hint need not survive a crash, so its commit need not wait for the disk.
        await Run(connection, "set synchronous_commit = off", ct);
        notifierPid = connection.ProcessID;
        Loops[0].Goes();
        var appended = signal.NextOwn;
        while (true)
        {
            await appended.WaitAsync(ct);
            // Taken before the hint goes out: what is appended from here on gets one of its own.
            appended = signal.NextOwn;
            await Run(connection, $"notify {Channel}", ct);
            await Task.Delay(Spacing, ct);
        }
    }

    private async Task Listen(CancellationToken ct)
    {
        await using var connection = await direct.OpenConnectionAsync(ct);
        connection.Notification += (_, hint) =>
        {
            if (hint.PID != Volatile.Read(ref notifierPid)) signal.Heard();
        };
        await Run(connection, $"listen {Channel}", ct);
        Loops[1].Goes();
        // Hints given while nobody listened are gone: look once.
        signal.Heard();
        while (true) await connection.WaitAsync(ct);
    }

    private static async Task Run(NpgsqlConnection connection, string sql, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(ct);
    }
}
