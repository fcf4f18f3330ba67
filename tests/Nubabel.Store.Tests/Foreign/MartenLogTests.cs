using Nubabel.Testing;

namespace Nubabel.Store.Tests.Foreign;

/// <summary>What the daemon makes of a log that a stock Marten writes to.</summary>
public sealed class MartenLogTests : IAsyncLifetime
{
    private const string Tenant = TallyLog.Tenant;
    private EngineDatabase database = null!;
    private DaemonNode node = null!;

    public async Task InitializeAsync()
    {
        database = await EngineDatabase.Create();
        node = await DaemonNode.Started(database, projections: Tallies.Projections().Documents<UnknownAliases, UnknownAlias>(platform: true));
    }

    public async Task DisposeAsync()
    {
        await node.DisposeAsync();
        await database.DisposeAsync();
    }

    [Fact]
    public async Task What_marten_writes_is_carried_like_our_own()
    {
        var stream = TallyLog.NewStream();
        await MartenWriter.Start(database.Daemon, Tenant, stream, "tally_board",
            new MartenEvent("tally_opened", """{"name": "sheep"}"""), new MartenEvent("tally_raised", """{"by": 2}""", """{"$v": 2, "tenant": [1, {"x": null}], "user": 7}""", "request 1"));
        await node.Log.Append(stream, new TallyRaised(1));
        await MartenWriter.Append(database.Daemon, Tenant, stream, new MartenEvent("tally_renamed", """{"name": "goats", "colour": "brown"}""", UserName: "somebody"));
        var last = await MartenWriter.AppendAt(database.Daemon, Tenant, stream, 4, new MartenEvent("tally_raised", """{"amount": 4}"""));

        await node.Reach(last);

        Assert.Equal($$"""({{Tenant}},{{stream}},5,{{last}},"{""sum"": 7, ""name"": ""goats""}",goats,7)""", await node.Table("tallies"));
        Assert.Equal(8L, await database.Scalar<long>("select count(*) from read.tally_trail_v2"));
        Assert.Equal((ProjectionState.Running, 0L), (await node.Status("tallies")) switch { var s => (s.State, s.ParkedKeys) });
    }

