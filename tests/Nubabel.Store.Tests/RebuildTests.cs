namespace Nubabel.Store.Tests;

public sealed class RebuildTests : IAsyncLifetime
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

    [Fact]
    public async Task A_rebuild_gives_the_same_rows_as_the_live_projection()
    {
        var last = await History(200);
        await node.Reach(last);
        var live = new Dictionary<string, string>();
        foreach (var projection in node.Projections.All) live[projection.Name] = await node.Table(projection.Name);
        var parked = await Parked();

        foreach (var projection in node.Projections.All)
        {
            var progress = new List<RebuildStatus>();
            var result = await Run(projection.Name, progress.Add);
            Assert.Equal((RebuildState.Published, last, 1.0), (result.State, result.Position, result.Done));
            Assert.Equal(RebuildState.Published, progress[^1].State);
            Assert.Equal(live[projection.Name], await node.Table(projection.Name));
        }
        Assert.Equal(parked, await Parked());
    }

    [Fact]
    public async Task A_rebuild_repairs_a_table_that_somebody_damaged()
    {
        await node.Reach(await History(10));
        var before = await node.Table("tallies");
        await database.Execute("update read.tallies_v1 set sum = 99; insert into read.tallies_v1 values ('x', 'x', 1, 1, '{}', 'x', 1)");

        await Run("tallies", _ => { });

        Assert.Equal(before, await node.Table("tallies"));
    }

    [Fact]
    public async Task A_name_that_no_read_model_has_is_refused() => await Assert.ThrowsAsync<RebuildRefused>(() => Run("nothing", _ => { }));

    private Task<RebuildStatus> Run(string name, Action<RebuildStatus> progress) =>
        Rebuild.Run(database.Daemon, database.DaemonConnectionString, node.Projections, name, progress, default);

    private Task<string?> Parked() => database.Scalar<string>("select string_agg(concat_ws(' ', name, version, tenant_id, key, seq_id, error), ';' order by name, seq_id) from nubabel.parked");

    /// <summary>A history with deletions, parked keys, foreign events and gaps.</summary>
    private async Task<long> History(int streams)
    {
        var random = new Random(streams);
        var last = 0L;
        for (var i = 0; i < streams; i++)
        {
            var stream = TallyLog.NewStream();
            last = await node.Log.Append(stream, new TallyOpened($"t{i}"), new TallyRaised(random.Next(1, 9)), new TallyRaised(i % 20 == 7 ? 13 : 1));
            if (i % 5 == 0) last = await node.Log.Append(stream, new TallyRenamed($"r{i}"));
            if (i % 7 == 0) last = await node.Log.Append(stream, new TallyClosed());
            if (i % 11 == 0) last = await node.Log.AppendRaw(stream, "marten_made_this", "{}");
            if (i % 13 != 0) continue;
            await using var gone = await LogWriter.Begin(database);
            await gone.Append();
            await gone.RollBack();
        }
        return last;
    }
}
