using System.Collections.Concurrent;
using System.Text.Json;

namespace Nubabel.Store.Tests.Transfer;

public sealed class ExportTests : IAsyncLifetime
{
    private EngineDatabase database = null!;
    private TallyLog log = null!;

    public async Task InitializeAsync()
    {
        database = await EngineDatabase.Create();
        log = new TallyLog(database.Daemon);
    }

    public async Task DisposeAsync() => await database.DisposeAsync();

    [Fact]
    public async Task A_line_has_every_column_of_its_event_as_it_is_stored()
    {
        var stream = TallyLog.NewStream();
        await log.Append(stream, new TallyOpened("Zoë \"\\ \u2028 😀"));
        await database.Execute("""
            update events.mt_events set data = '{"name":"Zoë \"\\\\ 😀","big":123456789012345678901234567890.10,"s":{"$p":1,"s":"user-1","c":"AAAA"}}', bdata = '\x0001ff', timestamp = '2026-01-31 12:00:00.123456+00',
              mt_dotnet_type = 'A.B, C', correlation_id = 'corr', causation_id = 'cause', headers = '{"reason": "line\nfeed"}', user_name = 'user:1', is_archived = true
            """);
        var lines = (await database.Export()).Split('\n');
        Assert.Equal(4, lines.Length);
        var e = JsonElement.Parse(lines[1]);
        Assert.Equal(
            ["seq_id", "id", "tenant_id", "stream_id", "stream_type", "version", "type", "timestamp", "mt_dotnet_type", "correlation_id", "causation_id", "user_name", "is_archived", "bdata", "headers", "data"],
            e.EnumerateObject().Select(m => m.Name));
        Assert.Equal(
            ("2026-01-31T12:00:00.123456Z", "A.B, C", "corr", "cause", "user:1", "AAH/", "line\nfeed", "123456789012345678901234567890.10", "AAAA"),
            (Text("timestamp"), Text("mt_dotnet_type"), Text("correlation_id"), Text("causation_id"), Text("user_name"), Text("bdata"), e.GetProperty("headers").GetProperty("reason").GetString(),
                e.GetProperty("data").GetProperty("big").GetRawText(), e.GetProperty("data").GetProperty("s").GetProperty("c").GetString()));
        var report = await Transfers.Check(string.Join('\n', lines));
        Assert.Equal((1L, 1L), (report.End.Events, report.Streams));

        // What comes in again is what went out, byte for byte as PostgreSQL keeps it.
        await using var other = await EngineDatabase.Create();
        await other.Import(string.Join('\n', lines), new ImportWish(EraseMissingKeys: true));
        Assert.Equal(await database.Scalar<string>(Transfers.Everything), await other.Scalar<string>(Transfers.Everything));

        string? Text(string name) => e.GetProperty(name).GetString();
    }

    [Fact]
    public async Task Only_a_stretch_or_a_tenant_or_what_is_not_younger_is_taken()
    {
        var other = Tally.Tenant();
        var positions = new List<long>();
        for (var i = 0; i < 6; i++) positions.Add(await log.AppendAs(i % 2 == 0 ? TallyLog.Tenant : other, $"tally-{Guid.CreateVersion7()}", new TallyOpened($"t{i}")));
        await database.Execute($"update events.mt_events set timestamp = '2026-01-01T00:00:00Z'::timestamptz + (seq_id - {positions[0]}) * interval '1 second'");

        Assert.Equal(positions, await Positions(new LogSelection()));
        Assert.Equal(positions[2..5], await Positions(new LogSelection(From: positions[2], To: new Until(Position: positions[4]))));
        Assert.Equal([positions[1], positions[3], positions[5]], await Positions(new LogSelection(other)));
        var at = new DateTimeOffset(2026, 1, 1, 0, 0, 2, TimeSpan.Zero);
        Assert.Equal(positions[..3], await Positions(new LogSelection(To: new Until(At: at))));
        Assert.Equal([], await Positions(new LogSelection(To: new Until(At: at.AddDays(-1)))));
        // A clock that went ahead: the prefix ends before it, although what follows is old enough. For a tenant only its own events count.
        await database.Execute($"update events.mt_events set timestamp = '2027-01-01' where seq_id = {positions[1]}");
        Assert.Equal(positions[..1], await Positions(new LogSelection(To: new Until(At: at.AddHours(1)))));
        Assert.Equal([positions[0], positions[2], positions[4]], await Positions(new LogSelection(TallyLog.Tenant, To: new Until(At: at.AddHours(1)))));
        Assert.Equal([], await Positions(new LogSelection("it's nobody")));
    }

