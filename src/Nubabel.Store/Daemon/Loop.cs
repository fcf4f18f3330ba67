using Microsoft.Extensions.Logging;

namespace Nubabel.Store;

/// <summary>
/// Runs a body again and again until it is stopped. A failure is kept, logged when it is new, and retried with growing pauses and jitter,
/// so that a database that comes back is not met by every node at once; the loop never ends by itself, and when it has, it says so.
/// </summary>
internal sealed class Loop(string name, Func<CancellationToken, Task> body, ILogger log) : IAsyncDisposable
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(2);

    private readonly CancellationTokenSource stopping = new();
    private Task? running;
    private volatile bool disposed;
    private volatile string? lastError;

    /// <summary>The last failure; null after a round that went well.</summary>
    public string? LastError => lastError;

    public string Name => name;

    /// <summary>False before the start, after the stop, and when the loop has died.</summary>
    public bool IsAlive => running is { IsCompleted: false };

    public void Start() => running ??= Task.Run(Run);

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
            // Whatever fails here fails again or goes away; ending the loop would be the one wrong answer.
#pragma warning disable CA1031
            try
            {
                await body(stopping.Token);
                if (failures > 0) log.LogInformation("{Loop} goes on after {Failures} failures.", name, failures);
                (failures, lastError) = (0, null);
            }
            catch (Exception) when (stopping.IsCancellationRequested)
            {
                return;
            }
            catch (Exception failure)
            {
                var message = $"{failure.GetType().Name}: {failure.GetBaseException().Message}";
                if (message != lastError) log.LogWarning(failure, "{Loop} failed and tries again.", name);
                lastError = message;
                var pause = Math.Min(FirstPause.TotalMilliseconds * Math.Pow(2, Math.Min(failures++, 10)), LongestPause.TotalMilliseconds);
                await Task.Delay(TimeSpan.FromMilliseconds(pause * (0.5 + Random.Shared.NextDouble() / 2)), stopping.Token)
                    .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
#pragma warning restore CA1031
        }
    }
}
