namespace Nubabel.Store.Tests;

/// <summary>What operators do about poison: retry and skip, for documents and for rows, and that a rebuild comes to the same.</summary>
public sealed class ParkTests : IAsyncLifetime
{
    private EngineDatabase database = null!;
    private DaemonNode node = null!;
    private OrderBook orders = null!;

    public async Task InitializeAsync()
    {
        database = await EngineDatabase.Create();
        node = await DaemonNode.Started(database);
        orders = new OrderBook(database.Daemon, node.Projections);
    }

    public async Task DisposeAsync()
    {
        await node.DisposeAsync();
        await database.DisposeAsync();
    }

    [Fact]
    public async Task A_retry_folds_a_parked_key_from_its_document_and_frees_it()
    {
        var stream = TallyLog.NewStream();
        await node.Log.Append(stream, new TallyOpened("sheep"), new TallyRaised(1));
        var poison = await node.Log.Append(stream, new TallyRaised(13));
        await node.Reach(await node.Log.Append(stream, new TallyRaised(2), new TallyRenamed("goats")));
        await Cure(poison, "by", "10");

        await Retry("tallies", stream);

        Assert.Contains(",goats,13)", await node.Table("tallies"), StringComparison.Ordinal);
        Assert.Null(await Parked());
        await node.Reach(await node.Log.Append(stream, new TallyRaised(4)));
        Assert.Contains(",goats,17)", await node.Table("tallies"), StringComparison.Ordinal);
        Assert.Equal(ProjectionState.Running, (await node.Status("tallies")).State);
    }

    [Fact]
    public async Task A_retry_that_fails_again_leaves_the_key_parked_with_the_new_error_and_counts_it()
    {
        var stream = TallyLog.NewStream();
        await node.Log.Append(stream, new TallyOpened("sheep"));
        var first = await node.Log.Append(stream, new TallyRaised(13));
        var second = await node.Log.Append(stream, new TallyRaised(13), new TallyRaised(1)) - 1;
        await node.Reach(second + 1);

        await Retry("tallies", stream);
        Assert.Equal($"{first} 2 InvalidOperationException: thirteen;{second} 1 waits behind a parked event;{second + 1} 1 waits behind a parked event", await Parked());

        // The first is cured, and what waited behind it is poison too: that is its first failure.
        await Cure(first, "by", "5");
        await Retry("tallies", stream);
        Assert.Equal($"{second} 1 InvalidOperationException: thirteen;{second + 1} 1 waits behind a parked event", await Parked());
        Assert.Contains(",sheep,5)", await node.Table("tallies"), StringComparison.Ordinal);
        Assert.Equal(1, (await node.Status("tallies")).ParkedKeys);
    }

    [Fact]
    public async Task A_retry_of_all_keys_frees_those_that_are_cured_and_no_other()
    {
        var streams = Enumerable.Range(0, 250).Select(_ => TallyLog.NewStream()).ToArray();
        foreach (var (stream, i) in streams.Select((s, i) => (s, i))) await node.Log.Append(stream, new TallyOpened($"t{i}"), new TallyRaised(13), new TallyRaised(1));
        await node.Reach(await node.Log.Append(TallyLog.NewStream(), new TallyOpened("last")), "tallies");
        Assert.Equal(250, (await node.Status("tallies")).ParkedKeys);
        await database.Execute("update events.mt_events set data = jsonb_set(data, '{by}', '2') where data->>'by' = '13' and seq_id % 2 = 0");

        await node.Log.Order("tallies", "projection_key_retried", """{"version": 1}""");
        await orders.Apply("tallies", default);

        var left = await database.Scalar<long>("select count(*) from events.mt_events where data->>'by' = '13'");
        Assert.InRange(left, 1, 249);
        Assert.Equal(left, (await node.Status("tallies")).ParkedKeys);
        Assert.Equal(2 * left, await database.Scalar<long>("select count(*) from nubabel.parked where name = 'tallies'"));
        Assert.Equal(left, await database.Scalar<long>("select count(*) from nubabel.parked where attempts = 2"));
        Assert.Equal(250 - left, await database.Scalar<long>("select count(*) from read.tallies_v1 where sum = 3"));
    }

