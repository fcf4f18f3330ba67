using System.Collections.Concurrent;
using System.Diagnostics;
using Npgsql;

namespace Nubabel.Store.Tests;

/// <summary>The live tail: everything visible at once, also beyond gaps, at least once, from the read model's checkpoint on.</summary>
public sealed class TailTests : IAsyncLifetime
{
    private EngineDatabase database = null!;
    private readonly Signal signal = new();
    private TallyLog log = null!;

    public async Task InitializeAsync()
    {
        database = await EngineDatabase.Create();
        log = new TallyLog(database.Daemon, signal);
    }

    public async Task DisposeAsync() => await database.DisposeAsync();

    [Fact]
    public async Task A_subscriber_gets_its_aliases_from_its_checkpoint_on()
    {
        var stream = TallyLog.NewStream();
        await log.Append(stream, new TallyOpened("loaded from the read model"));
        var cache = new Cache(1, "tally_opened", "tally_raised");
        await using var tail = await Started(cache);

        await log.Append(stream, new TallyRaised(1));
        await log.Append(stream, new TallyRenamed("not wanted"));
        var last = await log.Append(stream, new TallyRaised(2));

        await cache.Until(e => e.Position == last);
        Assert.Equal([2L, last], cache.Seen.Select(e => e.Position));
        Assert.Equal(2, ((TallyRaised)cache.Seen.Last().Data!).By);
    }

    [Fact]
    public async Task An_event_behind_an_open_transactions_gap_is_delivered_at_once_while_projections_wait()
    {
        await using var node = await DaemonNode.Started(database);
        using var looks = new BatchCount();
        var deliveries = new ConcurrentDictionary<long, (int Look, long At)>();
        var cache = new Cache(0, "tally_opened") { Takes = e => deliveries[e.Position] = (looks.Begun, Stopwatch.GetTimestamp()) };
        await using var counted = new NpgsqlDataSourceBuilder(database.DaemonConnectionString).UseLoggerFactory(looks).Build();
        await using var tail = await StartedOn(counted, cache);
        await using var owner = await LogWriter.Begin(database);
        await owner.Append();

        var last = 0L;
        var took = new List<TimeSpan>();
        for (var i = 0; i < 5; i++)
        {
            last = await log.Append(TallyLog.NewStream(), new TallyOpened("urgent"));
            var (appended, before) = (Stopwatch.GetTimestamp(), looks.Begun);
            await cache.Until(e => e.Position == last);
            // The first look that begins after the append brings it. The one before may have begun too early for that.
            Assert.True(deliveries[last].Look <= before + 1, $"delivered with look {deliveries[last].Look}, where {before} had begun before");
            took.Add(Stopwatch.GetElapsedTime(appended, deliveries[last].At));
        }
        // A process that is held up is late once; a tail that looks too seldom is late again and again.
        Assert.True(took.Min() < TimeSpan.FromSeconds(1), "a revocation must reach every node within a second");
        Assert.Equal(1, tail.Status.Missing);
        Assert.False((await node.Positions.Reached("tallies", last, TimeSpan.FromMilliseconds(200), default)).Reached);
    }