    [Fact]
    public async Task A_small_tenant_is_found_behind_numbers_that_were_never_used()
    {
        await log.Append(TallyLog.NewStream(), new TallyOpened("a"));
        await database.Owner.CreateCommand("select setval('events.mt_events_sequence', 5000000000)").ExecuteNonQueryAsync();
        var last = await log.AppendAs(Tally.Tenant(), TallyLog.NewStream(), new TallyOpened("b"));
        await log.Append(TallyLog.NewStream(), new TallyOpened("c"));
        var tenant = await database.Scalar<string>($"select tenant_id from events.mt_events where seq_id = {last}");
        Assert.Equal([last], await Positions(new LogSelection(tenant)));
    }

    [Fact]
    public async Task Events_of_a_megabyte_go_through_in_pages_that_stay_small()
    {
        var stream = TallyLog.NewStream();
        for (var i = 0; i < 14; i++) await log.AppendRaw(stream, "tally_big", $$"""{"text":"{{new string((char)('a' + i % 26), 1 << 20)}}"}""");
        var last = await log.Append(stream, new TallyRaised(1));
        var pages = new LogPages(database.Daemon, null);
        var (count, largest) = (0, 0);
        for (var after = 0L; after < last;)
        {
            var (page, to) = await pages.Next(after, last, default);
            (after, count, largest) = (to, count + page.Count, Math.Max(largest, page.Count));
        }
        Assert.Equal(15, count);
        Assert.InRange(largest, 1, 9);

        await using var other = await EngineDatabase.Create();
        Assert.Equal(15, (await other.Import(await database.Export())).Written);
        Assert.Equal(await database.Scalar<string>(Transfers.Everything), await other.Scalar<string>(Transfers.Everything));
    }

    /// <summary>PostgreSQL keeps what is nested deeper than programs like to go, and another program may write it.</summary>
    [Fact]
    public async Task What_is_nested_very_deeply_goes_out_and_in_and_an_export_goes_on_behind_it()
    {
        const int Depth = 6_000;
        await log.AppendRaw(TallyLog.NewStream(), "tally_deep", new string('[', Depth) + """{"a":"\u00e9\ud83d\ude00","s":{"$p":1,"s":"deep","c":"AAAA"}}""" + new string(']', Depth));
        var whole = await database.Export();
        Assert.Equal(("deep", 1L), (Assert.Single((await Transfers.Check(whole)).Subjects).Subject, (await Transfers.Check(whole)).End.Events));
        var path = Path.GetTempFileName();
        await System.IO.File.WriteAllTextAsync(path, whole[..(whole.IndexOf("{\"end\"", StringComparison.Ordinal))]);
        await using (var file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite))
        await using (var export = await EventExport.Resume(database.Daemon, file, default))
            Assert.Equal(1, (await export.Run(new LogSelection(), "main", null, false, _ => { }, default)).Resumed);
        Assert.Equal(whole, await System.IO.File.ReadAllTextAsync(path));
        System.IO.File.Delete(path);

