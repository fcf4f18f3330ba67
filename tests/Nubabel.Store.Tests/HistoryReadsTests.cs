namespace Nubabel.Store.Tests;

/// <summary>A burst on streams that have become long fills no memory; what is short is read all the while.</summary>
public sealed class HistoryReadsTests
{
    private const int Megabyte = 1 << 20;

    [Fact]
    public void A_long_history_is_read_alone_however_long_and_beside_others_only_where_there_is_room()
    {
        var all = new HistoryReads(10 * Megabyte);
        using var first = all.Begin();
        for (var i = 0; i < 50; i++) first.Add(Megabyte);
        using (var second = all.Begin())
        {
            second.Add(Megabyte);
            Assert.Throws<TooMuchHistory>(() => second.Add(Megabyte));
        }
        for (var i = 0; i < 1_000; i++)
        {
            using var small = all.Begin();
            small.Add(Megabyte);
        }
        first.Add(3 * Megabyte);
        Assert.Equal(53 * Megabyte, all.Weight);
        first.Dispose();
        Assert.Equal(0, all.Weight);
        using var later = all.Begin();
        for (var i = 0; i < 9; i++) later.Add(Megabyte);
        using var beside = all.Begin();
        beside.Add(Megabyte);
    }

    [Fact]
    public async Task A_burst_of_reads_of_a_long_stream_is_bounded_and_those_who_are_refused_find_room_later()
    {
        const int Events = 24;
        await using var engine = await EngineDatabase.Create();
        await using var database = Database.Open("main", engine.DaemonConnectionString, engine.DaemonConnectionString);
        var log = new TallyLog(engine.Daemon);
        var stream = TallyLog.NewStream();
        // A megabyte each in PostgreSQL, three by weight.
        for (var i = 0; i < Events; i++) await log.Append(stream, new TallyOpened(new string('a', Megabyte)));
        var heaviest = 0L;
        using var over = new CancellationTokenSource();
        var watching = Task.Run(async () =>
        {
            for (; !over.IsCancellationRequested; await Task.Delay(5)) heaviest = Math.Max(heaviest, database.Reads.Weight);
        });
        var burst = await Task.WhenAll(Enumerable.Range(0, 6).Select(async _ =>
        {
            try
            {
                return (await Read()).Count;
            }
            catch (TooMuchHistory)
            {
                return 0;
            }
        }));
        await over.CancelAsync();
        await watching;
        Assert.All(burst, count => Assert.True(count is 0 or Events));
        Assert.Contains(Events, burst);
        Assert.Contains(0, burst);
        Assert.InRange(heaviest, 1, (3 * Events + 128 + 6 * 6) * (long)Megabyte);
        Assert.Equal(Events, (await Read()).Count);
        // Folded as it stands now it takes the room of one event, and all who ask at once share one read.
        var sought = new Sought(stream, new StreamFolds(new StreamFold<string>("", (name, e) => e.Data is TallyOpened o ? o.Name : name)));
        Assert.All(await Task.WhenAll(Enumerable.Range(0, 6).Select(async _ => (await Journal().See([sought], default))[stream])), seen => Assert.Equal(Events, seen.Version));
        Assert.Equal((0, 0), (database.Reads.Weight, database.FirstReaders.Count));
        // What is remembered of 24 megabytes is the one that was last.
        Assert.InRange(database.Remembered.Bytes, 2 * Megabyte, 3 * Megabyte);

        // As it was at a version, each reads for itself.
        Task<IReadOnlyList<Recorded>> Read() => Journal().Read(stream, new Until(Version: Events), default);
        Journal Journal() => new(database, Tallies.Types, null!, TallyLog.Tenant, new Origin("system:test"), () => { }, TimeProvider.System);
    }
}
