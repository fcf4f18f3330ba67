using Nubabel.Api.Host;
using Nubabel.Projections.Flags;

namespace Nubabel.Api.Flags;

/// <summary>
/// Adds what this node has counted to the counts of all nodes: every few seconds, and once more when it stops. A node that is killed loses one interval; a
/// connection that breaks in the commit may have one counted twice.
/// </summary>
public sealed partial class EvaluationFlush(Node node, Evaluation evaluation, ILogger<EvaluationFlush> log) : BackgroundService
{
    public static readonly TimeSpan Every = TimeSpan.FromSeconds(10);

    /// <summary>How long a stopping node tries.</summary>
    private static readonly TimeSpan LongestStop = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan ForgetEvery = TimeSpan.FromHours(6);

    // One at a time: what is being added is not yet told apart from what comes after it.
    private readonly SemaphoreSlim turn = new(1);

    /// <summary>Adds what has been counted up to now.</summary>
    public async Task Flush(CancellationToken ct)
    {
        await turn.WaitAsync(ct);
        try
        {
            await FlagCounts.Add(node.EveryonesWriter, evaluation.Counts.Take(), node.Time.GetUtcNow(), ct);
            evaluation.Counts.Settle();
        }
        finally
        {
            turn.Release();
        }
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        using var until = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        until.CancelAfter(LongestStop);
        await Try(Flush, until.Token);
    }

    public override void Dispose()
    {
        turn.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var forget = node.Time.GetUtcNow();
        while (!stoppingToken.IsCancellationRequested)
        {
            // A stop is no failure, so it is not thrown: the host would report it as one.
            await Task.Delay(Every, node.Time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            // Not cut off by a stop: whether a commit that is cut off has happened, nobody knows.
            await Try(Flush, CancellationToken.None);
            if (stoppingToken.IsCancellationRequested || node.Time.GetUtcNow() < forget) continue;
            await Try(ct => FlagCounts.Forget(node.EveryonesWriter, node.Time.GetUtcNow(), ct), stoppingToken);
            forget = node.Time.GetUtcNow() + ForgetEvery;
        }
    }

    private async Task Try(Func<CancellationToken, Task> work, CancellationToken ct)
    {
        try
        {
            await work(ct);
        }
        catch (Exception e) when (e is Npgsql.NpgsqlException or OperationCanceledException or IOException or TimeoutException)
        {
            Later(log, e);
        }
    }

    [LoggerMessage(1, LogLevel.Warning, "The counts of flags could not be written; they are with the next ones")]
    private static partial void Later(ILogger log, Exception e);
}
