using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using Npgsql;
using Nubabel.Testing;

namespace Nubabel.Store.Tests.Messages;

/// <summary>What is said of the queues, and when it is an alarm.</summary>
public sealed class WatchTests
{
    private static readonly TimeSpan Now = TimeSpan.Zero;

    private static async Task<MessageWatch> Over(MessageNode node, ILogger? log = null, TimeSpan? every = null) =>
        new((await TestDatabase.Shared).Database.Daemon, node.Outbox.Types, TimeSpan.FromMinutes(5), log ?? Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance, every);

    private static async Task<QueueLook> Look(MessageWatch watch, MessageNode node) => (await watch.Look(Now, default)).Single(q => q.Queue == node.Options.Name);

    private static async Task Age(MessageNode node, string ago) =>
        await (await TestDatabase.Shared).Run($"update nubabel.ready_lanes set since = now() - interval '{ago}' where queue = '{node.Options.Name}'");

    [Fact]
    public async Task A_look_says_what_is_ready_in_hand_deferred_waiting_parked_and_dead()
    {
        var gate = new TaskCompletionSource();
        await using var node = await MessageNode.Start(QueueOptions.Fast(MessageNode.Queue()) with { Attempts = 2, Backoff = new Backoff(TimeSpan.FromHours(1), TimeSpan.FromHours(1)) }, async (note, _) =>
        {
            if (note.Text == "hopeless") throw new Hopeless("never");
            if (note.Text == "fails") throw new InvalidOperationException("no");
            await gate.Task;
        });
        await using var watch = await Over(node);
        await node.Send(Tally.Tenant(), new Message(new Note("hopeless")) { Key = "a" }, new Message(new Note("behind")) { Key = "a" }, new Message(new Note("fails")) { Key = "b" }, new Message(new Note("runs")) { Key = "c" },
            new Message(new Note("later")) { After = TimeSpan.FromHours(1) });
        QueueLook? look = null;
        await MessageNode.Until(async () => (look = await Look(watch, node)) is { InHand: 1, Waiting: 1, Parked: 1, DeadLetters: 1 }, () => $"{look}");
        Assert.Equal((3, 0, true, 1, 1, true, null), (look!.Messages, look.Ready, look.IsExact, look.Deferred, look.Workers, look.IsKnown, look.Stalled));
        gate.SetResult();
    }

    [Fact]
    public async Task Work_that_nobody_takes_is_stalled_and_what_is_in_hand_waits_or_is_parked_is_not()
    {
        await using var node = await MessageNode.Create(QueueOptions.Fast(MessageNode.Queue()), (_, _) => Task.CompletedTask);
        await using var watch = await Over(node);
        await node.Send(Tally.Tenant(), new Message(new Note("")) { Key = "a" });
        Assert.Null((await Look(watch, node)).Stalled);
        await Age(node, "10 minutes");
        var look = await Look(watch, node);
        Assert.Equal((1, 1, 0L), (look.Messages, look.Ready, look.Workers));
        Assert.InRange(look.OldestSeconds, 599, 620);
        Assert.StartsWith($"Nobody works on {node.Options.Name}", look.Stalled, StringComparison.Ordinal);
        // Its lane is in a hand: that it has been heard of since is no reason.
        var database = await TestDatabase.Shared;
        await database.Run($"insert into nubabel.lanes (queue, tenant_id, lane, until) select queue, tenant_id, lane, now() + interval '1 hour' from nubabel.ready_lanes where queue = '{node.Options.Name}'");
        Assert.Equal((0d, null), (await Look(watch, node)) switch { var l => (l.OldestSeconds, l.Stalled) });
        // In one hand for longer than the time limit allows.
        await database.Run($"update nubabel.lanes set until = null, worker = 0, since = now() - interval '1 minute' where queue = '{node.Options.Name}'");
        Assert.Equal(1, (await Look(watch, node)).Hanging);
        await database.Run($"delete from nubabel.lanes where queue = '{node.Options.Name}'");
        node.Daemon.Start();
        await node.Done();
        Assert.Null((await Look(watch, node)).Stalled);
    }

    [Fact]
    public async Task A_queue_that_no_process_of_today_knows_is_watched_too()
    {
        await using var old = await MessageNode.Create(QueueOptions.Fast(MessageNode.Queue()), (_, _) => Task.CompletedTask);
        await using var node = await MessageNode.Create(QueueOptions.Fast(MessageNode.Queue()), (_, _) => Task.CompletedTask);
        await old.Send(Tally.Tenant(), new Message(new Note("")));
        await Age(old, "1 hour");
        await using var watch = await Over(node);
        var look = await Look(watch, old);
        Assert.Equal((1, false), (look.Messages, look.IsKnown));
        Assert.NotNull(look.Stalled);
    }

