using System.Diagnostics;
using Npgsql;

namespace Nubabel.Store;

/// <summary>Follows the mark with the projections that this process holds: those that stand at the same place go together, those far behind on their own.</summary>
internal sealed class Follower(NpgsqlDataSource daemon, EventTypes types, IReadOnlyList<Runner> runners, Signal signal, Positions positions, DaemonOptions options)
{
    /// <summary>Who is further behind than this, while others are not, catches up beside them.</summary>
    private const long Far = 5_000;

    private static readonly TimeSpan ShortestGapPause = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan LongestGapPause = TimeSpan.FromMilliseconds(25);

    private readonly HighWater highWater = new(daemon, options.Rule);
    private readonly PageFeed feed = new(daemon, types);
    private readonly BatchSize size = new(options.LargestPage);
    private readonly Pace pace = new();
    private long met;

    public MarkStatus Mark => highWater.Status;

    /// <summary>One round: advance the mark, bring everybody a page further, wait for a hint when there is nothing more.</summary>
    public async Task Round(CancellationToken ct)
    {
        var hint = signal.Next;
        pace.Begin();
        // A process that owns nothing leaves the mark to those who do.
        if (!runners.Any(s => s.Held))
        {
            highWater.Rest();
            await Loop.Wait(hint, options.Poll, ct);
            return;
        }
        // The mark first: a reaction that is new begins there.
        var mark = await highWater.Prove(ct);
        if (await GoOn(mark, ct)) return;
        await pace.Keep(met, ct);
        await Loop.Wait(hint, highWater.Status.Waiting is { } gap ? GapPause(gap) : options.Poll, ct);
    }

    /// <summary>Brings everybody a page further and stores the mark. True when there is more.</summary>
    private async Task<bool> GoOn(long mark, CancellationToken ct)
    {
        try
        {
            var ready = await Ready(mark, ct);
            met = 0;
            var full = await Pages(ready, mark, ct);
            // Behind the pages, so that nobody waits for it; what it says is proven again if it is lost.
            await highWater.Store(ct);
            return full;
        }
        catch
        {
            // The next connection may lead to another server, of which nothing has been proven.
            highWater.Rest();
            throw;
        }
    }

    /// <summary>A page for everybody who is behind. True when there is more.</summary>
    private async Task<bool> Pages(List<Runner> ready, long mark, CancellationToken ct)
    {
        var full = false;
        var ahead = ready.Count == 0 ? 0 : ready.Max(s => s.Checkpoint);
        foreach (var group in ready.Where(s => s.Checkpoint < mark).GroupBy(s => s.Checkpoint).OrderByDescending(g => g.Key))
        {
            if (ahead - group.Key > Far) StartCatchingUp([.. group], mark, ct);
            else full |= await Page([.. group], mark, size, ct);
        }
        return full;
    }

    /// <summary>Waits for what catches up beside the others; they end with the loop's token.</summary>
    public async Task CaughtUp() =>
        await Task.WhenAll(runners.Select(s => s.CatchingUp ?? Task.CompletedTask)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    private async Task<List<Runner>> Ready(long mark, CancellationToken ct)
    {
        var free = runners.Where(s => s.CatchingUp is null or { IsCompleted: true }).ToList();
        foreach (var runner in free) runner.FollowOrders();
        var runnable = free.Where(s => s.IsRunnable).ToList();
        var unknown = runnable.Where(s => !s.CheckpointIsKnown).ToList();
        if (unknown.Count > 0) await feed.LoadCheckpoints(unknown, ct, mark);
        return [.. runnable.Where(s => s.CheckpointIsKnown)];
    }

    /// <summary>True when the page was full, so that there may be more below the mark.</summary>
    private async Task<bool> Page(List<Runner> group, long mark, BatchSize batch, CancellationToken ct)
    {
        var began = Stopwatch.GetTimestamp();
        var events = await feed.Next(group, mark, batch.Events, ct);
        batch.Took(events, Stopwatch.GetElapsedTime(began));
        if (batch == size) met += events;
        foreach (var runner in group)
        {
            if (runner.CheckpointIsKnown) positions.Moved(runner.Projection.ProgressionName, runner.Checkpoint);
            // Whoever was fenced knows nothing any more, and its readers must not wait for it.
            else if (!runner.Held) positions.Disown(runner.Projection.ProgressionName);
        }
        return group.Any(s => s.IsRunnable && s.Checkpoint < mark);
    }

    private void StartCatchingUp(List<Runner> group, long mark, CancellationToken ct)
    {
        // The task takes out of the group who leaves it.
        Runner[] all = [.. group];
        var own = new BatchSize(options.LargestPage);
        var task = Task.Run(async () =>
        {
            try
            {
                while (!ct.IsCancellationRequested && mark - group[0].Checkpoint > 0)
                {
                    await Page(group, mark, own, ct);
                    // One that was stopped, fenced or parted from the others goes its own way in the next round.
                    group.RemoveAll(s => !s.IsRunnable || !s.CheckpointIsKnown);
                    if (group.Count == 0 || group.Any(s => s.Checkpoint != group[0].Checkpoint)) return;
                    mark = Math.Max(mark, Mark.Mark);
                }
            }
            catch (Exception failure) when (!ct.IsCancellationRequested)
            {
                foreach (var runner in group) runner.Fail($"{failure.GetType().Name}: {failure.GetBaseException().Message}");
            }
            finally
            {
                signal.Heard();
            }
        }, CancellationToken.None);
        foreach (var runner in all) runner.CatchingUp = task;
    }

    /// <summary>Most gaps are filled within milliseconds; one that stays is looked at less often.</summary>
    private static TimeSpan GapPause(WaitingGap gap)
    {
        var pause = gap.Age / 4;
        return pause < ShortestGapPause ? ShortestGapPause : pause > LongestGapPause ? LongestGapPause : pause;
    }
}
