namespace Nubabel.Store.Tests.Transfer;

public sealed class ImportTests : IAsyncLifetime
{
    private EngineDatabase source = null!, target = null!;
    private TallyLog log = null!;

    public async Task InitializeAsync()
    {
        (source, target) = (await EngineDatabase.Create(), await EngineDatabase.Create());
        log = new TallyLog(source.Daemon);
    }

    public async Task DisposeAsync()
    {
        await source.DisposeAsync();
        await target.DisposeAsync();
    }

    [Fact]
    public async Task What_is_imported_is_what_was_exported_in_its_order_and_with_its_claims()
    {
        await History(60);
        var file = await source.Export();
        var result = await target.Import(file);
        Assert.Equal((await Transfers.Check(file)).End.Events, result.Written);
        await IsTheSame();
        Assert.Equal(await Names(), await Claims());
        Assert.False(string.IsNullOrEmpty(await Claims()));
    }

    [Fact]
    public async Task Two_streams_of_a_file_that_hold_one_value_are_refused_by_line_wherever_they_stand()
    {
        var file = Transfers.File(
            Transfers.Line(1, "tally-a", 1, "tally_opened", """{"name":"same"}"""), Transfers.Line(2, "tally-b", 1, "tally_opened", """{"name":"other"}"""),
            Transfers.Line(3, "tally-c", 1, "tally_opened", """{"name":"same"}"""));
        var refused = await Assert.ThrowsAsync<ImportRefused>(() => target.Import(file));
        Assert.StartsWith("Line 4: the stream tally-c", refused.Message, StringComparison.Ordinal);
        Assert.Contains("tally-a holds", refused.Message, StringComparison.Ordinal);
        Assert.Equal(0L, await target.Scalar<long>("select count(*) from events.mt_events"));
    }

    [Fact]
    public async Task A_second_import_of_the_same_file_writes_nothing()
    {
        await History(20);
        var file = await source.Export();
        var first = await target.Import(file);
        var second = await target.Import(file);
        Assert.Equal((0L, first.Written), (second.Written, second.PassedOver));
        await IsTheSame();
    }

    [Fact]
    public async Task A_later_export_adds_what_is_new()
    {
        await History(20);
        await target.Import(await source.Export());
        var stream = TallyLog.NewStream();
        await log.Append(stream, new TallyOpened("later"));
        await log.Append(stream, new TallyRenamed("latest"));
        var from = await source.Scalar<long>("select max(seq_id) from events.mt_events");
        Assert.Equal(2, (await target.Import(await source.Export())).Written);
        await log.Append(stream, new TallyRaised(5));
        // A file that begins in the middle of a stream goes on where the stream here ends.
        Assert.Equal(1, (await target.Import(await source.Export(new LogSelection(From: from + 1)))).Written);
        await IsTheSame();
    }

    [Fact]
    public async Task A_value_that_one_stream_gives_up_and_another_takes_in_the_same_chunk_changes_hands()
    {
        var (first, second) = (TallyLog.NewStream(), TallyLog.NewStream());
        await log.Append(first, new TallyOpened("name"));
        await target.Import(await source.Export());
        await log.Append(first, new TallyClosed());
        await log.Append(second, new TallyOpened("name"));
        await target.Import(await source.Export());
        Assert.Equal($"name {second}", await Claims());
    }

