using Microsoft.Extensions.Logging;
using Npgsql;

namespace Nubabel.Store;

/// <summary>Works on one queue as long as the process does: one shift after the other, a new one whenever the lease was lost.</summary>
internal sealed class QueueWorker : IAsyncDisposable
{
    private readonly WorkerSetup setup;
    private readonly Loop loop;
    private volatile Shift? shift;
    private volatile bool stops;

    public QueueWorker(WorkerSetup setup, QueueOptions options)
    {
        (this.setup, Options) = (setup, options);
        loop = new Loop($"queue {options.Name}", Round, setup.Log);
    }

    public QueueOptions Options { get; }
    public Loop Loop => loop;

    /// <summary>What is in hand now.</summary>
    public (int Running, int Waiting) InHand => shift?.InHand ?? (0, 0);

    public void Start() => loop.Start();

    public async Task Stop(TimeSpan drain)
    {
        stops = true;
        var known = shift;
        if (known is not null) await known.Stop(drain);
        await loop.Stop();
        // One that was just beginning has its messages to hand back, too.
        if (shift is { } late && late != known) await late.Stop(drain);
    }

    public bool Cancel(Guid message) => shift?.Cancel(message) ?? false;

    public ValueTask DisposeAsync() => loop.DisposeAsync();

    private async Task Round(CancellationToken ct)
    {
        if (stops)
        {
            await Task.Delay(Timeout.InfiniteTimeSpan, ct);
            return;
        }
        var id = await LaneSql.Register(setup.Daemon, setup.Node, Options, ct);
        // A shift ends when its lease is lost, perhaps never.
        loop.Goes();
        var current = new Shift(setup, Options, id);
        shift = current;
        await current.Run(ct);
        if (!current.IsLost) return;
        await current.DisposeAsync();
        // What it had is free at once where the database answers; else when the lease has run out.
        await LaneSql.Retire(setup.Daemon, id, ct);
        setup.Outbox.Enqueued([Options.Name]);
    }
}
