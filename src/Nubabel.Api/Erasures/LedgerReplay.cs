using Nubabel.Api.Host;
using Nubabel.Store;

namespace Nubabel.Api.Erasures;

/// <summary>
/// Before a node is ready, everything that the ledger has is carried out: a backup that was restored brings nobody back. Until then requests are answered with
/// 503 and no message is handled. A ledger that cannot be believed keeps the node waiting, and health says why.
/// </summary>
public sealed partial class LedgerReplay(Ledger ledger, Erasures erasures, ILogger<LedgerReplay> log)
{
    private static readonly TimeSpan LookAgain = TimeSpan.FromSeconds(1);
    private readonly TaskCompletionSource done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource looked = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile string? fault;

    /// <summary>Ends when everything is carried out.</summary>
    public Task Done => done.Task;

    /// <summary>Ends when it is done, or something is in the way.</summary>
    public Task Looked => looked.Task;

    public bool IsDone => done.Task.IsCompletedSuccessfully;

    /// <summary>Why it is not done.</summary>
    public string? Fault => IsDone ? null : fault ?? "The ledger of erasures is being read.";

    /// <summary>Tries until it is done.</summary>
    public async Task Run(CancellationToken ct)
    {
        while (!ct.IsCancellationRequested)
        {
            // Whatever is in the way, the node is not ready before it is gone.
#pragma warning disable CA1031
            try
            {
                await Once(ct);
                done.TrySetResult();
                looked.TrySetResult();
                return;
            }
            catch (OperationCanceledException) when (ct.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                var sentence = e is LedgerFault ? e.Message : $"The ledger of erasures could not be carried out yet ({e.GetType().Name}).";
                if (sentence != fault) Waits(sentence, e is LedgerFault ? null : e);
                fault = sentence;
                looked.TrySetResult();
            }
#pragma warning restore CA1031
            await Task.Delay(LookAgain, ct).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>No request but those for health before it is done.</summary>
    public Task Invoke(HttpContext context, RequestDelegate next)
    {
        if (!IsDone && context.GetEndpoint() is { } endpoint && endpoint.Metadata.GetMetadata<Unlimited>() is null)
            throw Problem.RetryLater("service.unavailable", "The server is starting.", 1);
        return next(context);
    }

    private async Task Once(CancellationToken ct)
    {
        var missed = await ledger.Missed(ct);
        foreach (var entry in missed)
            if (!await erasures.Replay(entry, ct)) Ownerless(entry.Tenant, entry.Person);
        if (missed.Count > 0) Replayed(missed.Count);
    }

    [LoggerMessage(1, LogLevel.Error, "Not ready: {Sentence}")]
    private partial void Waits(string sentence, Exception? e);

    [LoggerMessage(3, LogLevel.Error, "Organization {Organization} has no owner any more: {Account} was its only one at the time of the backup, and is erased. Close it, or restore a later backup.")]
    private partial void Ownerless(string organization, Guid account);

    [LoggerMessage(2, LogLevel.Warning, "{Erasures} erasures that the ledger has and this database did not know, or not to their end, were carried out")]
    private partial void Replayed(int erasures);
}
