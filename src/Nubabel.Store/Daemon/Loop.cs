using System.Diagnostics;
using Microsoft.Extensions.Logging;

namespace Nubabel.Store;

/// <summary>
/// Runs a body again and again until it is stopped. A failure is kept, logged when it is new, and retried with growing pauses and jitter,
/// so that a database that comes back is not met by every node at once; the loop never ends by itself, and when it has, or hangs, it says so.
/// </summary>
/// <param name="takesItsTime">A round may take as long as it does: it has much to do, and does not hang.</param>
internal sealed class Loop(string name, Func<CancellationToken, Task> body, ILogger log, bool takesItsTime = false) : IAsyncDisposable
{
    /// <summary>A loop that comes round (the two of the daemon do, twice a second) and has not for so long hangs; one that fails for so long does not work.</summary>
    internal static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(2);

    private readonly CancellationTokenSource stopping = new();
    private Task? running;
    private volatile bool disposed;
    private volatile string? lastError;
    private long began = Stopwatch.GetTimestamp();
    private long went = Stopwatch.GetTimestamp();

    /// <summary>The last failure; null after a round that went well.</summary>
    public string? LastError => lastError;

    public string Name => name;

    /// <summary>False before the start, after the stop, and when the loop has died.</summary>
    public bool IsAlive => running is { IsCompleted: false };

    /// <summary>How long the round under way has taken.</summary>
    public TimeSpan Round => Stopwatch.GetElapsedTime(Interlocked.Read(ref began));

    /// <summary>What is wrong with a loop that should come round by itself; null when nothing is. Told by the clock that is never set.</summary>
    public string? Fault =>
        !IsAlive ? $"the loop {name} has ended"
        : !takesItsTime && Round > Patience ? $"the loop {name} hangs: its round has taken {Round.TotalSeconds:0} s so far"
        : lastError is { } error && Stopwatch.GetElapsedTime(Interlocked.Read(ref went)) > Patience ? $"the loop {name} fails: {error}"
        : null;

    /// <summary>A body whose round has no end says that it works: what went wrong before is over.</summary>
    public void Goes()
    {
        if (lastError is null) return;
        Interlocked.Exchange(ref went, Stopwatch.GetTimestamp());
        lastError = null;
    }

    public void Start()
    {
        if (running is not null) return;
        Interlocked.Exchange(ref began, Stopwatch.GetTimestamp());
        running = Task.Run(Run);
    }

    public async Task Stop()
    {
        if (disposed) return;
        await stopping.CancelAsync();
        if (running is not null) await running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <summary>May be called twice: by whoever stops the process in order, and by the container that made the owner.</summary>
    public async ValueTask DisposeAsync()
    {
        await Stop();
        disposed = true;
        stopping.Dispose();
    }

    /// <summary>Waits for the task or the time, whichever comes first.</summary>
    public static async Task Wait(Task signal, TimeSpan atMost, CancellationToken ct)
    {
        await signal.WaitAsync(atMost, ct).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        ct.ThrowIfCancellationRequested();
    }

    private async Task Run()
    {
        var failures = 0;
        while (!stopping.IsCancellationRequested)
        {
            Interlocked.Exchange(ref began, Stopwatch.GetTimestamp());
            // Whatever fails here fails again or goes away; ending the loop would be the one wrong answer.
#pragma warning disable CA1031
            try
            {
                await body(stopping.Token);
                Interlocked.Exchange(ref went, Stopwatch.GetTimestamp());
                if (failures > 0) Say(() => log.LogInformation("{Loop} goes on after {Failures} failures.", name, failures));
                (failures, lastError) = (0, null);
            }
            catch (Exception) when (stopping.IsCancellationRequested)
            {
                return;
            }
            catch (Exception failure)
            {
                var message = $"{failure.GetType().Name}: {failure.GetBaseException().Message}";
                if (message != lastError) Say(() => log.LogWarning(failure, "{Loop} failed and tries again.", name));
                if (lastError is null) Interlocked.Exchange(ref went, Stopwatch.GetTimestamp());
                lastError = message;
                var pause = Math.Min(FirstPause.TotalMilliseconds * Math.Pow(2, Math.Min(failures++, 10)), LongestPause.TotalMilliseconds);
                await Task.Delay(TimeSpan.FromMilliseconds(pause * (0.5 + Random.Shared.NextDouble() / 2)), stopping.Token)
                    .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
#pragma warning restore CA1031
        }
    }

    /// <summary>A log that cannot be written must not end the loop.</summary>
    private static void Say(Action line)
    {
#pragma warning disable CA1031
        try
        {
            line();
        }
        catch (Exception)
        {
            // The failure itself is kept; where the log's own goes is the log's business.
        }
#pragma warning restore CA1031
    }
}
