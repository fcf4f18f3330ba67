using System.Collections.Concurrent;
using Nubabel.Store;

namespace Nubabel.Api.Host;

/// <summary>
/// When API keys were last used, to the minute. No event and no statement per request: uses are collected in memory and written once a minute, and
/// when the server stops. So what is shown may be a minute old, and a process that is killed loses a minute.
/// </summary>
public sealed class LastUses(Node node, ILogger<LastUses> log) : BackgroundService
{
    /// <summary>How many keys are remembered between two rounds; of more than that no use is noted until they are written.</summary>
    private const int Bound = 50_000;

    private static readonly TimeSpan Every = TimeSpan.FromMinutes(1);

    private readonly ConcurrentDictionary<(string Tenant, Guid Key), DateTimeOffset> noted = new();

    public void Note(string tenant, Guid key, DateTimeOffset now)
    {
        var minute = new DateTimeOffset(now.UtcTicks - now.UtcTicks % TimeSpan.TicksPerMinute, TimeSpan.Zero);
        if (noted.TryGetValue((tenant, key), out var there) ? there >= minute : noted.Count >= Bound) return;
        noted[(tenant, key)] = minute;
    }

    /// <summary>Writes what has been collected. What could not be written is kept for the next time.</summary>
    public async Task Flush(CancellationToken ct)
    {
        var uses = noted.ToArray();
        if (uses.Length == 0) return;
        try
        {
            await KeyUses.Write(node.Database.Daemon, [.. uses.Select(use => (use.Key.Tenant, use.Key.Key, use.Value))], ct);
        }
        catch (Npgsql.NpgsqlException e)
        {
            log.LogWarning(e, "The last uses of API keys could not be written; the next round tries again.");
            return;
        }
        // Not one that was noted anew meanwhile.
        foreach (var use in uses) noted.TryRemove(use);
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        await Flush(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            // A stop is no failure, so it is not thrown: the host would report it as one.
            await Task.Delay(Every, node.Time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            // The last round is the stop's own.
            if (!stoppingToken.IsCancellationRequested) await Flush(CancellationToken.None);
        }
    }
}
