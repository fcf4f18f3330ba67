namespace Nubabel.Store.Tests;

/// <summary>The list of the processes that run a daemon.</summary>
public sealed class NodesTests : IAsyncLifetime
{
    private EngineDatabase database = null!;

    public async Task InitializeAsync() => database = await EngineDatabase.Create();
    public async Task DisposeAsync() => await database.DisposeAsync();

    [Fact]
    public async Task A_node_is_on_the_list_while_it_runs_and_off_it_when_it_has_stopped()
    {
        await using var two = await DaemonNode.Started(database, "two");
        await using (await DaemonNode.Started(database, "one"))
        {
            await Listed("one, two");
            Assert.Equal("tallies:All, tally_totals:All, tally_trail:V2:All",
                await database.Scalar<string>("select string_agg(p, ', ' order by p) from nubabel.nodes, unnest(progressions) p where name = 'one'"));
        }
        await Listed("two");
    }

    [Fact]
    public async Task A_heartbeat_moves_the_time_at_which_a_node_was_seen_and_not_that_of_its_start()
    {
        await using var node = await DaemonNode.Started(database);
        await Listed("one");
        var before = await Times();
        await TestWait.Until("it is seen again", async () => (await Times()).Seen > before.Seen);
        Assert.Equal(before.Started, (await Times()).Started);
    }

    [Fact]
    public void Two_daemons_of_one_process_have_two_names()
    {
        string a = new DaemonOptions().Node, b = new DaemonOptions().Node;
        Assert.NotEqual(a, b);
        Assert.InRange(b.Length, 10, 63);
    }

    private Task<TimeSpan> Listed(string names) => TestWait.Until($"the list is {names}", async () =>
        await database.Scalar<string>($"select coalesce(string_agg(n.name, ', ' order by n.name), '') from nubabel.nodes n where {Nodes.IsThere}") == names);

    private async Task<(DateTime Started, DateTime Seen)> Times() =>
        (await database.Scalar<DateTime>("select started from nubabel.nodes"), await database.Scalar<DateTime>("select seen from nubabel.nodes"));
}