    [Fact]
    public async Task A_key_with_more_events_than_one_chunk_takes_is_freed_whole()
    {
        var poison = await node.Log.AppendAs("t", "tally-long", new TallyOpened("long"), new TallyRaised(13));
        await database.Execute("""
            update events.mt_streams set version = 5002 where tenant_id = 't';
            insert into events.mt_events (seq_id, id, tenant_id, stream_id, version, type, data, headers)
            select nextval('events.mt_events_sequence'), gen_random_uuid(), 't', 'tally-long', 2 + v, 'tally_raised', '{"by": 1}', '{"$v": 2}' from generate_series(1, 5000) v order by v
            """);
        await node.Reach(await node.Log.AppendAs("t", "tally-other", new TallyOpened("other")), "tallies");
        Assert.Equal(5_001L, await database.Scalar<long>("select count(*) from nubabel.parked where name = 'tallies'"));
        await Cure(poison, "by", "1");

        await Retry("tallies", "tally-long", tenant: "t");

        Assert.Null(await Parked());
        Assert.Contains(",long,5001)", await node.Table("tallies"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_skipped_event_is_passed_over_and_a_rebuild_comes_to_the_same_rows_and_parked_events()
    {
        var (stream, other) = (TallyLog.NewStream(), TallyLog.NewStream());
        await node.Log.Append(other, new TallyOpened("other"), new TallyRaised(13));
        await node.Log.Append(stream, new TallyOpened("sheep"));
        var poison = await node.Log.Append(stream, new TallyRaised(13));
        await node.Reach(await node.Log.Append(stream, new TallyRaised(2), new TallyRaised(13), new TallyRaised(3)));

        await Skip("tallies", stream, poison);
        Assert.Contains(",sheep,2)", await node.Table("tallies"), StringComparison.Ordinal);
        await Skip("tallies", stream, poison + 2);
        Assert.Contains(",sheep,5)", await node.Table("tallies"), StringComparison.Ordinal);

        await AssertRebuildIsTheSame("tallies");
        Assert.Equal(2, await database.Scalar<long>("select count(*) from nubabel.parked where name = 'tallies'") + 1);
    }

    [Fact]
    public async Task An_event_that_waits_behind_another_one_can_be_skipped_too()
    {
        var stream = TallyLog.NewStream();
        await node.Log.Append(stream, new TallyOpened("sheep"));
        var poison = await node.Log.Append(stream, new TallyRaised(13));
        await node.Reach(await node.Log.Append(stream, new TallyRaised(2), new TallyRaised(3)));

        await Skip("tallies", stream, poison + 1);
        Assert.Equal($"{poison} 2 InvalidOperationException: thirteen;{poison + 2} 1 waits behind a parked event", await Parked());
        await Skip("tallies", stream, poison);

        Assert.Null(await Parked());
        Assert.Contains(",sheep,3)", await node.Table("tallies"), StringComparison.Ordinal);
        await AssertRebuildIsTheSame("tallies");
    }

    [Fact]
    public async Task A_skip_of_another_version_changes_nothing()
    {
        var stream = TallyLog.NewStream();
        var poison = await node.Log.Append(stream, new TallyOpened("sheep"), new TallyRaised(13));
        await node.Reach(poison);
        var before = await Parked();

        await Skip("tallies", stream, poison, version: 2);

        Assert.Equal(before, await Parked());
        Assert.Equal(1L, await database.Scalar<long>("select applied from nubabel.orders_applied where progression = 'tallies:All'"));
    }

    [Fact]
    public async Task Rows_that_stopped_go_on_from_the_event_when_it_is_retried()
    {
        var stream = TallyLog.NewStream();
        await node.Log.Append(stream, new TallyOpened("sheep"));
        var poison = await node.Log.Append(stream, new TallyRenamed("stop"));
        var last = await node.Log.Append(stream, new TallyRaised(1));
        await node.Until("tally_trail", s => s.State == ProjectionState.Stopped);

        // Still poison: it is tried, stops again and says how often.
        await node.Log.Order("tally_trail", "projection_key_retried", """{"version": 2}""");
        await WaitFor("select attempts::bigint from nubabel.parked where key = '*'", 2);
        await Cure(poison, "name", "\"go\"");
        await node.Log.Order("tally_trail", "projection_key_retried", """{"version": 2}""");

        await node.Reach(last, "tally_trail");
        Assert.Equal((ProjectionState.Running, 0L, null), (await node.Status("tally_trail")) switch { var s => (s.State, s.ParkedKeys, s.LastError) });
        Assert.Equal(4L, await database.Scalar<long>("select count(*) from read.tally_trail_v2 where stream like 'tally-%'"));
    }

    [Fact]
    public async Task Rows_pass_over_a_skipped_event_and_a_rebuild_comes_to_the_same_rows()
    {
        var stream = TallyLog.NewStream();
        await node.Log.Append(stream, new TallyOpened("sheep"));
        var poison = await node.Log.Append(stream, new TallyRenamed("stop"));
        var last = await node.Log.Append(stream, new TallyRaised(1));
        await node.Until("tally_trail", s => s.State == ProjectionState.Stopped);

        await node.Reach(await Skip("tally_trail", "*", poison, version: 2), "tally_trail");

        Assert.True((await node.Status("tally_trail")).Position >= last);
        Assert.Equal(0L, await database.Scalar<long>($"select count(*) from read.tally_trail_v2 where position = {poison}"));
        Assert.Equal(ProjectionState.Running, (await node.Status("tally_trail")).State);
        await AssertRebuildIsTheSame("tally_trail");
    }

    [Fact]
    public async Task A_value_that_is_refused_parks_from_its_event_on_and_keeps_what_came_before()
    {
        var stream = TallyLog.NewStream();
        var tooLong = Convert.ToHexString(System.Security.Cryptography.RandomNumberGenerator.GetBytes(10_000));
        var good = await node.Log.Append(stream, new TallyOpened("sheep"), new TallyRaised(5));
        await node.Reach(await node.Log.Append(stream, new TallyRenamed(tooLong), new TallyRaised(1)), "tallies");
        Assert.Contains(",sheep,5)", await node.Table("tallies"), StringComparison.Ordinal);
        Assert.Equal(good + 1, await database.Scalar<long>("select seq_id from nubabel.parked where error like '54000%'"));

        await Retry("tallies", stream);
        Assert.Equal(2L, await database.Scalar<long>("select attempts::bigint from nubabel.parked where error like '54000%'"));
        await Skip("tallies", stream, good + 1);

        Assert.Contains(",sheep,6)", await node.Table("tallies"), StringComparison.Ordinal);
        Assert.Null(await Parked());
        await AssertRebuildIsTheSame("tallies");
    }

    private async Task AssertRebuildIsTheSame(string name)
    {
        var (rows, parked) = (await node.Table(name), await database.Scalar<string>(Keys));
        await Rebuild.Run(database.Daemon, database.DaemonConnectionString, node.Projections, name, _ => { }, default);
        Assert.Equal((rows, parked), (await node.Table(name), await database.Scalar<string>(Keys)));
    }

    private const string Keys = "select string_agg(concat_ws(' ', name, tenant_id, key, seq_id, error), ';' order by name, seq_id) from nubabel.parked where name = 'tallies'";

    private Task<string?> Parked() =>
        database.Scalar<string>("select string_agg(concat_ws(' ', seq_id, attempts, error), ';' order by seq_id) from nubabel.parked where name = 'tallies'");

    private Task Cure(long position, string member, string value) =>
        database.Execute($"update events.mt_events set data = jsonb_set(data, '{{{member}}}', '{value}') where seq_id = {position}");

    private async Task Retry(string projection, string key, string tenant = TallyLog.Tenant)
    {
        await node.Log.Order(projection, "projection_key_retried", $$"""{"version": 1, "tenant": "{{tenant}}", "key": "{{key}}"}""");
        await orders.Apply(projection, default);
    }

    private async Task<long> Skip(string projection, string key, long position, int version = 1)
    {
        var at = await node.Log.Order(projection, "projection_event_skipped",
            $$"""{"version": {{version}}, "tenant": "{{TallyLog.Tenant}}", "key": "{{key}}", "position": {{position}}, "reason": "test"}""");
        await orders.Apply(projection, default);
        return at;
    }

    private async Task WaitFor(string sql, long value)
    {
        var clock = System.Diagnostics.Stopwatch.StartNew();
        while (await database.Scalar<long>(sql) != value)
        {
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(10), $"{sql} is {await database.Scalar<long>(sql)} and not {value}");
            await Task.Delay(20);
        }
    }
}
