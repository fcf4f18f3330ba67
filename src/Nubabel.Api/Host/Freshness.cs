using System.Globalization;

namespace Nubabel.Api.Host;

/// <summary>
/// Lets a read wait for what its caller has written: <c>Nubabel-Min-Position</c> is the position that a write was answered with. The wait is bounded;
/// then the caller hears how far the read model is instead of reading what is old.
/// </summary>
public sealed class Freshness(Node node, Store.Positions positions, IHttpContextAccessor accessor)
{
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(2);
    private const int RetryAfterSeconds = 1;

    private static readonly Dictionary<string, string> Again = new() { ["Retry-After"] = RetryAfterSeconds.ToString(CultureInfo.InvariantCulture) };

    /// <summary>Waits for the caller's position, if the request names one. A read model whose table is being built for the first time is not read.</summary>
    public async Task Of(string projection, CancellationToken ct)
    {
        if (!await positions.IsWhole(projection, ct)) throw new Problem("projection.building", "The read model is being built.") { Headers = Again };
        if (Positions.Minimum(accessor.HttpContext!.Request, node.Database.Shard) is { } wanted) await Reached(projection, wanted, ct);
    }

    /// <summary>
    /// For what is read from the log itself, which shows whatever is committed: nothing to wait for, unless the position is of the future.
    /// </summary>
    public async Task OfLog(CancellationToken ct)
    {
        if (Positions.Minimum(accessor.HttpContext!.Request, node.Database.Shard) is not { } wanted) return;
        var drawn = await Store.Again.Ask(async () =>
        {
            await using var command = node.Database.Api.CreateCommand("select last_value from events.mt_events_sequence");
            return (long)(await command.ExecuteScalarAsync(ct))!;
        });
        if (wanted > drawn) throw Lagging(drawn, wanted);
    }

    private async Task Reached(string projection, long wanted, CancellationToken ct)
    {
        var (reached, have) = await positions.Reached(projection, wanted, LongestWait, ct);
        if (!reached) throw Lagging(have, wanted);
    }

    private Problem Lagging(long have, long wanted) => new("projection.lagging", "The read model has not seen this position yet.")
    {
        Headers = Again,
        Members = new Dictionary<string, object?>
        {
            ["have"] = Positions.Format(node.Database.Shard, have),
            ["want"] = Positions.Format(node.Database.Shard, wanted),
        },
    };
}
