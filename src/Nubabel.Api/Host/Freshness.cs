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

    /// <summary>Waits for the caller's position, if the request names one.</summary>
    public Task Of(string projection, CancellationToken ct) =>
        Positions.Minimum(accessor.HttpContext!.Request, node.Database.Shard) is { } wanted ? Reached(projection, wanted, ct) : Task.CompletedTask;

    /// <summary>
    /// Waits for everything that is committed now, for a decision that must not miss what was written a moment ago on whatever node. Where the read model
    /// does not get there in time, the decision goes on with what it has.
    /// </summary>
    public async Task Now(string projection, CancellationToken ct)
    {
        // Nothing of another tenant leaves here: the end of the log is a number. Row-level security would show only the tenant's own end, and without an index.
        var end = await node.Everyones.Query<long>([$"select coalesce(max(seq_id), 0) from events.mt_events"], row => row.GetInt64(0), ct);
        await positions.Reached(projection, end[0][0], LongestWait, ct);
    }

    private async Task Reached(string projection, long wanted, CancellationToken ct)
    {
        var (reached, have) = await positions.Reached(projection, wanted, LongestWait, ct);
        if (reached) return;
        throw new Problem("projection.lagging", "The read model has not seen this position yet.")
        {
            Headers = new Dictionary<string, string> { ["Retry-After"] = RetryAfterSeconds.ToString(CultureInfo.InvariantCulture) },
            Members = new Dictionary<string, object?>
            {
                ["have"] = Positions.Format(node.Database.Shard, have),
                ["want"] = Positions.Format(node.Database.Shard, wanted),
            },
        };
    }
}
