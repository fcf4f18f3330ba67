using System.Reflection;
using Nubabel.Api.Erasures;
using Nubabel.Api.Flags;
using Nubabel.Api.Host;
using Nubabel.Api.Host.Mail;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Operations;

/// <summary>
/// Looks whether this node can do its work. A part that is slow or optional degrades, only what makes requests fail is unhealthy. Whoever asks within a
/// moment is told what was seen last: the routes have no rate limit, and must not be a way to keep the database busy.
/// </summary>
public sealed class Readiness(
    Node node, Settings settings, ProjectionDaemon daemon, MessageDaemon messages, MessageWatch watch, ChainKeeper chain, Tail tail, RevokedSessions revoked, Evaluation flags, Post post, Store.Positions positions,
    LedgerReplay replay, Ledger ledger)
{
    /// <summary>From this lag on a read model counts as degraded.</summary>
    private const double LagSeconds = 4;

    /// <summary>Gaps come and go with every commit; one that stays so long is somebody's open transaction.</summary>
    private static readonly TimeSpan GapPatience = TimeSpan.FromSeconds(2);

    /// <summary>The watch looks twice as often by itself: only where that hangs does who asks look at the queues.</summary>
    private static readonly TimeSpan WatchSilence = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan TailSilence = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan ProbeLimit = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(250);

    private static readonly string Version = typeof(Readiness).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "0";

    private readonly Lock turn = new();
    private Task<Health>? last;
    private long begun;

    public Task<Health> Look()
    {
        lock (turn)
        {
            // By the clock that is never set; a look that is still under way is everybody's.
            if (last is { } seen && (!seen.IsCompleted || System.Diagnostics.Stopwatch.GetElapsedTime(begun) < Moment)) return seen;
            begun = System.Diagnostics.Stopwatch.GetTimestamp();
            return last = Task.Run(LookNow);
        }
    }

    /// <summary>The answer of each of the health routes.</summary>
    internal static Health Told(string status, Dictionary<string, Component> components, TimeProvider time) => new(status, "nubabel-backend", Version, components, time.GetUtcNow());

    private async Task<Health> LookNow()
    {
        using var limit = new CancellationTokenSource(ProbeLimit);
        var components = new Dictionary<string, Component>
        {
            ["database"] = await Database(limit.Token),
            ["projections"] = await Projections(settings.DaemonEnabled, limit.Token),
            ["messages"] = await Messages(limit.Token),
            ["audit"] = settings.DaemonEnabled && (Waits ?? chain.Fault) is { } broken ? new Component("degraded", broken) : new Component("healthy"),
            ["liveTail"] = Tailing(revoked.IsLoaded && flags.IsLoaded),
            ["erasures"] = replay.Fault is { } waiting ? new Component("unhealthy", waiting) : ledger.Fault is { } unwritten ? new Component("degraded", unwritten) : new Component("healthy"),
            ["keys"] = node.Masters.Unknown is { } master ? new Component("unhealthy", $"This node does not have the master key that keys are wrapped by now (fingerprint {master}).")
                : node.Subjects.IsHeard ? new Component("healthy") : new Component("degraded", "This node does not hear of destroyed keys: it remembers none and asks the database for each."),
            ["mail"] = Mailing(),
        };
        var worst = components.Values.Any(c => c.Status == "unhealthy") ? "unhealthy" : components.Values.Any(c => c.Status == "degraded") ? "degraded" : "healthy";
        return Told(worst, components, node.Time);
    }

    /// <summary>What works on the log and on messages begins behind the ledger: until then nothing is wrong with it.</summary>
    private string? Waits => replay.IsDone ? null : "It has not begun: this node waits for the ledger of erasures (component erasures).";

    private async Task<Component> Database(CancellationToken ct)
    {
        try
        {
            await Again.Ask(async () =>
            {
                await using var command = node.Database.Api.CreateCommand("select 1");
                return await command.ExecuteScalarAsync(ct);
            });
            return new Component("healthy");
        }
        catch (Exception e) when (e is Npgsql.NpgsqlException or OperationCanceledException or TimeoutException)
        {
            return new Component("unhealthy", "The database does not answer.");
        }
    }

    private async Task<Component> Projections(bool enabled, CancellationToken ct)
    {
        // What hangs or has ended is known without the database.
        var fault = !enabled ? null : Waits ?? (daemon.Fault is { } why ? $"This node's daemon does not work: {why}." : null);
        DaemonStatus status;
        try
        {
            foreach (var projection in ReadModels.All.All)
                if (!await positions.IsWhole(projection.Name, ct)) return new Component("unhealthy", $"{projection.Name} version {projection.Version} is being built.");
            status = await daemon.Status(ct);
        }
        catch (Exception e) when (e is Npgsql.NpgsqlException or OperationCanceledException or TimeoutException)
        {
            return new Component("degraded", fault ?? "The state of the read models cannot be read.");
        }
        var lag = status.Projections.Max(p => p.Lag);
        var seconds = status.Projections.Max(p => enabled ? daemon.Behind(p.Position).TotalSeconds : p.LagSeconds);
        string? detail = fault
            ?? (status.Waiting is { } gap && gap.Age > GapPatience ? $"The mark waits at {status.Mark} for an open transaction: {string.Join("; ", gap.Holders.Select(Named))}"
            : status.Projections.FirstOrDefault(p => p.State is ProjectionState.Stopped or ProjectionState.Parked or ProjectionState.Failing or ProjectionState.Paused) is { } bad ? $"{bad.Name} is {bad.State.ToString().ToLowerInvariant()}."
            : seconds > LagSeconds ? "Read models are behind."
            : null);
        return new Component(detail is null ? "healthy" : "degraded", detail, lag, Math.Round(seconds, 3));
    }

    /// <summary>Dead letters are work for operators and no fault of the system: they do not degrade it.</summary>
    private async Task<Component> Messages(CancellationToken ct)
    {
        IReadOnlyList<QueueLook> queues;
        try
        {
            queues = await watch.Look(WatchSilence, ct);
        }
        catch (Exception e) when (e is Npgsql.NpgsqlException or OperationCanceledException or TimeoutException)
        {
            return new Component("degraded", "The state of the queues cannot be read.");
        }
        var detail = (settings.DaemonEnabled ? Waits : null) ?? queues.FirstOrDefault(q => q.Stalled is not null)?.Stalled ?? (messages.Errors is [var error, ..] ? $"This node's messages do not work: {error}." : null);
        return new Component(detail is null ? "healthy" : "degraded", detail, LagSeconds: Math.Round(queues.Select(q => q.OldestSeconds).DefaultIfEmpty().Max(), 3), Depth: queues.Sum(q => q.Messages));
    }

    // What an operator needs to find the session, and nothing of what it does.
    private static string Named(Holder holder) =>
        $"{(holder.Pid is { } pid ? $"pid {pid} ({(string.IsNullOrEmpty(holder.ApplicationName) ? "no name" : holder.ApplicationName)})" : $"prepared transaction {holder.Gid}")}, open for {holder.Age?.TotalSeconds ?? 0:0} s";

    private Component Mailing() =>
        !post.IsConfigured ? new Component("degraded", "Mail is not configured: Mail__Host is not set.")
        : post.Fault is { } fault ? new Component("degraded", $"The last letter was not delivered: {fault}")
        : new Component("healthy");

    private Component Tailing(bool loaded) =>
        !loaded ? new Component("unhealthy", "The live tail has not loaded yet.")
        : tail.Status is var status && (!status.Alive || status.SilentFor > TailSilence) ? new Component("degraded", "The live tail does not hear the log.")
        : new Component("healthy");
}
