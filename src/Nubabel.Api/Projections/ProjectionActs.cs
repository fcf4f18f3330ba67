using System.Diagnostics;
using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Domain.Projections;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Projections;

/// <summary>
/// What an operator does about a projection, over HTTP or at the machine: first the event, then its effect. The effect waits for nobody: what is not done
/// within <see cref="LongestWait"/>, or is cut off, is done by the node that runs the projection.
/// </summary>
public sealed class ProjectionActs(Node node)
{
    private const int Attempts = 8;
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    /// <summary>A stopped projection tries its event at the next heartbeat of the node that runs it.</summary>
    private static readonly TimeSpan LongestHeartbeat = TimeSpan.FromSeconds(2);

    // Reactions too: they are paused, retried and made to skip like read models.
    private readonly ProjectionSet all = AllOf(node);
    private readonly OrderBook orders = new(node.Database.Daemon, AllOf(node));

    /// <summary>The read models and the reactions of the product.</summary>
    public static ProjectionSet AllOf(Node node) => ReadModels.All.With(MessageCatalog.Reactions(node.Outbox));

    /// <exception cref="Problem">There is no such projection.</exception>
    public Projection Named(string name) => all.Find(name) ?? throw new Problem("projection.missing", "There is no such projection.");

    /// <summary>How it stands in the database, without what a process alone knows.</summary>
    public async Task<ProjectionStatus> Status(Projection projection, CancellationToken ct) =>
        (await DaemonStatus.Read(node.Database.Daemon, all, ct)).Projections.Single(p => p.Name == projection.Name);

    public Task<IReadOnlyList<ParkedKey>> Parked(Projection projection, long after, int limit, CancellationToken ct) =>
        ParkedKeys.Of(node.Database.Daemon, projection, after, limit, ct);

    /// <summary>Pauses it, or lets it go on.</summary>
    public async Task<Outcome<ProjectionControl>> Run(Projection projection, Journal journal, Command<ProjectionControl> command, CancellationToken ct)
    {
        var done = await journal.Handle(StreamOf(projection), command, ct);
        await Effect(projection, ct);
        return done;
    }

    /// <summary>Folds a parked key once more, or all of them.</summary>
    /// <returns>Whether it was done within the time, and the key where it is still parked.</returns>
    /// <exception cref="Problem">It is not parked.</exception>
    public async Task<(bool Done, ParkedKey? Parked)> Retry(Projection projection, Journal journal, string? tenant, string? key, CancellationToken ct)
    {
        var before = tenant is not null && key is not null ? await Find(projection, tenant, key, ct) : await Parked(projection, 0, 1, ct) is [var first, ..] ? first : null;
        if (before is null && journal.Replay is null) throw NotParked();
        await journal.Handle(StreamOf(projection), new RetryKey(projection.Version, tenant, key), ct);
        return await After(projection, before, tenant, key, ct);
    }

    /// <summary>Has it pass over a parked event.</summary>
    /// <exception cref="Problem">The event is not parked under this key.</exception>
    public async Task<(bool Done, ParkedKey? Parked)> Skip(Projection projection, Journal journal, SkipEvent skip, CancellationToken ct)
    {
        var before = await Find(projection, skip.Tenant, skip.Key, ct);
        for (var attempt = 0; ; attempt++)
        {
            // What is parked is freed by orders alone, and they are events of one stream: if it is still at this version, the event is still parked. Else the log
            // could say that an event was passed over which a retry has just folded.
            var seen = (await journal.Load(StreamOf(projection), ct)).Version;
            await orders.Apply(projection.Name, ct);
            if (journal.Replay is null && !await ParkedKeys.Contains(node.Database.Daemon, projection, skip.Tenant, skip.Key, skip.Position, ct)) throw NotParked();
            try
            {
                await journal.Handle(StreamOf(projection), skip, ct, version => version == seen);
                break;
            }
            catch (VersionMismatch) when (attempt < Attempts)
            {
                // Another order has come in between.
            }
        }
        return await After(projection, before, skip.Tenant, skip.Key, ct);
    }

    private static StreamName<ProjectionControl> StreamOf(Projection projection) => Streams.Named<ProjectionControl>(projection.Name);

    private static Problem NotParked() => new("projection.not_parked", "Nothing is parked there.");

    private Task<ParkedKey?> Find(Projection projection, string tenant, string key, CancellationToken ct) => ParkedKeys.Find(node.Database.Daemon, projection, tenant, key, ct);

    private async Task<(bool Done, ParkedKey? Parked)> After(Projection projection, ParkedKey? before, string? tenant, string? key, CancellationToken ct)
    {
        var done = await Effect(projection, ct);
        if (before is { Key: "*" }) done &= await Tried(projection, before, ct);
        return (done, tenant is null || key is null ? null : await Find(projection, tenant, key, ct));
    }

    private async Task<bool> Effect(Projection projection, CancellationToken ct)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        limit.CancelAfter(LongestWait);
        try
        {
            await orders.Apply(projection.Name, limit.Token);
            return true;
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            return false;
        }
        finally
        {
            // The node's own loops need not wait for their next look.
            node.Appended.Set();
        }
    }

    /// <summary>Waits until the node that runs it has tried the event once more.</summary>
    private async Task<bool> Tried(Projection projection, ParkedKey before, CancellationToken ct)
    {
        var began = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(began) < LongestHeartbeat)
        {
            var now = await Find(projection, before.Tenant, before.Key, ct);
            if (now is null || (now.Position, now.Attempts) != (before.Position, before.Attempts)) return true;
            await Task.Delay(Pause, ct);
        }
        return false;
    }
}
