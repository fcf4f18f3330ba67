using Npgsql;
using Nubabel.Domain;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Projections.Tests;

/// <summary>What a replay makes in a database of its own is what is live here, and what was live here.</summary>
public sealed class ReplayTests : IAsyncLifetime
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(60);
    private TestDatabase live = null!, target = null!;

    public async Task InitializeAsync()
    {
        live = await TestDatabase.New();
        target = await TestDatabase.New(migrate: false);
    }

    public async Task DisposeAsync()
    {
        await live.DisposeAsync();
        await target.DisposeAsync();
    }

    [Fact]
    public async Task A_replay_equals_what_is_live_and_up_to_a_position_what_was_live_then()
    {
        var (then, thenAt) = await Grown(1);
        var (now, nowAt) = await Grown(2);
        Assert.All(now, sum => Assert.True(sum.Rows > 0, $"{sum.Name} is empty: the history shows nothing in it."));
        Assert.NotEqual(then, now);

        var past = await Replay(new LogSelection(To: new Until(Position: thenAt)), "then");
        Assert.Equal((thenAt, 0), (past.To, past.Faults.Count));
        Assert.Equal(then, past.Sums);

        await using var other = await TestDatabase.New(migrate: false);
        var present = await Replay(new LogSelection(), "now", other);
        Assert.Equal((nowAt, await live.Scalar<long>("select count(*) from events.mt_events")), (present.To, present.Events));
        Assert.Equal(now, present.Sums);
        // A foreign writer gives a stream's row times of its own, which its events do not tell.
        const string ours = "select t::text from events.mt_streams t where not exists (select from events.mt_events e where e.tenant_id = t.tenant_id and e.stream_id = t.id and coalesce(e.mt_dotnet_type, '') not like 'Nubabel.%')";
        foreach (var rows in new[] { ours, "select row(tenant_id, id, type, coalesce(version, 0), is_archived)::text from events.mt_streams where version > 0", "select t::text from nubabel.claims t" })
            Assert.Equal(await Rows(live, rows), await Rows(other, rows));
    }

    [Fact]
    public async Task A_log_in_which_two_streams_hold_one_value_is_replayed_and_the_value_is_named()
    {
        var tenant = Guid.CreateVersion7().ToString();
        var owner = Guid.CreateVersion7();
        await using var marten = await MartenLogin.On(live);
        string[] devices = [.. Enumerable.Range(0, 25).Select(_ => $"device-{Guid.CreateVersion7()}")];
        foreach (var device in devices)
            await MartenWriter.Append(marten, tenant, device, new MartenEvent("device_registered", $$"""{"name": "phone", "type": "mobile", "owner": "{{owner}}"}"""));

        var result = await Replay(new LogSelection(tenant), tenant);

        Assert.Equal(devices.Length, result.Events);
        Assert.Equal((21, true), (result.Faults.Count, result.Faults[0].StartsWith($"Claims: the stream {devices[1]} of {tenant} needs a value", StringComparison.Ordinal)));
        Assert.Equal("4 more values are held by two streams.", result.Faults[^1]);
        Assert.Equal(devices[0], await target.Scalar<string>("select stream_id from nubabel.claims"));
        Assert.Equal(devices.Length, result.Sums.Single(s => s.Name == "devices").Rows);
    }

    [Fact]
    public async Task A_tenant_alone_is_replayed_to_the_same_rows()
    {
        await Grown(1);
        var tenant = await live.Scalar<string>("select tenant_id from events.mt_events where type = 'organization_founded' order by seq_id limit 1");
        var result = await Replay(new LogSelection(tenant), tenant);
        Assert.Equal(tenant, await target.Scalar<string>("select string_agg(distinct tenant_id, ',') from events.mt_events"));
        var here = (await ReadModelSums.Of(live.Database.Daemon, ReadModels.All, tenant, default)).Select(s => (s.Name, s.Rows, s.Sha256)).ToArray();
        var there = (await ReadModelSums.Of(target.Superuser, ReadModels.All, tenant, default)).Select(s => (s.Name, s.Rows, s.Sha256)).ToArray();
        Assert.Equal(here, there);
        // The platform's own, and what this history has nothing of.
        string[] none = ["breach_letters", "breach_notices", "breaches", "erasures", "flags", "job_board", "organizations", "unknown_aliases"];
        Assert.Empty(here.Where(s => s.Rows == 0).Select(s => s.Name).Except(none));
        // Its row among those of the platform.
        foreach (var model in ReadModels.All.All.Where(m => m.Platform && m.Name == "organizations"))
        {
            var row = $"select t::text from {model.Table.Value} t where t.key = 'organization-{tenant}'";
            Assert.Equal(await Rows(live, row), await Rows(target, row));
            Assert.Equal(1, result.Sums.Single(s => s.Name == model.Name).Rows);
        }
    }

    [Fact]
    public async Task A_replay_that_was_cut_off_goes_on_with_what_was_asked_for_then()
    {
        await Grown(1);
        await Assert.ThrowsAsync<IOException>(() => Replay(new LogSelection(), "all", progress: (what, _) => throw new IOException($"killed at {what}")));
        // What is appended meanwhile is not what was asked for.
        var last = await live.Scalar<long>("select max(seq_id) from events.mt_events");
        await Grown(2);
        var refused = await Assert.ThrowsAsync<ReplayRefused>(() => Replay(new LogSelection(), "something else"));
        Assert.Contains("Another replay", refused.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<IOException>(() => Replay(new LogSelection(), "all", progress: (what, _) =>
        {
            if (what == "read models") throw new IOException("killed");
        }));
        var result = await Replay(new LogSelection(), "all");
        Assert.Equal((last, last), (result.To, await target.Scalar<long>("select max(seq_id) from events.mt_events")));
        Assert.Equal(result.Sums, (await Replay(new LogSelection(), "all")).Sums);
    }

    [Fact]
    public async Task The_log_itself_a_database_with_tables_and_a_login_that_sees_one_tenant_are_refused()
    {
        await Refused(new NpgsqlConnectionStringBuilder(live.Server.Superuser) { Database = live.Name }.ConnectionString, "that is to be replayed");
        await Refused(target.OwnerString, "BYPASSRLS");
        await using var others = await TestDatabase.New();
        await Refused(new NpgsqlConnectionStringBuilder(live.Server.Superuser) { Database = others.Name }.ConnectionString, "not empty");
        await target.Run("create table mine (x integer)");
        await Refused(new NpgsqlConnectionStringBuilder(live.Server.Superuser) { Database = target.Name }.ConnectionString, "not empty");

        async Task Refused(string into, string why) => Assert.Contains(
            why, (await Assert.ThrowsAsync<ReplayRefused>(() => Make(into).Run(new LogSelection(), "", (_, _) => { }, default))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_aggregate_that_holds_claims_is_known_to_whoever_makes_them_anew()
    {
        var holders = typeof(IAggregate<>).Assembly.GetTypes()
            .Where(t => t.GetInterfaces().Any(i => i.IsGenericType && i.GetGenericTypeDefinition() == typeof(IAggregate<>)) && t.GetMethod("Claims", [t]) is not null)
            .Select(t => (string)t.GetProperty("Kind")!.GetValue(null)!);
        Assert.Equal(holders.Order(), Consequences.Kinds.Order());
    }

    [Fact]
    public async Task Claims_that_are_missing_wrong_or_nobodys_are_made_anew_from_the_log()
    {
        await new RebuildEqualsLiveTests.History(live, new Signal(), 1).Append();
        const string all = "select t::text from nubabel.claims t";
        var right = await Rows(live, all);
        Assert.NotEqual("", right);
        var none = await Made();
        Assert.Equal((0L, 0L, 0), (none.Released, none.Taken, none.Conflicts.Count));
        Assert.Equal(right, await Rows(live, all));

        await live.Run("""
            with gone as (delete from nubabel.claims where scope = 'email' returning *) select 1;
            update nubabel.claims set stream_id = stream_id || 'x' where scope like 'device-name%';
            insert into nubabel.claims select tenant_id, scope, value || 'z', stream_id from nubabel.claims;
            """);
        var mended = await Made();
        Assert.True(mended is { Released: > 0, Taken: > 0, Conflicts.Count: 0 }, mended.ToString());
        Assert.Equal(right, await Rows(live, all));
    }

    private Task<ClaimRebuildResult> Made() => new ClaimRebuild(live.Database.Daemon, Events.Types, Consequences.All, null).Run(_ => { }, default);

    private async Task<(IReadOnlyList<ReadModelSum> Sums, long Last)> Grown(int seed)
    {
        var signal = new Signal();
        var positions = new Store.Positions(live.Database.Daemon, ReadModels.All);
        await using var daemon = new ProjectionDaemon(live.Database.Daemon, live.DaemonString, ReadModels.All, signal, positions);
        daemon.Start();
        var last = await new RebuildEqualsLiveTests.History(live, signal, seed).Append();
        foreach (var model in ReadModels.All.All)
        {
            var (reached, have) = await positions.Reached(model.Name, last, Bound, default);
            Assert.True(reached, $"{model.Name} stands at {have} and not at {last}.");
        }
        return (await ReadModelSums.Of(live.Database.Daemon, ReadModels.All, null, default), last);
    }

    private Task<ReplayResult> Replay(LogSelection selection, string wish, TestDatabase? into = null, Action<string, TransferProgress>? progress = null) =>
        Make(new NpgsqlConnectionStringBuilder(live.Server.Superuser) { Database = (into ?? target).Name }.ConnectionString).Run(selection, wish, progress ?? ((_, _) => { }), default).WaitAsync(Bound * 2);

    private Replay Make(string into) =>
        new(live.Database.Daemon, into, ReadModels.All, Consequences.All, (owner, ct) => Schema.Migrate(owner, "nubabel_api", "nubabel_daemon", ct));

    private static async Task<string> Rows(TestDatabase database, string sql) => await database.Scalar<string>($"select coalesce(string_agg(r, E'\\n' order by r), '') from ({sql}) x (r)");
}