    [Fact]
    public async Task A_stream_that_marten_begins_without_a_type_is_carried()
    {
        var stream = TallyLog.NewStream();
        var last = await MartenWriter.Append(database.Daemon, Tenant, stream, new MartenEvent("tally_opened", """{"name": "sheep"}"""));
        await node.Reach(last);

        Assert.Null(await database.Scalar<string>($"select type from events.mt_streams where id = '{stream}'"));
        Assert.Contains(",sheep,0)", await node.Table("tallies"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Unknown_aliases_are_counted_and_every_process_shows_them()
    {
        await MartenWriter.Append(database.Daemon, Tenant, "invoice-1", new MartenEvent("invoice_sent", "[1, 2]"), new MartenEvent("invoice_paid", "\"in cash\""));
        var first = await MartenWriter.Append(database.Daemon, "another", "invoice-1", new MartenEvent("invoice_sent"));
        var last = await MartenWriter.Append(database.Daemon, Projection.PlatformTenant, "archive-9", new MartenEvent("archived", """{"reason": "old"}"""));
        await node.Log.Append(TallyLog.NewStream(), new TallyOpened("known"));
        await node.Reach(last);

        await using var other = DaemonNode.On(database, "another process", projections: node.Projections);
        foreach (var status in new[] { await node.Daemon.Status(default), await other.Daemon.Status(default) })
        {
            Assert.Equal((4L, 3L), (status.Unknown!.Events, status.Unknown.Aliases));
            Assert.Equal(["archived", "invoice_sent", "invoice_paid"], status.Unknown.Latest.Select(a => a.Alias));
            var sent = status.Unknown.Latest[1];
            Assert.Equal((2L, 1L, first), (sent.Events, sent.First, sent.Last));
        }
    }

    [Fact]
    public async Task However_many_aliases_there_are_a_status_shows_a_bounded_number()
    {
        var last = await MartenWriter.Append(database.Daemon, Tenant, "noise-1", [.. Enumerable.Range(0, 30).Select(i => new MartenEvent($"noise_{i}"))]);
        await node.Reach(last);

        var unknown = (await node.Daemon.Status(default)).Unknown!;
        Assert.Equal((30L, 30L, UnknownAliases.Shown), (unknown.Events, unknown.Aliases, unknown.Latest.Count));
        Assert.Equal("noise_29", unknown.Latest[0].Alias);
    }

    [Fact]
    public async Task What_does_not_fit_a_known_alias_is_poison_and_not_unknown()
    {
        var (sick, well) = (TallyLog.NewStream(), TallyLog.NewStream());
        await MartenWriter.Append(database.Daemon, Tenant, sick, new MartenEvent("tally_opened", """{"name": "sick"}"""));
        await MartenWriter.Append(database.Daemon, Tenant, sick, new MartenEvent("tally_raised", """{"by": "a lot"}""", """{"$v": 2}"""));
        await MartenWriter.Append(database.Daemon, Tenant, well, new MartenEvent("tally_opened", """{"name": "well"}""", """{"$v": "one"}"""));
        var last = await MartenWriter.Append(database.Daemon, Tenant, TallyLog.NewStream(), new MartenEvent("tally_opened", """{"name": "fine"}"""));
        await node.Reach(last, "tallies", "unknown_aliases");

        Assert.Equal($"{sick} {well}", await database.Scalar<string>("select string_agg(key, ' ' order by seq_id) from nubabel.parked where name = 'tallies'"));
        Assert.Contains(",fine,0)", await node.Table("tallies"), StringComparison.Ordinal);
        Assert.Equal((0L, 0L), (await node.Daemon.Status(default)).Unknown switch { var u => (u!.Events, (await node.Status("unknown_aliases")).ParkedKeys) });
    }

    /// <summary>A number that was drawn in a transaction that failed is dead; what Marten writes under it later is behind the mark.</summary>
    [Fact]
    public async Task A_tombstone_is_shown_to_nobody_live_or_rebuilt()
    {
        long behind;
        await using (var failing = await LogWriter.Begin(database))
        {
            behind = await failing.Draw();
            await failing.RollBack();
        }
        await node.Reach(await node.Log.Append(TallyLog.NewStream(), new TallyOpened("sheep")));
        await MartenWriter.Tombstone(database.Daemon, Tenant, behind);
        await MartenWriter.Tombstone(database.Daemon, Tenant, await database.Scalar<long>("select nextval('events.mt_events_sequence')"));
        await node.Reach(await node.Log.Append(TallyLog.NewStream(), new TallyOpened("goats")));

        var live = (await node.Table("tally_trail"), await node.Table("unknown_aliases"));
        Assert.DoesNotContain("tombstone", live.Item1 + live.Item2, StringComparison.Ordinal);
        await node.Daemon.Stop();
        foreach (var name in new[] { "tally_trail", "unknown_aliases" })
            await Rebuild.Run(database.Daemon, database.DaemonConnectionString, node.Projections, name, _ => { }, default);
        Assert.Equal(live, (await node.Table("tally_trail"), await node.Table("unknown_aliases")));
    }

    [Fact]
    public async Task An_archived_stream_keeps_its_rows_live_and_rebuilt()
    {
        var stream = TallyLog.NewStream();
        await MartenWriter.Append(database.Daemon, Tenant, stream, new MartenEvent("tally_opened", """{"name": "old"}"""), new MartenEvent("strange"));
        await node.Reach(await node.Log.Append(TallyLog.NewStream(), new TallyOpened("new")));
        await MartenWriter.Archive(database.Daemon, Tenant, stream);
        await node.Reach(await node.Log.Append(TallyLog.NewStream(), new TallyOpened("newer")));

        foreach (var name in node.Projections.All.Select(p => p.Name).ToArray())
        {
            var live = await node.Table(name);
            await using var anew = DaemonNode.On(database, projections: node.Projections);
            await node.Daemon.Stop();
            await Rebuild.Run(database.Daemon, database.DaemonConnectionString, node.Projections, name, _ => { }, default);
            Assert.Equal(live, await anew.Table(name));
        }
        Assert.Contains(",old,0)", await node.Table("tallies"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("0001-01-01T00:00:00Z")]
    [InlineData("9999-12-31T23:59:59.9999999Z")]
    [InlineData("2999-01-01T00:00:00Z")]
    public async Task A_time_far_off_stops_nothing(string at)
    {
        var stream = TallyLog.NewStream();
        var last = await MartenWriter.Append(database.Daemon, Tenant, stream,
            new MartenEvent("tally_opened", """{"name": "sheep"}""", At: DateTimeOffset.Parse(at, System.Globalization.CultureInfo.InvariantCulture)), new MartenEvent("strange"));
        await node.Reach(last);

        Assert.Contains(",sheep,0)", await node.Table("tallies"), StringComparison.Ordinal);
        Assert.All((await node.Daemon.Status(default)).Projections, p => Assert.Equal((ProjectionState.Running, 0d), (p.State, p.LagSeconds)));
    }

    /// <summary>The layout lets a row be without tenant or stream, and PostgreSQL's times reach further than those of .NET.</summary>
    [Fact]
    public async Task A_row_that_no_program_of_ours_writes_stops_nothing()
    {
        await database.Execute("""
            insert into events.mt_events (seq_id, id, version, data, type, tenant_id, timestamp) values
              (nextval('events.mt_events_sequence'), gen_random_uuid(), 1, '{"name": "nobody"}', 'tally_opened', null, '4000-01-01 BC'),
              (nextval('events.mt_events_sequence'), gen_random_uuid(), 1, '7', 'strange', null, '200000-01-01')
            """);
        await node.Reach(await node.Log.Append(TallyLog.NewStream(), new TallyOpened("sheep")));

        Assert.Contains(",sheep,0)", await node.Table("tallies"), StringComparison.Ordinal);
        Assert.Equal(1L, (await node.Daemon.Status(default)).Unknown!.Events);
    }

    /// <summary>A stock Marten makes functions in the schema of its events, and its own tables where its documents are.</summary>
    [Fact]
    public async Task What_marten_makes_for_itself_is_left_alone_and_given_to_nobody()
    {
        await EngineDatabase.AsSuperuser("""
            create schema marten;
            create table marten.mt_doc_deadletterevent (id uuid primary key, data jsonb not null, mt_last_modified timestamptz default transaction_timestamp(), tenant_id varchar default '*DEFAULT*');
            create table events.mt_doc_deadletterevent (like marten.mt_doc_deadletterevent including all);
            create function events.mt_quick_append_events(stream varchar, tenantid varchar) returns bigint[] language plpgsql as 'begin return null; end';
            create function events.mt_archive_stream(streamid varchar, tenantid varchar) returns void language plpgsql as $$ begin update events.mt_events set is_archived = true; end $$;
            """, database.Name);
        await Migrations.Apply(database.Owner, default);
        await Migrations.Grant(database.Owner, EngineDatabase.ApiLogin, EngineDatabase.DaemonLogin, default);
        await ReadTables.Ensure(database.Owner, node.Projections, EngineDatabase.ApiLogin, EngineDatabase.DaemonLogin);

        Assert.False(await database.Scalar<bool>($"select has_table_privilege('{EngineDatabase.ApiLogin}', 'events.mt_doc_deadletterevent', 'select')"));
        Assert.False(await database.Scalar<bool>($"select has_schema_privilege('{EngineDatabase.ApiLogin}', 'marten', 'usage')"));
        await node.Reach(await MartenWriter.Append(database.Daemon, Tenant, TallyLog.NewStream(), new MartenEvent("tally_opened", """{"name": "sheep"}""")));
    }
}
