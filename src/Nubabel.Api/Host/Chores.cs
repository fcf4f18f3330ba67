using System.Diagnostics.Metrics;
using System.Threading.Channels;

namespace Nubabel.Api.Host;

/// <summary>
/// What is done after an answer, because the answer must not tell by its time whether there was anything to do, or need not wait for it. In memory and bounded:
/// a full list refuses, and what is not done when the process ends, after a bounded drain, is lost. So only what may be lost is put here: a hash that
/// the next sign-in makes anew.
/// </summary>
public sealed partial class Chores(ILogger<Chores> log) : BackgroundService
{
    private const int Most = 1_000;
    private const int AtOnce = 2;
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Drain = TimeSpan.FromSeconds(10);
    private static readonly Meter Meter = new("Nubabel.Chores");
    private static readonly Counter<long> Refusals = Meter.CreateCounter<long>("nubabel.chores.refused", "{chore}", "Chores that found no room.");

    private readonly Channel<(string Name, Func<CancellationToken, Task> Work)> list =
        Channel.CreateBounded<(string, Func<CancellationToken, Task>)>(new BoundedChannelOptions(Most) { FullMode = BoundedChannelFullMode.Wait });

    /// <summary>Takes a chore if there is room. Never waits and never throws.</summary>
    public void Add(string name, Func<CancellationToken, Task> work)
    {
        if (list.Writer.TryWrite((name, work))) return;
        Refusals.Add(1, new KeyValuePair<string, object?>("name", name));
        Full(log, name);
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        list.Writer.TryComplete();
        // What is there is done first; after that the rest is given up.
        if (ExecuteTask is { } running) await running.WaitAsync(Drain, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await base.StopAsync(cancellationToken);
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(Enumerable.Range(0, AtOnce).Select(_ => Task.Run(() => Work(stoppingToken), CancellationToken.None)));

    private async Task Work(CancellationToken ct)
    {
        // Reading is not cancelled: the list is completed at a stop.
        await foreach (var (name, work) in list.Reader.ReadAllAsync(CancellationToken.None))
        {
            if (ct.IsCancellationRequested) return;
            try
            {
                using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
                limit.CancelAfter(Longest);
                await work(limit.Token);
            }
            catch (Exception e)
            {
                // One chore that fails must not end the others; there is nobody to answer.
                Failed(log, e, name);
            }
        }
    }

    [LoggerMessage(1, LogLevel.Error, "There is no room for another {Chore}")]
    private static partial void Full(ILogger log, string chore);

    [LoggerMessage(2, LogLevel.Warning, "A {Chore} failed")]
    private static partial void Failed(ILogger log, Exception e, string chore);
}
