using Nubabel.Api.Erasures;
using Nubabel.Api.Host.Rates;
using Nubabel.Store;

namespace Nubabel.Api.Host;

/// <summary>Runs what runs beside requests: the projections, the messages, the audit chain, the live tail, the watch on destroyed keys, the notes between nodes, and the expiry of idempotency records.</summary>
public sealed class Background(Node node, Settings settings, ProjectionDaemon daemon, MessageDaemon messages, MessageWatch watch, ChainKeeper chain, Tail tail, KeyWatch keys, Exchange exchange,
    LedgerReplay ledger, ILogger<Background> log) : BackgroundService
{
    private static readonly TimeSpan ExpiryEvery = TimeSpan.FromMinutes(10);

    /// <summary>How long the first request waits for the list of revoked sessions; after that requests are answered with 503 until it is there.</summary>
    private static readonly TimeSpan LongestLoad = TimeSpan.FromSeconds(10);

    private readonly CancellationTokenSource stopping = new();
    private Task replaying = Task.CompletedTask;
    private int started;

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        keys.Start();
        tail.Start();
        exchange.Start();
        watch.Start();
        replaying = ledger.Run(stopping.Token);
        // A letter that waits in a restored backup must not go out to who was erased, so messages come after the ledger. With little to carry out the first request finds all of it done.
        await ledger.Looked.WaitAsync(LongestLoad, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        StartWork();
        await base.StartAsync(cancellationToken);
        // The server listens when this returns: then it knows who has been signed out.
        await Task.WhenAll(tail.Loaded, keys.Heard).WaitAsync(LongestLoad, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private void StartWork()
    {
        if (!settings.DaemonEnabled || !ledger.IsDone || Interlocked.Exchange(ref started, 1) == 1) return;
        daemon.Start();
        messages.Start();
        chain.Start();
    }

    public override void Dispose()
    {
        stopping.Dispose();
        base.Dispose();
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await stopping.CancelAsync();
        await base.StopAsync(cancellationToken);
        await replaying;
        await watch.Stop();
        if (settings.DaemonEnabled)
        {
            // First, so that what is handed back is soon taken by another process; the read models of this one go on meanwhile.
            await messages.Stop();
            await chain.Stop();
            await daemon.Stop();
        }
        await exchange.DisposeAsync();
        await tail.DisposeAsync();
        await keys.DisposeAsync();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (!settings.DaemonEnabled) return;
        await ledger.Done.WaitAsync(stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        StartWork();
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                while (await IdempotencyRecord.Expire(node.Database.Daemon, Idempotency.Hours, stoppingToken) > 0) { }
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Npgsql.NpgsqlException e)
            {
                log.LogWarning(e, "Old idempotency records could not be deleted; the next round tries again.");
            }
            // A stop is no failure, so it is not thrown: the host would report it as one.
            await Task.Delay(ExpiryEvery, node.Time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }
}
