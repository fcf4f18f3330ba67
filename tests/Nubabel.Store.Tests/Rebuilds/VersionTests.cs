using System.Diagnostics;

namespace Nubabel.Store.Tests;

/// <summary>A deploy with a new version of a read model: it is built while the nodes of the old one go on, and readers get whole tables only.</summary>
public sealed class VersionTests : IAsyncLifetime
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(20);
    private EngineDatabase database = null!;
    private DaemonNode old = null!;

    public async Task InitializeAsync()
    {
        database = await EngineDatabase.Create();
        old = await DaemonNode.Started(database, "old");
    }

    public async Task DisposeAsync()
    {
        await old.DisposeAsync();
        await database.DisposeAsync();
    }

    [Fact]
    public async Task The_new_version_is_built_while_the_old_one_is_fed_and_is_whole_when_it_has_reached_it()
    {
        await old.Reach(await TallyHistory.Append(database, old.Log, 40));
        var loading = new TaskCompletionSource();
        var goOn = new TaskCompletionSource();
        await using var next = await Next(new RebuildOptions { Step = step => step == "loaded" ? Loaded() : Task.CompletedTask });
        await loading.Task.WaitAsync(Bound);

        // While it is built: nobody reads it, the old one is fed, the models that have not changed are everybody's.
        Assert.False(await next.Positions.IsWhole("tallies", default));
        Assert.True(await next.Positions.IsWhole("tally_totals", default));
        Assert.Equal(0L, await database.Scalar<long>("select count(*) from read.tallies_v2"));
        var last = await old.Log.Append(TallyLog.NewStream(), new TallyOpened("meanwhile"));
        await old.Reach(last);
        goOn.SetResult();

        await Until(() => next.Positions.IsWhole("tallies", default));
        // From the moment on at which readers may see it, it has what those of the old one have seen.
        Assert.True(await database.Scalar<long>("select last_seq_id from events.mt_event_progression where name = 'tallies:V2:All'") >= last);
        await next.Reach(last);
        Assert.Equal(
            await database.Scalar<string>("select string_agg(key || upper(name) || sum || position, ',' order by key) from read.tallies_v1"),
            await database.Scalar<string>("select string_agg(key || name || sum || position, ',' order by key) from read.tallies_v2"));
        // Both are fed now, each by those who know it.
        last = await next.Log.Append(TallyLog.NewStream(), new TallyOpened("both"));
        await old.Reach(last);
        await next.Reach(last);
        Assert.Equal("version system:new", await database.Scalar<string>("select kind || ' ' || started_by from nubabel.rebuilds where progression = 'tallies:V2:All'"));

        Task Loaded()
        {
            loading.TrySetResult();
            return goOn.Task;
        }
    }

    [Fact]
    public async Task The_old_version_goes_when_no_node_knows_it_any_more_and_not_before()
    {
        await old.Reach(await TallyHistory.Append(database, old.Log, 10));
        await using var next = await Next(new RebuildOptions { KeepsOldVersions = TimeSpan.FromMilliseconds(300) });
        await Until(() => next.Positions.IsWhole("tallies", default));
        // The old one is known still: rounds of the new node leave it alone.
        await old.Reach(await next.Log.Append(TallyLog.NewStream(), new TallyOpened("both")));
        Assert.Equal("read.tallies_v1", await database.Scalar<string>("select to_regclass('read.tallies_v1')::text"));

        await old.DisposeAsync();

        await Until(async () => await database.Scalar<string>("select to_regclass('read.tallies_v1')::text") is null);
        Assert.Equal(0L, await database.Scalar<long>("select count(*) from events.mt_event_progression where name = 'tallies:All'"));
        Assert.Equal(0L, await database.Scalar<long>("select count(*) from nubabel.parked where name = 'tallies' and version = 1"));
        await next.Reach(await next.Log.Append(TallyLog.NewStream(), new TallyOpened("after")));
    }

    [Fact]
    public async Task A_new_version_that_parks_what_the_old_one_took_is_held_and_published_when_it_is_forced()
    {
        var stream = TallyLog.NewStream();
        await old.Reach(await old.Log.Append(stream, new TallyOpened("unlucky")));
        await using var next = await Next(new RebuildOptions());

        await Until(async () => (await next.Daemon.Rebuilds.Status("tallies", default))?.State == RebuildState.Held);
        Assert.False(await next.Positions.IsWhole("tallies", default));
        Assert.Contains("unlucky", await old.Table("tallies"), StringComparison.Ordinal);

        await next.Daemon.Rebuilds.Order("tallies", force: true, "an operator", default);
        await Until(() => next.Positions.IsWhole("tallies", default));
        Assert.Equal(ProjectionState.Parked, (await next.Until("tallies", s => s.ParkedKeys == 1)).State);
    }

    [Fact]
    public async Task A_first_version_that_comes_to_a_long_log_is_built_as_well()
    {
        await old.DisposeAsync();
        await database.Execute("delete from events.mt_event_progression; truncate read.tallies_v1, read.tally_trail_v2, read.tally_totals_v1");
        await TallyHistory.Fill(database, 3_000, 7);
        old = await DaemonNode.Started(database, "later", rebuilds: new RebuildOptions());

        foreach (var projection in old.Projections.All) await Until(() => old.Positions.IsWhole(projection.Name, default));
        await old.Reach(21_000);

        Assert.Equal(3_000L, await database.Scalar<long>("select count(*) from read.tallies_v1 where sum = 6"));
        Assert.Equal(3L, await database.Scalar<long>("select count(*) from nubabel.rebuilds where state = 'published' and kind = 'version'"));
    }

    private Task<DaemonNode> Next(RebuildOptions rebuilds) => DaemonNode.Started(database, "new", projections: new ProjectionSet(Tallies.Types)
        .Documents<TallyListV2, TallyRow>()
        .Rows<TallyTrail, TrailRow>()
        .Documents<TallyTotals, TotalRow>(platform: true), rebuilds: rebuilds);

    private static async Task Until(Func<Task<bool>> condition)
    {
        var clock = Stopwatch.StartNew();
        while (!await condition())
        {
            Assert.True(clock.Elapsed < Bound, "It has not come to that.");
            await Task.Delay(20);
        }
    }

    /// <summary>The same read model a version later: names in capitals, another column, and no liking for one name.</summary>
    private sealed class TallyListV2 : IDocument<TallyRow>
    {
        public static string Name => TallyList.Name;
        public static int Version => 2;
        public static IReadOnlyList<string> Types => TallyList.Types;

        public static Columns<TallyRow> Columns { get; } = new Columns<TallyRow>()
            .Add("name", r => r.Name)
            .Add("sum", r => r.Sum)
            .Add("is_large", r => r.Sum > 5)
            .Index("Large tallies of a tenant", "is_large", "name");

        public static TallyRow? Evolve(TallyRow? row, Recorded e) => e.Data switch
        {
            TallyOpened { Name: "unlucky" } => throw new InvalidOperationException("unlucky"),
            TallyOpened opened => new TallyRow(opened.Name.ToUpperInvariant(), 0),
            TallyRenamed renamed => row! with { Name = renamed.Name.ToUpperInvariant() },
            _ => TallyList.Evolve(row, e),
        };
    }
}
