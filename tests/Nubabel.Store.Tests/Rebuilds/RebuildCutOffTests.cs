namespace Nubabel.Store.Tests;

/// <summary>A rebuild that is cut off anywhere goes on where it was, in whatever process, and comes to the rows of the live projection.</summary>
public sealed class RebuildCutOffTests : IAsyncLifetime
{
    private EngineDatabase database = null!;
    private DaemonNode node = null!;

    public async Task InitializeAsync()
    {
        database = await EngineDatabase.Create();
        node = await DaemonNode.Started(database);
    }

    public async Task DisposeAsync()
    {
        await node.DisposeAsync();
        await database.DisposeAsync();
    }

    [Theory]
    [InlineData("tallies")]
    [InlineData("tally_totals")]
    [InlineData("tally_trail")]
    public async Task Cut_off_behind_each_of_its_steps_it_goes_on_there(string name)
    {
        await node.Reach(await TallyHistory.Append(database, node.Log, 60));
        var order = new Rebuilds(database.Daemon, database.DaemonConnectionString, node.Projections);
        await using (order) await order.Order(name, force: false, "somebody", default);
        var (steps, runs) = (new List<string>(), 0);
        while ((await Status(name)).State == RebuildState.Running)
        {
            Assert.True(++runs < 60, $"It does not come to an end: {string.Join(", ", steps)}");
            // What the live projection has written meanwhile must be in it as well.
            await node.Log.Append(TallyLog.NewStream(), new TallyOpened($"meanwhile {runs}"), new TallyRaised(runs));
            // First it dies at every step; then it lives a little longer each time, or the log would always be ahead of it.
            await Dies(name, steps, Math.Max(1, runs - 8));
        }
        Assert.Equal((RebuildState.Published, 0), ((await Status(name)).State, steps.Count(s => s == "begun") - 1));
        Assert.Equal([], new[] { "begun", "loaded", "indexed", "caught up", "swapped" }.Except(steps));
        var built = (await Status(name)).Position;
        await node.Reach(await node.Log.Append(TallyLog.NewStream(), new TallyOpened("last")));
        Assert.True(built > 0);
        Assert.Equal(await Anew(name), await node.Table(name));
    }

    [Fact]
    public async Task A_process_that_was_taken_for_dead_moves_nothing_when_it_wakes_up()
    {
        await node.Reach(await TallyHistory.Append(database, node.Log, 40));
        var (asleep, awake) = (new TaskCompletionSource(), new TaskCompletionSource());
        var zombie = new Rebuilds(database.Daemon, database.DaemonConnectionString, node.Projections, "zombie", new RebuildOptions
        {
            Step = async step =>
            {
                if (step != "loaded") return;
                asleep.TrySetResult();
                await awake.Task;
            },
        });
        await zombie.Order("tallies", force: false, "somebody", default);
        var sleeping = zombie.Follow("tallies", _ => { }, default);
        await asleep.Task.WaitAsync(TimeSpan.FromSeconds(20));
        // Its lease is lost with its connection, as when the server has given it up.
        await database.Execute("select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and pid in (select pid from pg_stat_activity where application_name = 'zombie')");

        var ended = await Follow("tallies");
        awake.SetResult();

        Assert.Equal(RebuildState.Published, ended.State);
        Assert.Equal(RebuildState.Published, (await sleeping.WaitAsync(TimeSpan.FromSeconds(20))).State);
        await zombie.DisposeAsync();
        await node.Reach(await node.Log.Append(TallyLog.NewStream(), new TallyOpened("last")));
        Assert.Equal(await Anew("tallies"), await node.Table("tallies"));
        Assert.Null(await database.Scalar<string>("select to_regclass('read.tallies_v1_r')::text"));
    }

    [Fact]
    public async Task What_was_folded_from_the_old_table_does_not_get_into_the_new_one()
    {
        var stream = TallyLog.NewStream();
        var last = await node.Log.Append(stream, new TallyOpened("sheep"), new TallyRaised(1));
        await node.Reach(last);
        await node.Daemon.Stop();
        await database.Execute("update read.tallies_v1 set sum = 99, doc = jsonb_set(doc, '{sum}', '99')");
        // A batch has read its checkpoint, and its rows will be those of the damaged table; then the table is exchanged at the same position.
        var runner = new Runner(node.Projections.Find("tallies")!);
        runner.LeaseIs(true);
        var feed = new PageFeed(database.Daemon, Tallies.Types);
        await feed.LoadCheckpoints([runner], default);
        Assert.Equal(RebuildState.Published, (await Rebuild.Run(database.Daemon, database.DaemonConnectionString, node.Projections, "tallies", _ => { }, default)).State);
        var next = await node.Log.Append(stream, new TallyRaised(1));

        await feed.Next([runner], next, 100, default);

        Assert.False(runner.CheckpointIsKnown);
        Assert.Contains(",sheep,1)", await node.Table("tallies"), StringComparison.Ordinal);
    }

    private async Task<RebuildStatus> Status(string name)
    {
        await using var rebuilds = new Rebuilds(database.Daemon, database.DaemonConnectionString, node.Projections);
        return (await rebuilds.Status(name, default))!;
    }

    private async Task<RebuildStatus> Follow(string name)
    {
        await using var rebuilds = new Rebuilds(database.Daemon, database.DaemonConnectionString, node.Projections);
        return await rebuilds.Follow(name, _ => { }, default).WaitAsync(TimeSpan.FromSeconds(30));
    }

    /// <summary>A process that works on it and is gone after so many steps that no earlier one got over.</summary>
    private async Task Dies(string name, List<string> steps, int survives)
    {
        using var end = new CancellationTokenSource();
        await using var rebuilds = new Rebuilds(database.Daemon, database.DaemonConnectionString, node.Projections, $"short-lived {steps.Count}", new RebuildOptions
        {
            Workers = 2,
            Memory = 5_000,
            Step = step =>
            {
                var isFirstSwap = step == "swapped" && !steps.Contains(step);
                steps.Add(step);
                // The exchange is cut off once in any case: before its commit, with everything done.
                if (--survives > 0 && !isFirstSwap) return Task.CompletedTask;
                end.Cancel();
                return Task.FromCanceled(end.Token);
            },
        });
        await ((Task)rebuilds.Follow(name, _ => { }, end.Token)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <summary>The rows that the daemon makes of the whole log on its own, in another database of the same log.</summary>
    private async Task<string> Anew(string name)
    {
        await node.DisposeAsync();
        await using var twin = await database.Twin();
        await twin.Execute("truncate read.tallies_v1, read.tally_totals_v1, read.tally_trail_v2; delete from nubabel.parked; delete from nubabel.rebuilds; update events.mt_event_progression set last_seq_id = 0 where name like '%All'");
        await using var other = await DaemonNode.Started(twin, "anew");
        var last = await twin.Scalar<long>("select max(seq_id) from events.mt_events");
        await other.Reach(last, name);
        return await other.Table(name);
    }
}