    [Fact]
    public async Task Cut_off_between_two_chunks_or_within_one_it_goes_on_when_it_is_run_again()
    {
        await History(250);
        var file = await source.Export();
        await Assert.ThrowsAsync<IOException>(() => target.Import(file, progress: _ => throw new IOException("killed behind the first chunk")));
        var committed = await target.Scalar<long>("select count(*) from events.mt_events");
        Assert.InRange(committed, 1, 600);
        using (var killed = new CancellationTokenSource())
        {
            var chunks = 0;
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => target.Import(file, progress: _ =>
            {
                if (++chunks == 2) killed.Cancel();
            }, ct: killed.Token));
        }
        var result = await target.Import(file);
        Assert.True(result.PassedOver >= committed);
        await IsTheSame();
        Assert.Equal(await Names(), await Claims());
    }

    [Fact]
    public async Task A_stream_that_has_gone_its_own_way_here_is_refused_by_line_and_name()
    {
        var stream = TallyLog.NewStream();
        await log.Append(stream, new TallyOpened("a"));
        var file = await source.Export();
        await target.Import(file);
        await log.Append(stream, new TallyRaised(1));
        await new TallyLog(target.Daemon).Append(stream, new TallyRaised(2));
        var refused = await Assert.ThrowsAsync<ImportRefused>(async () => await target.Import(await source.Export()));
        Assert.StartsWith($"Line 3: the stream {stream}", refused.Message, StringComparison.Ordinal);
        Assert.Equal(2L, await target.Scalar<long>("select count(*) from events.mt_events"));
    }

    [Fact]
    public async Task A_value_that_another_stream_holds_here_is_refused_and_its_event_is_not_written()
    {
        await log.Append(TallyLog.NewStream(), new TallyOpened("mine"));
        await target.Execute($"insert into nubabel.claims values ('{TallyLog.Tenant}', 'name', 'mine', 'tally-of-another')");
        var refused = await Assert.ThrowsAsync<ImportRefused>(async () => await target.Import(await source.Export()));
        Assert.Contains("tally-of-another", refused.Message, StringComparison.Ordinal);
        Assert.Equal(0L, await target.Scalar<long>("select count(*) from events.mt_events"));
    }

    [Fact]
    public async Task What_is_missing_between_a_stream_and_the_file_is_refused()
    {
        var file = Transfers.File(Transfers.Line(1, "tally-x", 3));
        Assert.Contains("ends at version 0 here", (await Assert.ThrowsAsync<ImportRefused>(() => target.Import(file))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Unknown_aliases_go_in_as_they_are()
    {
        await log.AppendRaw(TallyLog.NewStream(), "marten_made_this", """{"z":1,"a":[null,1e2]}""");
        await target.Import(await source.Export());
        await IsTheSame();
    }

    [Fact]
    public async Task An_event_that_postgresql_refuses_is_named_and_those_before_it_stay()
    {
        var id = Guid.CreateVersion7();
        var lines = Enumerable.Range(1, 20).Select(i => Transfers.Line(i, $"tally-{i}", 1, "foreign", i == 13 ? """{"n":1e999999}""" : "{}", id: i == 13 ? id : null));
        var refused = await Assert.ThrowsAsync<ImportRefused>(() => target.Import(Transfers.File([.. lines])));
        Assert.StartsWith($"Line 14: PostgreSQL refuses the event {id}", refused.Message, StringComparison.Ordinal);
        Assert.Equal(12L, await target.Scalar<long>("select count(*) from events.mt_events"));
    }

    [Fact]
    public async Task While_others_append_to_the_same_tenant_nothing_is_lost_and_both_have_their_events()
    {
        await History(200);
        var file = await source.Export();
        var own = new TallyLog(target.Daemon);
        using var over = new CancellationTokenSource();
        var appending = Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            var count = 0;
            for (; !over.IsCancellationRequested || count < 5; count++) await own.Append(TallyLog.NewStream(), new TallyRaised(1), new TallyRaised(2));
            return count;
        })));
        var read = new List<long>();
        var mark = new HighWater(target.Daemon);
        var importing = Task.Run(() => target.Import(file));
        var from = 0L;
        while (!importing.IsCompleted) from = await Follow(mark, from, read);
        var result = await importing;
        await over.CancelAsync();
        var appended = (await appending).Sum() * 2;
        await Follow(mark, from, read);
        Assert.Equal((await Transfers.Check(file)).End.Events, result.Written);
        // Whoever reads in order by the mark reads each exactly once.
        Assert.Equal(result.Written + appended, read.Count);
        Assert.Equal(read.Distinct().Order(), read);
    }

    [Fact]
    public async Task Two_imports_of_the_same_file_at_once_write_it_once()
    {
        await History(100);
        var file = await source.Export();
        var results = await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => Task.Run(() => target.Import(file))));
        Assert.Equal((await Transfers.Check(file)).End.Events, results.Sum(r => r.Written));
        Assert.Equal(await source.Scalar<string>(Transfers.Streams), await target.Scalar<string>(Transfers.Streams));
        Assert.Equal(await Names(), await Claims());
    }

    [Fact]
    public async Task Positions_are_kept_in_an_empty_log_and_the_next_number_lies_behind_them()
    {
        await History(30);
        var file = await source.Export();
        await Assert.ThrowsAsync<IOException>(() => target.Import(file, new ImportWish(KeepPositions: true), _ => throw new IOException("killed")));
        await target.Import(file, new ImportWish(KeepPositions: true));
        await EventImport.SetSequence(target.Owner, (await Transfers.Check(file)).Last, default);
        const string positions = "select string_agg(seq_id || ' ' || id, ',' order by seq_id) from events.mt_events";
        Assert.Equal(await source.Scalar<string>(positions), await target.Scalar<string>(positions));
        var last = await source.Scalar<long>("select max(seq_id) from events.mt_events");
        Assert.Equal(last + 1, await new TallyLog(target.Daemon).Append(TallyLog.NewStream(), new TallyRaised(1)));
        Assert.Equal(last + 1, await new HighWater(target.Daemon).Advance(default));
    }

    [Fact]
    public async Task Positions_are_not_kept_in_a_log_that_has_others()
    {
        await History(5);
        await new TallyLog(target.Daemon).Append(TallyLog.NewStream(), new TallyRaised(1));
        var refused = await Assert.ThrowsAsync<ImportRefused>(async () => await target.Import(await source.Export(), new ImportWish(KeepPositions: true)));
        Assert.Contains("empty log", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Only_one_tenant_of_a_file_is_taken()
    {
        var other = Tally.Tenant();
        await log.Append(TallyLog.NewStream(), new TallyOpened("a"));
        await log.AppendAs(other, TallyLog.NewStream(), new TallyOpened("b"));
        Assert.Equal(1, (await target.Import(await source.Export(), new ImportWish(other))).Written);
        Assert.Equal(other, await target.Scalar<string>("select tenant_id from events.mt_events"));
    }

    [Fact]
    public async Task Chunks_grow_while_they_are_quick()
    {
        await source.Execute($$"""
            insert into events.mt_streams (tenant_id, id, type, version) select '{{TallyLog.Tenant}}', 'other-' || i, 'other', 1 from generate_series(1, 6000) i;
            insert into events.mt_events (seq_id, id, stream_id, version, data, type, tenant_id) select i, gen_random_uuid(), 'other-' || i, 1, '{}', 'foreign', '{{TallyLog.Tenant}}' from generate_series(1, 6000) i;
            """);
        var told = new List<long>();
        await target.Import(await source.Export(), progress: p => told.Add(p.Done));
        Assert.Equal(6000, told[^1]);
        Assert.True(told.Count is > 2 and < 25, $"{told.Count} chunks");
    }

    /// <summary>Streams that take over each other's names, close, and are written to by others, with gaps.</summary>
    private async Task History(int streams)
    {
        for (var i = 0; i < streams; i++)
        {
            var stream = TallyLog.NewStream();
            await log.Append(stream, new TallyOpened($"t{i}"), new TallyRaised(i + 1));
            if (i % 3 == 0) await log.Append(stream, new TallyRenamed($"r{i}"));
            if (i % 3 == 1) await log.Append(stream, new TallyClosed());
            // The name that was given up is another's at once.
            if (i % 3 != 2) await log.Append(TallyLog.NewStream(), new TallyOpened($"t{i}"));
            if (i % 20 != 7) continue;
            await using var gone = await LogWriter.Begin(source);
            await gone.Append();
            await gone.RollBack();
        }
    }

    private async Task IsTheSame()
    {
        Assert.Equal(await source.Scalar<string>(Transfers.Everything), await target.Scalar<string>(Transfers.Everything));
        Assert.Equal(await source.Scalar<string>(Transfers.Streams), await target.Scalar<string>(Transfers.Streams));
    }

    /// <summary>The names that the source's streams hold by their events: last name given, where not closed.</summary>
    private Task<string?> Names() => source.Scalar<string>("""
        select string_agg(name || ' ' || stream_id, ',' order by name) from (
          select distinct on (stream_id) stream_id, type, data->>'name' as name from events.mt_events where type in ('tally_opened', 'tally_renamed', 'tally_closed') order by stream_id, version desc) x
         where type <> 'tally_closed'
        """);

    private Task<string?> Claims() => target.Scalar<string>("select string_agg(value || ' ' || stream_id, ',' order by value) from nubabel.claims");

    private async Task<long> Follow(HighWater mark, long from, List<long> read)
    {
        var safe = await mark.Advance(default);
        await using var command = target.Daemon.CreateCommand($"select seq_id from events.mt_events where seq_id > {from} and seq_id <= {safe} order by seq_id");
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync()) read.Add(reader.GetInt64(0));
        return safe;
    }
}
