using Xunit.Abstractions;

namespace Nubabel.Store.Tests.Fire;

/// <summary>Real processes that have leases, and are killed or stand still.</summary>
public sealed class ZombieTests(ITestOutputHelper output) : IAsyncLifetime
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(2);
    private EngineDatabase database = null!;
    private TallyLog log = null!;

    public async Task InitializeAsync()
    {
        database = await EngineDatabase.Create();
        await ReadTables.Ensure(database.Owner, Tallies.Projections(), EngineDatabase.ApiLogin, EngineDatabase.DaemonLogin);
        log = new TallyLog(database.Daemon);
    }

    public async Task DisposeAsync() => await database.DisposeAsync();

    [Fact]
    public async Task Three_processes_have_one_projection_each_and_what_a_killed_one_had_is_projected_by_the_others_in_two_seconds()
    {
        NodeChild[] children = await Task.WhenAll(Enumerable.Range(0, 3).Select(i => NodeChild.Started(database, $"process {i}")));
        try
        {
            await Evenly(children);
            var position = await Write();
            await Projected(position);

            await children[1].Kill();
            position = await Write();
            var took = await Projected(position);
            output.WriteLine($"Taken over and projected {took.TotalMilliseconds:0} ms after the kill.");
            Assert.InRange(took, TimeSpan.Zero, 5 * Soon);
            Assert.Equal(2, (await Nodes.Read(database.Daemon, default)).Count(n => n.Owns.Count > 0));
        }
        finally
        {
            foreach (var child in children) await child.DisposeAsync();
        }
    }

    [Fact]
    public async Task A_process_that_stood_still_while_another_took_over_is_refused_by_the_fence_and_forgets_what_it_knew()
    {
        // Its heart beats once a minute, so that after it wakes up its first deed is a batch and not a look at its lease.
        await using var zombie = await NodeChild.Started(database, "zombie", TimeSpan.FromMinutes(1));
        await Projected(await Write());
        Assert.Equal("tallies tally_trail tally_totals", await zombie.Ask("held"));
        await zombie.Stop();

        await using var heir = await NodeChild.Started(database, "heir");
        var last = await Write();
        var took = await Projected(last);
        output.WriteLine($"A process that stood still lost its leases after {took.TotalSeconds:0.0} s.");

        await zombie.Continue();
        for (var i = 0; i < 5; i++) last = await Write();
        await TestWait.Until("it is refused", async () => (await zombie.Ask("errors")).Contains("fenced", StringComparison.Ordinal));
        await TestWait.Until("it has let go of all", async () => await zombie.Ask("held") == "");
        await Projected(last);
        foreach (var name in (string[])["tallies", "tally_trail", "tally_totals"]) Assert.Equal($"{last}", await zombie.Ask($"have {name}"));
        await EverythingIsThereOnce();
    }

    [Fact]
    public async Task A_process_that_stands_still_for_a_while_takes_its_share_again_when_it_goes_on()
    {
        await using var one = await NodeChild.Started(database, "one");
        await using var two = await NodeChild.Started(database, "two");
        await Evenly(one, two);
        await one.Stop();
        await TestWait.Until("two has all", async () => await two.Ask("held") is { } held && held.Split(' ').Length == 3);
        await one.Continue();
        await Evenly(one, two);
        await Projected(await Write());
        await EverythingIsThereOnce();
    }

    private async Task<long> Write() => await log.Append(TallyLog.NewStream(), new TallyOpened("t"), new TallyRaised(1), new TallyRaised(1));

    private Task<TimeSpan> Projected(long position) => TestWait.Until($"{position} is projected", async () =>
        await database.Scalar<long>($"select count(*) from events.mt_event_progression where name <> 'HighWaterMark' and last_seq_id >= {position}") == 3, TimeSpan.FromSeconds(20));

    private async Task Evenly(params NodeChild[] children)
    {
        await TestWait.Until("the projections are shared out evenly", async () =>
        {
            var counts = (await Nodes.Read(database.Daemon, default)).Where(n => children.Any(c => c.Name == n.Name)).Select(n => n.Owns.Count).ToList();
            return counts.Count == children.Length && counts.Sum() == 3 && counts.Max() - counts.Min() <= 1;
        }, TimeSpan.FromSeconds(20));
    }

    private async Task EverythingIsThereOnce()
    {
        var streams = await database.Scalar<long>("select count(*) from events.mt_streams");
        Assert.Equal(3 * streams, await database.Scalar<long>("select count(distinct position) from read.tally_trail_v2"));
        Assert.Equal(5 * streams, await database.Scalar<long>("select count(*) from read.tally_trail_v2"));
        Assert.Equal(2 * streams, await database.Scalar<long>("select sum(sum) from read.tallies_v1"));
        Assert.Equal(2 * streams, await database.Scalar<long>("select (doc ->> 'sum')::bigint from read.tally_totals_v1"));
    }
}
