namespace Nubabel.Store.Tests;

/// <summary>What the daemon makes of a log: documents, rows, what is foreign, what is poison.</summary>
public sealed class ProjectionDaemonTests : IAsyncLifetime
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
    public async Task Documents_follow_the_log_with_their_columns_version_and_position()
    {
        var stream = TallyLog.NewStream();
        await node.Log.Append(stream, new TallyOpened("sheep"), new TallyRaised(2));
        var last = await node.Log.Append(stream, new TallyRaised(3));

        await node.Reach(last);

        Assert.Equal($$"""({{TallyLog.Tenant}},{{stream}},3,{{last}},"{""sum"": 5, ""name"": ""sheep""}",sheep,5)""", await node.Table("tallies"));
    }

    [Fact]
    public async Task A_document_whose_fold_is_nothing_is_deleted_and_may_come_again()
    {
        var stream = TallyLog.NewStream();
        await node.Reach(await node.Log.Append(stream, new TallyOpened("sheep")));
        await node.Reach(await node.Log.Append(stream, new TallyClosed()));
        Assert.Equal("", await node.Table("tallies"));

        await node.Reach(await node.Log.Append(stream, new TallyOpened("goats")));
        Assert.Contains("goats", await node.Table("tallies"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Each_event_makes_its_rows_in_order()
    {
        var stream = TallyLog.NewStream();
        var first = await node.Log.Append(stream, new TallyOpened("sheep"));
        var second = await node.Log.Append(stream, new TallyRaised(2));
        await node.Reach(second);

        Assert.Equal($"{first}.0 {second}.0 {second}.1",
            await database.Scalar<string>("select string_agg(position || '.' || ordinal, ' ' order by position, ordinal) from read.tally_trail_v2"));
    }

    [Fact]
    public async Task A_platform_projection_folds_over_all_tenants_into_the_platform_tenant()
    {
        await node.Log.AppendAs("tenant-a", TallyLog.NewStream(), new TallyRaised(1));
        await node.Reach(await node.Log.AppendAs("tenant-b", TallyLog.NewStream(), new TallyRaised(2)), "tally_totals");

        Assert.Contains("(*DEFAULT*,all,", await node.Table("tally_totals"), StringComparison.Ordinal);
        Assert.Contains("""{""sum"": 3, ""events"": 2}""", await node.Table("tally_totals"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_foreign_alias_passes_documents_and_reaches_rows_that_want_everything()
    {
        var stream = TallyLog.NewStream();
        var last = await node.Log.AppendRaw(stream, "marten_made_this", """{"anything": 1}""");
        await node.Reach(last);

        Assert.Equal("", await node.Table("tallies"));
        Assert.Contains("marten_made_this", await node.Table("tally_trail"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_older_shape_is_read_as_todays_type()
    {
        var stream = TallyLog.NewStream();
        await node.Log.Append(stream, new TallyOpened("sheep"));
        await node.Reach(await node.Log.AppendRaw(stream, "tally_raised", """{"amount": 4}"""));

        Assert.Contains(",sheep,4)", await node.Table("tallies"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_poison_event_parks_its_key_with_all_that_follows_and_no_other_key()
    {
        var (sick, well) = (TallyLog.NewStream(), TallyLog.NewStream());
        await node.Log.Append(sick, new TallyOpened("sick"), new TallyRaised(1), new TallyRaised(13), new TallyRaised(1));
        await node.Log.Append(well, new TallyOpened("well"), new TallyRaised(1));
        await node.Reach(await node.Log.Append(well, new TallyRaised(1)));
        await node.Reach(await node.Log.Append(sick, new TallyRaised(1)));

        var table = await node.Table("tallies");
        Assert.Contains(",well,2)", table, StringComparison.Ordinal);
        Assert.Contains(",sick,1)", table, StringComparison.Ordinal);
        Assert.Equal("3 4 8", await database.Scalar<string>("select string_agg(seq_id::text, ' ' order by seq_id) from nubabel.parked where name = 'tallies' and version = 1"));
        Assert.Contains("thirteen", await database.Scalar<string>("select error from nubabel.parked where seq_id = 3"), StringComparison.Ordinal);
        Assert.Equal((ProjectionState.Parked, 1), (await node.Status("tallies")) switch { var s => (s.State, (int)s.ParkedKeys) });
    }

    [Fact]
    public async Task An_event_that_cannot_be_read_parks_its_key_and_stops_the_rows()
    {
        var stream = TallyLog.NewStream();
        await node.Log.Append(stream, new TallyOpened("sheep"));
        var last = await node.Log.AppendRaw(stream, "tally_renamed", """{"title": "no such member"}""");
        await node.Reach(last, "tallies", "tally_totals");

        Assert.Equal(1, (await node.Status("tallies")).ParkedKeys);
        var stopped = await node.Until("tally_trail", s => s.State == ProjectionState.Stopped);
        Assert.Equal(last - 1, stopped.Position);
    }

    [Fact]
    public async Task A_value_that_the_database_refuses_parks_its_key_and_no_other()
    {
        var (sick, well) = (TallyLog.NewStream(), TallyLog.NewStream());
        await node.Log.Append(well, new TallyOpened("well"));
        // Too long for the declared index, which only PostgreSQL knows; random, so that it cannot be compressed away.
        var tooLong = Convert.ToHexString(System.Security.Cryptography.RandomNumberGenerator.GetBytes(10_000));
        await node.Log.Append(sick, new TallyOpened(tooLong));
        await node.Reach(await node.Log.Append(well, new TallyRaised(5)));

        Assert.Contains(",well,5)", await node.Table("tallies"), StringComparison.Ordinal);
        Assert.StartsWith("54000", await database.Scalar<string>("select error from nubabel.parked"), StringComparison.Ordinal);
        Assert.Equal(1, (await node.Status("tallies")).ParkedKeys);
    }

    [Fact]
    public async Task A_row_projection_stops_before_its_poison_and_says_so_while_the_others_go_on()
    {
        var stream = TallyLog.NewStream();
        var good = await node.Log.Append(stream, new TallyOpened("sheep"));
        var poison = await node.Log.Append(stream, new TallyRenamed("stop"));
        await node.Reach(await node.Log.Append(stream, new TallyRaised(1)), "tallies");

        var stopped = await node.Until("tally_trail", s => s.State == ProjectionState.Stopped);
        Assert.Equal(good, stopped.Position);
        Assert.Contains($"event {poison}", stopped.LastError, StringComparison.Ordinal);
        Assert.Equal(1L, await database.Scalar<long>("select count(*) from read.tally_trail_v2"));
    }

    [Fact]
    public async Task A_stopped_projection_is_seen_by_every_process_and_begins_anew_with_the_next_owner()
    {
        var stream = TallyLog.NewStream();
        await node.Log.Append(stream, new TallyOpened("sheep"));
        var poison = await node.Log.Append(stream, new TallyRenamed("stop"));
        var stopped = await node.Until("tally_trail", s => s.State == ProjectionState.Stopped);
        var elsewhere = (await DaemonStatus.Read(database.Daemon, node.Projections, default)).Projections.Single(p => p.Name == "tally_trail");
        Assert.Equal((ProjectionState.Stopped, stopped.LastError), (elsewhere.State, elsewhere.LastError));

        await node.DisposeAsync();
        await database.Execute($"update events.mt_events set data = jsonb_set(data, '{{name}}', '\"go\"') where seq_id = {poison}");
        node = await DaemonNode.Started(database);

        await node.Reach(poison);
        Assert.Equal((ProjectionState.Running, null), (await node.Status("tally_trail")) switch { var s => (s.State, s.LastError) });
    }

    [Fact]
    public async Task A_projection_far_behind_catches_up_beside_the_others()
    {
        await database.Execute("""
            insert into events.mt_streams (tenant_id, id, type, version) select 't', 'tally-' || i, 'tally', 6 from generate_series(1, 2000) i;
            insert into events.mt_events (seq_id, id, tenant_id, stream_id, version, type, data)
            select nextval('events.mt_events_sequence'), gen_random_uuid(), 't', 'tally-' || i, v, case when v = 1 then 'tally_opened' else 'tally_raised' end,
              case when v = 1 then '{"name": "n"}'::jsonb else '{"amount": 1}'::jsonb end from generate_series(1, 2000) i, generate_series(1, 6) v order by v, i;
            """);
        await node.Reach(12_000);
        var before = await node.Table("tallies");

        // As a new version begins: at nothing, while the others stand at the end.
        await database.Execute("update events.mt_event_progression set last_seq_id = 0 where name = 'tallies:All'; delete from read.tallies_v1");
        var last = await node.Log.AppendAs("t", "tally-1", new TallyRaised(7));
        await node.Reach(last, "tally_totals", "tally_trail");
        await node.Until("tallies", s => s.Position >= last);

        Assert.Equal(2000L, await database.Scalar<long>("select count(*) from read.tallies_v1"));
        Assert.Equal(10_007L, await database.Scalar<long>("select sum(sum) from read.tallies_v1"));
        Assert.NotEqual(before, await node.Table("tallies"));
    }

    [Fact]
    public async Task Projections_wait_for_a_gap_and_go_on_when_it_is_filled()
    {
        await using var owner = await LogWriter.Begin(database, "a slow writer");
        var below = await owner.Append();
        var last = await node.Log.Append(TallyLog.NewStream(), new TallyOpened("sheep"));

        var (reached, have) = await node.Positions.Reached("tallies", last, TimeSpan.FromMilliseconds(400), default);
        Assert.Equal((false, true), (reached, have < below));
        await TestWait.Until("the status names who is waited for", async () => (await node.Daemon.Status(default)).Waiting is { Holders: [{ ApplicationName: "a slow writer" }] });

        await owner.Commit();
        await node.Reach(last);
    }
}
