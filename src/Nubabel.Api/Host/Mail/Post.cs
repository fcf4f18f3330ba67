using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace Nubabel.Api.Host.Mail;

/// <summary>
/// The way out for mail: takes letters without making anybody wait, and delivers them in the background with a few attempts. What is not delivered when the
/// process ends, after a bounded drain, is lost, so whatever a letter announces must be possible to ask for again. Addresses and contents are never logged.
/// </summary>
public sealed partial class Post(MailSettings settings, ICarrier carrier, TimeProvider time, ILogger<Post> log) : IHostedService, IDisposable
{
    /// <summary>Letters in hand, waiting for another attempt or not. A full post refuses: memory is bounded.</summary>
    public const int MostLetters = 1_000;

    /// <summary>Connections to the mail server at once.</summary>
    private const int AtOnce = 4;

    private static readonly TimeSpan Drain = TimeSpan.FromSeconds(10);
    private static readonly Meter Meter = new("Nubabel.Mail");
    private static readonly Counter<long> Letters = Meter.CreateCounter<long>("nubabel.mail.letters", "{letter}", "Letters by outcome: delivered, failed, refused.");

    private readonly SemaphoreSlim turns = new(AtOnce);
    private readonly CancellationTokenSource stopping = new();
    private readonly CancellationTokenSource ended = new();
    private readonly ConcurrentDictionary<string, Task> inHand = new();
    private int count;
    private volatile string? fault;

    /// <summary>Between attempts.</summary>
    public IReadOnlyList<TimeSpan> Pauses { get; init; } = [TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(15), TimeSpan.FromMinutes(2)];

    public bool IsConfigured => carrier is not NoCarrier;

    /// <summary>Why the last letter was not delivered; null after one that was.</summary>
    public string? Fault => fault;

    /// <summary>Letters that are not out yet.</summary>
    public int Waiting => count;

    /// <summary>Takes a letter; whether it did. Never waits and never throws: a full or ended post logs and counts it.</summary>
    public bool Send(Letter letter)
    {
        var id = Guid.NewGuid().ToString("N");
        if (Interlocked.Increment(ref count) > MostLetters || stopping.IsCancellationRequested)
        {
            Interlocked.Decrement(ref count);
            Letters.Add(1, new KeyValuePair<string, object?>("outcome", "refused"));
            Full(log, id);
            return false;
        }
        // Not on the caller's thread: even making the message is none of its business.
        var task = inHand[id] = Task.Run(() => Deliver(letter, id), CancellationToken.None);
        // Behind the entry, which a fast delivery would otherwise be too early to take out.
        _ = task.ContinueWith(_ => inHand.TryRemove(id, out Task? _), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        return true;
    }

    public Task StartAsync(CancellationToken cancellationToken)
    {
        if (!IsConfigured) Unconfigured(log);
        return Task.CompletedTask;
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        // Whoever pauses tries once more, now.
        await stopping.CancelAsync();
        await Task.WhenAll(inHand.Values).WaitAsync(Drain, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await ended.CancelAsync();
        if (count > 0) Lost(log, count);
    }

    public void Dispose()
    {
        turns.Dispose();
        stopping.Dispose();
        ended.Dispose();
    }

    private async Task Deliver(Letter letter, string id)
    {
        var outcome = "failed";
        try
        {
            var message = Mime.Of(letter, settings.From, id, time.GetUtcNow());
            if (await Attempts(message, letter.Subject)) outcome = "delivered";
        }
        catch (FormatException)
        {
            Failed(log, id, 0, "The address cannot be written to.");
        }
        catch (Exception e)
        {
            // Nobody awaits this task; a fault of ours must not pass in silence.
            Broken(log, e, id);
        }
        finally
        {
            Letters.Add(1, new KeyValuePair<string, object?>("outcome", outcome));
            Interlocked.Decrement(ref count);
        }
    }

    private async Task<bool> Attempts(Mime message, string subject)
    {
        for (var attempt = 0; ; attempt++)
        {
            var last = stopping.IsCancellationRequested || attempt >= Pauses.Count;
            try
            {
                await turns.WaitAsync(ended.Token);
                try
                {
                    await carrier.Carry(message, subject, ended.Token);
                }
                finally
                {
                    turns.Release();
                }
                fault = null;
                return true;
            }
            catch (NotCarried e) when (e.ForGood || last)
            {
                fault = e.Message;
                Failed(log, message.Id, attempt + 1, e.Message);
                return false;
            }
            catch (NotCarried e)
            {
                fault = e.Message;
                Again(log, message.Id, attempt + 1, e.Message);
            }
            catch (OperationCanceledException) when (ended.IsCancellationRequested)
            {
                return false;
            }
            await Task.Delay(Pauses[attempt], time, stopping.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    [LoggerMessage(1, LogLevel.Warning, "Mail__Host is not set: no mail will be sent")]
    private static partial void Unconfigured(ILogger log);

    [LoggerMessage(2, LogLevel.Error, "Mail {Id} was refused: too many letters wait, or the node stops")]
    private static partial void Full(ILogger log, string id);

    [LoggerMessage(3, LogLevel.Error, "Mail {Id} was given up after {Attempts} attempts: {Reason}")]
    private static partial void Failed(ILogger log, string id, int attempts, string reason);

    [LoggerMessage(4, LogLevel.Warning, "Mail {Id} was not taken in attempt {Attempt}: {Reason}")]
    private static partial void Again(ILogger log, string id, int attempt, string reason);

    [LoggerMessage(5, LogLevel.Error, "{Letters} letters were lost as the node stopped")]
    private static partial void Lost(ILogger log, int letters);

    [LoggerMessage(6, LogLevel.Error, "Mail {Id} was lost to a fault of this program")]
    private static partial void Broken(ILogger log, Exception e, string id);
}