        await using var other = await EngineDatabase.Create();
        Assert.Equal(1, (await other.Import(whole, new ImportWish(EraseMissingKeys: true))).Written);
        Assert.Equal(await database.Scalar<string>(Transfers.Everything), await other.Scalar<string>(Transfers.Everything));
    }

    [Fact]
    public async Task Nothing_beyond_the_mark_is_exported_and_nothing_below_it_is_missing()
    {
        var first = await log.Append(TallyLog.NewStream(), new TallyOpened("a"));
        await using var open = await LogWriter.BeginWithNothing(database);
        var gap = await open.Draw();
        var beyond = await log.Append(TallyLog.NewStream(), new TallyOpened("b"));
        Assert.Equal([first], await Positions(new LogSelection(To: new Until(Position: gap - 1))));
        Assert.Equal([first], await Positions(new LogSelection()));
        await open.Insert(gap);
        await open.Commit();
        Assert.Equal([first, gap, beyond], await Positions(new LogSelection()));
    }

    [Fact]
    public async Task While_writers_hold_gaps_open_and_roll_back_every_export_is_a_whole_prefix()
    {
        var committed = new ConcurrentBag<long>();
        using var over = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        var writing = Task.WhenAll(Enumerable.Range(0, 6).Select(n => Task.Run(async () =>
        {
            for (var random = new Random(n); !over.IsCancellationRequested;)
            {
                await using var writer = await LogWriter.BeginWithNothing(database);
                var position = await writer.Draw();
                if (random.Next(3) == 0) await Task.Delay(random.Next(1, 40));
                await writer.Insert(position);
                if (random.Next(5) == 0)
                {
                    await writer.RollBack();
                    continue;
                }
                await writer.Commit();
                committed.Add(position);
            }
        })));
        var exports = new List<(long To, List<long> Positions)>();
        while (!writing.IsCompleted)
        {
            var file = await database.Export();
            exports.Add(((await Transfers.Check(file)).Header.To, PositionsIn(file)));
            // As long as a slow machine needs to see enough, and no longer.
            if (exports.Count > 5 && exports[^1].Positions.Count > 50) await over.CancelAsync();
        }
        await writing;
        Assert.True(exports.Count > 5 && exports[^1].Positions.Count > 50, $"{exports.Count} exports, the last of {exports[^1].Positions.Count} events");
        foreach (var (to, positions) in exports) Assert.Equal(committed.Where(p => p <= to).Order(), positions);
        Assert.Equal(committed.Order(), await Positions(new LogSelection()));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(20)]
    [InlineData(-1)]
    [InlineData(-40)]
    [InlineData(-200)]
    [InlineData(-2000)]
    public async Task An_export_that_was_cut_off_anywhere_goes_on_behind_its_last_whole_line(int cut)
    {
        for (var i = 0; i < 30; i++) await log.Append(TallyLog.NewStream(), new TallyOpened($"t{i}"));
        await database.Execute($"insert into nubabel.subject_keys (tenant_id, subject, wrapped) select '{TallyLog.Tenant}', 's' || i, 'x' from generate_series(1, 5) i");
        var whole = System.Text.Encoding.UTF8.GetBytes(await database.Export(withKeys: true));
        var path = Path.GetTempFileName();
        try
        {
            await System.IO.File.WriteAllBytesAsync(path, cut >= 0 ? whole[..cut] : whole[..(whole.Length + cut)]);
            // What came since is beyond what was asked for then.
            if (cut < 0) await log.Append(TallyLog.NewStream(), new TallyOpened("later"));
            for (var run = 0; run < 2; run++)
            {
                await using var file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite);
                await using var export = await EventExport.Resume(database.Daemon, file, default);
                Assert.Equal(30, (await export.Run(new LogSelection(), "main", null, true, _ => { }, default)).Events);
            }
            var report = await Transfers.Check(await System.IO.File.ReadAllBytesAsync(path));
            Assert.Equal((30L, 5L), (report.End.Events, report.End.Keys));
            // But for the time in the first line it is the same file.
            if (cut < 0) Assert.Equal(whole, await System.IO.File.ReadAllBytesAsync(path));
        }
        finally
        {
            System.IO.File.Delete(path);
        }
    }

    [Fact]
    public async Task What_is_no_export_is_not_gone_on_with()
    {
        var path = Path.GetTempFileName();
        await System.IO.File.WriteAllTextAsync(path, "my diary\n");
        await using (var file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite))
            await Assert.ThrowsAsync<BadEventFile>(() => EventExport.Resume(database.Daemon, file, default));
        Assert.Equal("my diary\n", await System.IO.File.ReadAllTextAsync(path));
        System.IO.File.Delete(path);
    }

    private async Task<List<long>> Positions(LogSelection selection) => PositionsIn(await database.Export(selection));

    private static List<long> PositionsIn(string file) =>
        [.. file.Split('\n', StringSplitOptions.RemoveEmptyEntries)[1..^1].Select(l => JsonElement.Parse(l).GetProperty("seq_id").GetInt64())];
}