    [Fact]
    public async Task The_alarm_is_raised_once_and_meters_show_what_was_seen()
    {
        await using var node = await MessageNode.Create(QueueOptions.Fast(MessageNode.Queue()), (_, _) => Task.CompletedTask);
        var lines = new Lines(node.Options.Name);
        await using var watch = await Over(node, lines, TimeSpan.FromMilliseconds(20));
        await node.Send(Tally.Tenant(), [.. Enumerable.Range(0, 7).Select(i => new Message(new Note("", i)) { Key = $"{i}" })]);
        await Age(node, "10 minutes");
        watch.Start();
        await MessageNode.Until(() => Task.FromResult(lines.Said.Count == 1), () => "no alarm");
        Assert.Equal(("messages.stalled", LogLevel.Error), lines.Said.Single());
        var measured = new ConcurrentDictionary<string, double>();
        using (var listener = new MeterListener())
        {
            listener.InstrumentPublished = (instrument, l) => l.EnableMeasurementEvents(instrument);
            listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) =>
            {
                if (tags.ToArray().Any(t => node.Options.Name.Equals(t.Value))) measured[instrument.Name] = value;
            });
            listener.Start();
            // More looks than one: the second message is seen behind the round that saw the first.
            for (var more = 8; more < 10; more++)
            {
                await node.Send(Tally.Tenant(), new Message(new Note("")) { Key = "more" });
                await MessageNode.Until(() =>
                {
                    listener.RecordObservableInstruments();
                    return Task.FromResult(measured.GetValueOrDefault("nubabel.messages.depth") == more);
                }, () => string.Join(" ", measured));
            }
        }
        Assert.Equal((1, 0), (measured["nubabel.messages.stalled"], measured["nubabel.messages.workers"]));
        Assert.Single(lines.Said);
        node.Daemon.Start();
        await node.Done();
        await MessageNode.Until(() => Task.FromResult(lines.Said.Count == 2), () => "the alarm has no end");
        Assert.Equal(("messages.goes_on", LogLevel.Information), lines.Said.Last());
    }

    [Fact]
    public async Task A_look_costs_the_same_whatever_waits()
    {
        // What the planner takes a number for depends on all that its table has and had in it, so this one is nobody else's.
        await using var database = await TestDatabase.New();
        await using var node = await MessageNode.Create(QueueOptions.Fast(MessageNode.Queue()), (_, _) => Task.CompletedTask, on: database);
        var rows = int.Parse(Environment.GetEnvironmentVariable("NUBABEL_WATCH_ROWS") ?? "30000", System.Globalization.CultureInfo.InvariantCulture);
        // Every third has a lane of its own; of the others many share one.
        await database.Run($"""
            insert into nubabel.messages (queue, tenant_id, lane, seq, id, type, body, actor)
              select '{node.Options.Name}', 't' || n % 50, case when n % 3 = 0 then '!' || n else '~' || n % 32 end, n, gen_random_uuid(), 'note', '{"{}"}', 'system:test' from generate_series(1, {rows}) n;
            insert into nubabel.ready_lanes (queue, tenant_id, lane, since) select queue, tenant_id, lane, now() - interval '10 minutes' from nubabel.messages where queue = '{node.Options.Name}' and (seq % 3 = 0 or seq % 16 = 1);
            analyze nubabel.messages;
            """);
        // One session, which tells what it has read whenever it is asked to.
        await using var one = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(database.DaemonString) { MaxPoolSize = 1 }.ConnectionString);
        await using var watch = new MessageWatch(one, node.Outbox.Types, TimeSpan.FromMinutes(5), Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);
        await Look(watch, node);
        var before = await RowsRead(database, one);
        var clock = System.Diagnostics.Stopwatch.StartNew();
        var look = await Look(watch, node);
        Console.WriteLine($"A look at {rows} messages took {clock.Elapsed.TotalMilliseconds:0} ms.");
        var read = await RowsRead(database, one) - before;
        Assert.False(look.IsExact);
        Assert.InRange(look.Messages, rows * 0.7, rows * 1.3);
        Assert.NotNull(look.Stalled);
        // A count of all would read every row; a look stays at what it counts exactly, and some lanes. In rows: the time that they take is also the machine's.
        Assert.InRange(read, MessageWatch.Bound, MessageWatch.Bound * 1.2);
    }

    /// <summary>What has been read of the tables of the engine, by their indexes or whole.</summary>
    private static async Task<long> RowsRead(TestDatabase database, NpgsqlDataSource by)
    {
        await using (var tell = by.CreateCommand("select pg_stat_force_next_flush()")) await tell.ExecuteNonQueryAsync();
        return await database.Scalar<long>("""
            select ((select sum(seq_tup_read) from pg_stat_user_tables where schemaname = 'nubabel') + (select sum(idx_tup_read) from pg_stat_user_indexes where schemaname = 'nubabel'))::bigint
            """);
    }

    private sealed class Lines(string queue) : ILogger
    {
        public ConcurrentQueue<(string? Event, LogLevel Level)> Said { get; } = new();
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;
        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (formatter(state, exception).Contains(queue, StringComparison.Ordinal)) Said.Enqueue((eventId.Name, logLevel));
        }
    }
}
