using Microsoft.Extensions.Logging;
using Npgsql;

namespace Nubabel.Store;

/// <summary>
/// Carries the hint that a queue has something new between processes: by NOTIFY on a connection of its own, coalesced, since inside a commit it would make
/// all commits wait in one line. Whoever misses it polls.
/// </summary>
internal sealed class QueueHints : IAsyncDisposable
{
    private const string Channel = "nubabel_messages";
    private static readonly TimeSpan Spacing = TimeSpan.FromMilliseconds(5);

    private readonly NpgsqlDataSource direct;
    private readonly Outbox outbox;
    private int notifierPid;

    public QueueHints(NpgsqlDataSource direct, Outbox outbox, ILogger log)
    {
        (this.direct, this.outbox) = (direct, outbox);
        Loops = [new Loop("notify messages", Notify, log), new Loop("listen messages", Listen, log)];
    }

    public IReadOnlyList<Loop> Loops { get; }

    public void Start()
    {
        foreach (var loop in Loops) loop.Start();
    }

    /// <summary>Says a last time what has not been said yet.</summary>
    public async Task Stop()
    {
        foreach (var loop in Loops) await loop.Stop();
        if (outbox.Touched() is not { Count: > 0 } rest) return;
        try
        {
            await using var connection = await direct.OpenConnectionAsync();
            await Tell(connection, rest, CancellationToken.None);
        }
        catch (Exception unreachable) when (unreachable is NpgsqlException or TimeoutException)
        {
            // Others poll.
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var loop in Loops) await loop.DisposeAsync();
    }

    private async Task Notify(CancellationToken ct)
    {
        await using var connection = await direct.OpenConnectionAsync(ct);
        await using (var off = new NpgsqlCommand("set synchronous_commit = off", connection)) await off.ExecuteNonQueryAsync(ct);
        notifierPid = connection.ProcessID;
        Loops[0].Goes();
        while (true)
        {
            // Taken before the hints go out: what is enqueued from here on gets one of its own.
            var next = outbox.Any.NextOwn;
            if (outbox.Touched() is { Count: > 0 } queues) await Tell(connection, queues, ct);
            else await next.WaitAsync(ct);
            await Task.Delay(Spacing, ct);
        }
    }

    private static async Task Tell(NpgsqlConnection connection, IReadOnlyList<string> queues, CancellationToken ct)
    {
        await using var notify = new NpgsqlCommand("select pg_notify($1, q) from unnest($2::text[]) q", connection);
        notify.Add(Channel);
        notify.Add(queues.ToArray());
        await notify.ExecuteNonQueryAsync(ct);
    }

    private async Task Listen(CancellationToken ct)
    {
        await using var connection = await direct.OpenConnectionAsync(ct);
        connection.Notification += (_, hint) =>
        {
            if (hint.PID != Volatile.Read(ref notifierPid)) outbox.Of(hint.Payload).Heard();
        };
        await using (var listen = new NpgsqlCommand($"listen {Channel}", connection)) await listen.ExecuteNonQueryAsync(ct);
        Loops[1].Goes();
        // Hints given while nobody listened are gone: look once.
        foreach (var queue in outbox.Types.Queues) outbox.Of(queue.Name).Heard();
        while (true) await connection.WaitAsync(ct);
    }
}
