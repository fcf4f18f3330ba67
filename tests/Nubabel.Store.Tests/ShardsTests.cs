using System.Collections.Concurrent;
using System.Diagnostics;
using Nubabel.Testing;

namespace Nubabel.Store.Tests;

/// <summary>Two databases: the directory places the tenants, and each database has its own log, mark, daemon, tail and positions.</summary>
public sealed class ShardsTests : IAsyncLifetime
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(10);
    private TestDatabase main = null!, west = null!;
    private Shards shards = null!;

    public async Task InitializeAsync()
    {
        (main, west) = (await TestDatabase.New(), await TestDatabase.New(shard: "west"));
        shards = Of(main, west);
        foreach (var database in new[] { main, west }) await ReadTables.Ensure(database.Owner, Tallies.Projections(), "nubabel_api", "nubabel_daemon");
    }

    public async Task DisposeAsync()
    {
        await main.DisposeAsync();
        await west.DisposeAsync();
    }

    [Fact]
    public async Task The_directory_places_organizations_where_there_are_fewest()
    {
        var placed = new List<string>();
        for (var i = 0; i < 6; i++) placed.Add((await Found($"slug-{i}")).Database.Shard);
        Assert.Equal(["main", "west", "main", "west", "main", "west"], placed);
        Assert.Equal("west", (await Found("wanted-1", "west")).Database.Shard);
        await Assert.ThrowsAsync<UnknownShard>(() => shards.Place("slug-9", Tally.Tenant(), "east", default));
    }

    [Fact]
    public async Task A_repeated_sign_up_meets_its_own_place_and_another_one_none()
    {
        var (tenant, other) = (Tally.Tenant(), Tally.Tenant());
        Assert.Equal("west", (await shards.Place("acme", tenant, "west", default))!.Shard);
        Assert.Equal("west", (await shards.Place("acme", tenant, "main", default))!.Shard);
        Assert.Null(await shards.Place("acme", other, "main", default));
        await shards.Directory.Confirm(tenant, default);
        Assert.Equal(("west", "west"), ((await shards.Of(tenant, default)).Shard, shards.Of((await shards.Directory.Find("acme", default))!).Shard));
        // What nobody has heard of has nothing anywhere.
        Assert.Equal(("main", "main"), ((await shards.Of(other, default)).Shard, (await shards.Of(Projection.PlatformTenant, default)).Shard));
    }

    [Fact]
    public async Task One_organization_that_is_placed_many_times_at_once_has_one_place_and_one_slug()
    {
        for (var round = 0; round < 40; round++)
        {
            var (slug, tenant) = ($"race-{round}", Tally.Tenant());
            var places = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => Task.Run(() => shards.Directory.Place(slug, tenant, "main", "main", null, default))));
            Assert.All(places, place => Assert.Equal("main", place));
            Assert.Null(await shards.Directory.Place($"other-{round}", tenant, "main", "main", null, default));
        }
        Assert.Equal(40, (await shards.Directory.Counts(default))["main"]);
    }

    [Fact]
    public async Task A_sign_up_that_was_cut_off_on_the_second_database_keeps_its_slug_if_it_had_founded_its_organization()
    {
        var (founded, empty, late) = (Tally.Tenant(), Tally.Tenant(), Tally.Tenant());
        await shards.Place("founded", founded, "west", default);
        await shards.Place("empty", empty, "west", default);
        Assert.IsType<Appended.Done>(await Journal(west.Database, founded).Append(Tally.Now(), [On($"organization-{founded}", 0, new TallyOpened("founded"))], default));
        await main.Run("update nubabel.directory set expires = now() - interval '1 second'");

        Assert.Null(await shards.Place("founded", late, "main", default));
        Assert.Equal((founded, "active"), (await shards.Directory.Find("founded", default)) switch { var e => (e!.Organization, e.State) });
        Assert.Equal("main", (await shards.Place("empty", late, "main", default))!.Shard);
        Assert.Equal((late, "reserved"), (await shards.Directory.Find("empty", default)) switch { var e => (e!.Organization, e.State) });
        Assert.Null(await shards.Directory.Find(empty, default));
    }

    [Fact]
    public async Task An_organization_of_a_shard_that_is_not_connected_is_refused_and_not_looked_for_elsewhere()
    {
        var (tenant, _) = await Found("far-off", "west");
        await using var alone = new Shards(Database.Open("main", main.ApiString, main.DaemonString), Database.Open("east", main.ApiString, main.DaemonString));
        Assert.Contains("west", (await Assert.ThrowsAsync<UnknownShard>(async () => await alone.Of(tenant, default))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Two_shards_of_one_name_are_refused() => Assert.Throws<ArgumentException>(() => new Shards(main.Database, main.Database));

    [Fact]
    public async Task Each_tenants_log_read_models_and_positions_are_on_its_own_database_alone()
    {
        await using var here = new Node(main);
        await using var there = new Node(west);
        Node[] nodes = [here, there];
        var tenants = new List<(string Tenant, Database Database)>();
        for (var i = 0; i < 4; i++) tenants.Add(await Found($"tenant-{i}"));
        // Of different lengths, so that a position of one database says nothing on the other.
        var last = new Dictionary<string, long>();
        foreach (var (tenant, database) in tenants)
            for (var i = 0; i <= (database.Shard == "west" ? 9 : 1); i++)
                last[database.Shard] = await Append(database, tenant, $"tally-{tenant}", i, i == 0 ? new TallyOpened(tenant) : new TallyRaised(1));

        Assert.NotEqual(last["main"], last["west"]);
        foreach (var node in nodes)
        {
            await node.Reach(last[node.Database.Database.Shard]);
            var own = tenants.Where(t => t.Database.Shard == node.Database.Database.Shard).Select(t => t.Tenant).Order().ToArray();
            Assert.Equal(own, await node.Database.Scalar<string[]>("select array_agg(distinct tenant_id::text order by tenant_id::text) from events.mt_events"));
            Assert.Equal(own, await node.Database.Scalar<string[]>("select array_agg(name::text order by name::text) from read.tallies_v1"));
            await node.Hears(own);
        }
        var (reached, have) = await here.Positions.Reached("tallies", last["west"], TimeSpan.FromMilliseconds(100), default);
        Assert.Equal((false, last["main"]), (reached, have));
    }

    [Fact]
    public async Task What_holds_one_database_up_does_not_hold_the_other()
    {
        await using var here = new Node(main);
        await using var there = new Node(west);
        var (near, far) = ((await Found("near", "main")).Tenant, (await Found("far", "west")).Tenant);
        await using var open = await west.Superuser.OpenConnectionAsync();
        await using var transaction = await open.BeginTransactionAsync();
        await using (var draw = new Npgsql.NpgsqlCommand("select nextval('events.mt_events_sequence')", open, transaction)) await draw.ExecuteScalarAsync();

        var held = await Append(west.Database, far, $"tally-{far}", 0, new TallyOpened("far"));
        await here.Reach(await Append(main.Database, near, $"tally-{near}", 0, new TallyOpened("near")));
        Assert.False((await there.Positions.Reached("tallies", held, TimeSpan.FromMilliseconds(300), default)).Reached);
        Assert.Null((await here.Daemon.Status(default)).Waiting);
        // The tail waits for no gap, on either.
        await there.Hears(far);

        await transaction.RollbackAsync();
        await there.Reach(held);
    }

    private static Shards Of(TestDatabase main, TestDatabase west) => new(main.Database, west.Database);

    private async Task<(string Tenant, Database Database)> Found(string slug, string? shard = null)
    {
        var tenant = Tally.Tenant();
        var database = await shards.Place(slug, tenant, shard, default);
        Assert.True(await shards.Directory.Confirm(tenant, default));
        Assert.Same(database, await shards.Of(tenant, default));
        return (tenant, database!);
    }

    private static async Task<long> Append(Database database, string tenant, string stream, long expected, object e) =>
        Assert.IsType<Appended.Done>(await Journal(database, tenant).Append(Tally.Now(), [On(stream, expected, e)], default)).Events[^1].Position;

    private static StreamAppend On(string stream, long expected, object e) => new(stream, "tally", expected, [e], [], []);

    private static Journal Journal(Database database, string tenant) =>
        new(database, Tallies.Types, new SubjectKeys(database, TestDatabase.Master), tenant, new Origin("system:test"), () => { }, TimeProvider.System);

    /// <summary>What one process runs on one database.</summary>
    private sealed class Node : ITailSubscriber, IAsyncDisposable
    {
        private readonly ConcurrentDictionary<string, bool> heard = new();
        private readonly Tail tail;

        public Node(TestDatabase database)
        {
            var (signal, projections) = (new Signal(), Tallies.Projections());
            Database = database;
            Positions = new Positions(database.Database.Daemon, projections);
            Daemon = new ProjectionDaemon(database.Database.Daemon, database.DaemonString, projections, signal, Positions, new DaemonOptions { Poll = TimeSpan.FromMilliseconds(100) });
            tail = new Tail(database.Database.Daemon, Tallies.Types, signal, [this]);
            Daemon.Start();
            tail.Start();
        }

        public TestDatabase Database { get; }
        public Positions Positions { get; }
        public ProjectionDaemon Daemon { get; }
        public IReadOnlyCollection<string> Aliases { get; } = ["tally_opened"];

        public Task<long> Load(CancellationToken ct) => Task.FromResult(0L);

        public void OnEvent(Recorded e) => heard[e.Tenant] = true;

        public async Task Hears(params string[] tenants)
        {
            var clock = Stopwatch.StartNew();
            while (!tenants.All(heard.ContainsKey))
            {
                Assert.True(clock.Elapsed < Bound, $"heard of {heard.Count}");
                await Task.Delay(10);
            }
            Assert.Equal(tenants.Order(), heard.Keys.Order());
        }

        public async Task Reach(long position)
        {
            foreach (var name in Tallies.Projections().All.Select(p => p.Name))
                Assert.True((await Positions.Reached(name, position, Bound, default)).Reached, name);
        }

        public async ValueTask DisposeAsync()
        {
            await tail.DisposeAsync();
            await Daemon.DisposeAsync();
        }
    }
}