    [Fact]
    public async Task What_was_missing_is_delivered_when_it_becomes_visible_and_forgotten_when_the_mark_passes()
    {
        await using var node = await DaemonNode.Started(database);
        var cache = new Cache(0, "probe_written", "tally_opened");
        await using var tail = await Started(cache);
        await using var late = await LogWriter.Begin(database);
        await using var never = await LogWriter.Begin(database);
        var missing = await late.Append();
        await never.Append();
        var last = await log.Append(TallyLog.NewStream(), new TallyOpened("first"));
        await cache.Until(e => e.Position == last);

        await late.Commit();
        await cache.Until(e => e.Position == missing);
        await never.RollBack();

        var clock = Stopwatch.StartNew();
        while (tail.Status.Missing > 0)
        {
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(5), $"still {tail.Status}");
            await Task.Delay(10);
        }
        Assert.Equal(2, cache.Seen.Count);
    }

    [Fact]
    public async Task The_tail_misses_nothing_under_stress_and_keeps_the_order_of_each_stream()
    {
        var cache = new Cache(0, "tally_opened", "tally_raised");
        await using var tail = await Started(cache);
        await using var node = await DaemonNode.Started(database);
        var written = new ConcurrentBag<long>();

        await Task.WhenAll(Enumerable.Range(0, 6).Select(w => Task.Run(async () =>
        {
            var random = new Random(w);
            for (var i = 0; i < 40; i++)
            {
                var stream = TallyLog.NewStream();
                await log.Append(stream, new TallyOpened("t"));
                written.Add(await log.Append(stream, new TallyRaised(i)));
                await using var gap = await LogWriter.Begin(database);
                await gap.Append();
                await Task.Delay(random.Next(5));
                await gap.RollBack();
            }
        })));

        foreach (var position in written) await cache.Until(e => e.Position == position);
        Assert.All(cache.Seen.GroupBy(e => e.Stream), s => Assert.Equal([1, 2], s.Select(e => e.Version)));
    }

    [Fact]
    public async Task A_subscriber_that_throws_keeps_nothing_from_the_others_and_is_named()
    {
        var broken = new Cache(0, "tally_opened") { Fails = true };
        var sound = new Cache(0, "tally_opened");
        await using var tail = await Started(broken, sound);

        await log.Append(TallyLog.NewStream(), new TallyOpened("one"));
        var last = await log.Append(TallyLog.NewStream(), new TallyOpened("two"));

        await sound.Until(e => e.Position == last);
        Assert.True(tail.Status.Alive);
        Assert.Contains("broken cache", tail.Status.LastError, StringComparison.Ordinal);
    }

    /// <summary>A newer build's word in an enum, while nodes of this one still serve.</summary>
    [Fact]
    public async Task What_this_build_cannot_read_is_refused_for_who_needs_its_data_and_comes_without_it_to_who_does_not()
    {
        var reads = new Cache(0, "tally_opened", "tally_renamed");
        var listens = new Cache(0, "tally_opened", "tally_renamed") { NeedsData = false };
        // To this build a renaming is something else.
        EventTypes older = new([new EventType("tally_opened", typeof(TallyOpened)), new EventType("tally_renamed", typeof(TallyRaised))], Tallies.Types.Json);
        await using var tail = new Tail(database.Daemon, older, signal, [reads, listens]);
        tail.Start();
        var stream = TallyLog.NewStream();
        await log.Append(stream, new TallyRenamed("newer"));
        var last = await log.Append(TallyLog.NewStream(), new TallyOpened("after"));

        await reads.Until(last);
        await listens.Until(last);
        Assert.Equal([last], reads.Seen.Select(e => e.Position));
        var (unread, after) = (listens.Seen.First(), listens.Seen.Last());
        Assert.Equal((stream, "tally_renamed", true), (unread.Stream, unread.Type, unread.Data is null));
        Assert.IsType<TallyOpened>(after.Data);
        Assert.Equal((1, 3), (tail.Status.Refused, tail.Status.Delivered));
        Assert.Contains("JsonException", tail.Status.LastError, StringComparison.Ordinal);
    }

    [Fact]
    public async Task After_the_loss_of_its_connection_the_tail_goes_on_without_loading_again()
    {
        var cache = new Cache(0, "tally_opened");
        await using var tail = await Started(cache);
        await cache.Until(await log.Append(TallyLog.NewStream(), new TallyOpened("before")));

        await EngineDatabase.AsSuperuser($"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{database.Name}' and pid <> pg_backend_pid()");
        database.Daemon.Clear();

        await cache.Until(await log.Append(TallyLog.NewStream(), new TallyOpened("after")));
        Assert.Equal(1, cache.Loads);
    }

    [Fact]
    public async Task On_another_server_or_timeline_everything_is_loaded_again()
    {
        var server = "7000/00000001";
        var (cache, moves) = (new Cache(0, "tally_opened"), 0);
        await using var tail = new Tail(database.Daemon, Types, signal, [cache], (_, _) => Task.FromResult(server), moved: () => moves++);
        tail.Start();
        await cache.Until(await log.Append(TallyLog.NewStream(), new TallyOpened("before")));

        server = "7000/00000002";
        await EngineDatabase.AsSuperuser($"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{database.Name}' and pid <> pg_backend_pid()");
        database.Daemon.Clear();

        await cache.Until(await log.Append(TallyLog.NewStream(), new TallyOpened("after")));
        Assert.Equal((2, 1), (cache.Loads, moves));
    }

    [Fact]
    public async Task A_cache_that_cannot_load_yet_is_tried_again()
    {
        var cache = new Cache(0, "tally_opened") { LoadsThatFail = 2 };
        await using var tail = await Started(cache);
        await cache.Until(await log.Append(TallyLog.NewStream(), new TallyOpened("one")));
        Assert.True(tail.Status.Loaded);

        await tail.DisposeAsync();
        Assert.False(tail.Status.Alive);
    }

    [Fact]
    public async Task A_page_ends_early_rather_than_hold_more_than_its_bytes()
    {
        const int Large = 50_000, Most = 4 * Large;
        var before = TallyLog.NewStream();
        for (var i = 0; i < 30; i++) await log.Append(before, new TallyOpened(new string('a', Large)));
        var cache = new Cache(0, "tally_opened");
        await using var tail = new Tail(database.Daemon, Types, signal, [cache], (_, _) => Task.FromResult("one"), maxBytes: Most);
        tail.Start();
        var last = await log.Append(TallyLog.NewStream(), new TallyOpened("small"));
        await cache.Until(last);
        Assert.Equal(Enumerable.Range(1, 30).Select(v => (long)v).Append(1), cache.Seen.Select(e => e.Version));
        Assert.InRange(tail.Heaviest, Large, Most + 2 * Large);
    }

    /// <summary>A transaction that drew more numbers than a page has, and became visible in the moment in which the mark passed it.</summary>
    [Fact]
    public async Task Of_a_gap_that_is_longer_than_a_page_nothing_is_forgotten_when_the_mark_passes_it()
    {
        const int Numbers = 2_500;
        var cache = new Cache(0, "probe_written", "tally_opened");
        await using var tail = await Started(cache);
        await using var writer = await LogWriter.Begin(database);
        await writer.AppendMany(Numbers);
        var behind = await log.Append(TallyLog.NewStream(), new TallyOpened("behind"));
        await cache.Until(behind);
        await writer.Run($"insert into events.mt_event_progression (name, last_seq_id) values ('{HighWater.ProgressionName}', {behind})");
        await writer.Commit();
        await cache.Until(behind - 1);
        Assert.Equal(Enumerable.Range(1, Numbers).Select(i => (long)i), cache.Seen.Where(e => e.Type == "probe_written").Select(e => e.Version));
        Assert.Equal(0, tail.Status.Missing);
    }

    private static EventTypes Types { get; } = new([.. Tallies.Types.All, new EventType("probe_written", typeof(object))], Tallies.Types.Json);

    private Task<Tail> Started(params Cache[] caches) => StartedOn(database.Daemon, caches);

    private async Task<Tail> StartedOn(NpgsqlDataSource source, params Cache[] caches)
    {
        var tail = new Tail(source, Types, signal, caches);
        tail.Start();
        await tail.Loaded.WaitAsync(TimeSpan.FromSeconds(10));
        return tail;
    }

    private sealed class Cache(long checkpoint, params string[] aliases) : ITailSubscriber
    {
        public ConcurrentQueue<Recorded> Seen { get; } = [];
        public int Loads { get; private set; }
        public bool Fails { get; init; }
        public Action<Recorded> Takes { get; init; } = _ => { };
        public int LoadsThatFail { get; set; }
        public bool NeedsData { get; init; } = true;
        public IReadOnlyCollection<string> Aliases => aliases;

        public Task<long> Load(CancellationToken ct)
        {
            if (LoadsThatFail-- > 0) throw new InvalidOperationException("no read model yet");
            Loads++;
            return Task.FromResult(checkpoint);
        }

        public void OnEvent(Recorded e)
        {
            if (Fails) throw new InvalidOperationException("broken cache");
            Takes(e);
            Seen.Enqueue(e);
        }

        public Task Until(long position) => Until(e => e.Position == position);

        public async Task Until(Func<Recorded, bool> arrived)
        {
            var clock = Stopwatch.StartNew();
            while (!Seen.Any(arrived))
            {
                Assert.True(clock.Elapsed < TimeSpan.FromSeconds(10), $"not delivered; seen: {string.Join(' ', Seen.Select(e => e.Position))}");
                await Task.Delay(5);
            }
        }
    }
}
