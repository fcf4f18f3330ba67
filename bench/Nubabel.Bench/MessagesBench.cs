using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json;
using Nubabel.Domain.Devices;
using Nubabel.Projections;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Bench;

/// <summary>
/// Durable messages: how many are enqueued, how many go from end to end, how soon they begin, and what is left of many. Senders, worker and PostgreSQL share
/// the machine. <c>--events</c> says how many go through before the table is looked at.
/// </summary>
internal sealed class MessagesBench(Options options) : IBench
{
    private readonly TimeSpan each = options.Each(3);
    private readonly long many = options.Events ?? 50_000;

    /// <summary>The least that a queue in PostgreSQL can do for a message: a row in, and out again by whoever is first; a commit each.</summary>
    private const string Script = """
        insert into nubabel_bench_queue (body) values ('{"text": "hello", "number": 1}');
        delete from nubabel_bench_queue where id = (select id from nubabel_bench_queue order by id for update skip locked limit 1);
        """;

    private sealed record Ping(long At, string Text);

    public string Name => "messages";
    public TimeSpan Longest => TimeSpan.FromMinutes(3 + many / 100_000) + 15 * each;
    public string What => "durable messages: enqueue, end to end with and without an appending handler, enqueue to start, beside pgbench with a minimal queue";

    public async Task<Report> Run(CancellationToken ct)
    {
        await using var database = await TestDatabase.New();
        await database.Run("create table public.nubabel_bench_queue (id bigint generated always as identity primary key, body jsonb); grant all on public.nubabel_bench_queue to nubabel_api");
        var rows = new List<Row>();
        var least = new Reference("pgbench, a row in and out", (await PgBench.Run(database.ApiString, 32, each, Script, ct)).PerSecond);
        await using (var bench = new Bench(database, each, appends: false))
        {
            rows.Add(new Row("enqueue one at a time", await bench.Enqueue(32, 1, ct), "per s") { Callers = 32, Beside = [least] });
            rows.Add(new Row("enqueue one at a time, once-only ids", await bench.Enqueue(32, 1, ct, once: true), "per s") { Callers = 32, Beside = [least] });
            rows.Add(new Row("enqueue one with the commit of an event", await bench.EnqueueWithEvents(32, ct), "per s") { Callers = 32, Beside = [least] });
            rows.Add(new Row("enqueue 100 at a time", await bench.Enqueue(4, 100, ct), "per s") { Callers = 4, Beside = [least] });
        }
        await database.Run("truncate nubabel.messages, nubabel.ready_lanes");
        await using (var bench = new Bench(database, each, appends: false))
        {
            rows.Add(EndToEnd("messages end to end, no key", await bench.EndToEnd(keyed: false, ct), 10_000));
            rows.Add(EndToEnd("messages end to end, 1,000 keys", await bench.EndToEnd(keyed: true, ct), null));
            rows.Add(await Start(""));
            await bench.Through(many, ct);
            rows.Add(new Row($"size of the queue's tables after {many:#,0} messages", await Size(), "MB"));
            rows.Add(await Start($", after {many:#,0} messages"));

            async Task<Row> Start(string after)
            {
                var (p50, p99) = await bench.Start(400, ct);
                return new Row($"enqueue to start{after}", p99, "ms") { P50 = p50, P99 = p99, Aim = Aim.AtMost(p99, 25, "ms") };
            }
        }
        await using (var bench = new Bench(database, each, appends: true)) rows.Add(EndToEnd("messages end to end, the handler appends", await bench.EndToEnd(keyed: false, ct), 4_000));
        return Report.Of(rows, "One worker with 32 handlers at a time, 20 tenants; the sender enqueues 50 at a time and keeps at most 2,000 waiting. Start: 400 messages a second, each in a transaction of its own; the value is p99.");

        Row EndToEnd(string what, Measured m, double? aim) => Row.Of(what, 32, m) with { Beside = [least], Aim = aim is { } bound ? Aim.AtLeast(m.PerSecond, bound, "per s") : null };

        async Task<double> Size() => await database.Scalar<long>("select (pg_total_relation_size('nubabel.messages') + pg_total_relation_size('nubabel.ready_lanes') + pg_total_relation_size('nubabel.lanes'))::bigint") / 1e6;
    }

    private sealed class Bench : IAsyncDisposable
    {
        private static readonly QueueOptions Options = QueueOptions.Fast("bench") with { Concurrency = 32, InHand = 512 };
        private readonly TestDatabase database;
        private readonly SubjectKeys keys;
        private readonly Outbox outbox = new(new MessageTypes([Options], [new MessageType("ping", typeof(Ping), "bench")], JsonSerializerOptions.Web));
        private readonly MessageDaemon daemon;
        private readonly ConcurrentQueue<double> late = new();
        private readonly string[] tenants = [.. Enumerable.Range(0, 20).Select(i => $"019a0000-0000-7000-8000-{i:x12}")];
        private long handled;
        private bool started;

        private readonly TimeSpan each;

        public Bench(TestDatabase database, TimeSpan each, bool appends)
        {
            (this.database, this.each) = (database, each);
            keys = new SubjectKeys(database.Database, TestDatabase.Master);
            daemon = new MessageDaemon(database.Database.Daemon, database.DaemonString, new MessageHandlers(outbox.Types).On<Ping>(appends ? Append : Take), outbox, Journal);
        }

        public Task<double> Enqueue(int callers, int together, CancellationToken ct, bool once = false) =>
            Repeated(callers, together, (tenant, token) => Send(tenant, together, null, token, once), ct);

        /// <summary>As a command does it: what has happened, and the message about it, in one transaction.</summary>
        public Task<double> EnqueueWithEvents(int callers, CancellationToken ct) => Repeated(callers, 1, async (tenant, token) =>
        {
            var journal = Journal(tenant, new Origin("user:bench"));
            journal.Enqueue(new Message(new Ping(Stopwatch.GetTimestamp(), "hello")));
            await AppendEvent(journal, token);
        }, ct);

        private async Task<double> Repeated(int callers, int together, Func<string, CancellationToken, Task> act, CancellationToken ct)
        {
            long sent = 0;
            var until = Stopwatch.GetTimestamp() + (long)(each.TotalSeconds * Stopwatch.Frequency);
            await Task.WhenAll(Enumerable.Range(0, callers).Select(async i =>
            {
                await Task.Yield();
                while (Stopwatch.GetTimestamp() < until)
                {
                    await act(tenants[i % tenants.Length], ct);
                    Interlocked.Add(ref sent, together);
                }
            }));
            return sent / each.TotalSeconds;
        }

        public async Task<Measured> EndToEnd(bool keyed, CancellationToken ct)
        {
            using var enough = CancellationTokenSource.CreateLinkedTokenSource(ct);
            var feed = Feed(long.MaxValue, keyed, enough.Token);
            Begin();
            await Task.Delay(TimeSpan.FromSeconds(1), ct);
            var postgres = await PostgresProcesses.Open();
            using var own = Process.GetCurrentProcess();
            var (before, cpu, theirs, watch) = (Interlocked.Read(ref handled), own.TotalProcessorTime, postgres.Cpu(), Stopwatch.StartNew());
            await Task.Delay(each, ct);
            own.Refresh();
            var seconds = watch.Elapsed.TotalSeconds;
            var rate = new Measured((Interlocked.Read(ref handled) - before) / seconds, Cpu: (own.TotalProcessorTime - cpu).TotalSeconds / seconds, PostgresCpu: (postgres.Cpu() - theirs).TotalSeconds / seconds);
            await enough.CancelAsync();
            await feed;
            await Empty(ct);
            return rate;
        }

        /// <summary>So many from end to end.</summary>
        public async Task Through(long count, CancellationToken ct)
        {
            Begin();
            await Feed(count, keyed: false, ct);
            await Empty(ct);
        }

        /// <summary>From the call that enqueues to the first line of the handler.</summary>
        public async Task<(double P50, double P99)> Start(int perSecond, CancellationToken ct)
        {
            Begin();
            late.Clear();
            var (watch, sent, sends) = (Stopwatch.StartNew(), 0, new List<Task>());
            while (watch.Elapsed < each)
            {
                for (; sent < watch.Elapsed.TotalSeconds * perSecond; sent++) sends.Add(Send(tenants[sent % tenants.Length], 1, null, ct));
                await Task.Delay(1, ct);
            }
            await Task.WhenAll(sends);
            await Empty(ct);
            var all = late.Order().ToArray();
            return (all[all.Length / 2], all[all.Length * 99 / 100]);
        }

        public ValueTask DisposeAsync() => daemon.DisposeAsync();

        private void Begin()
        {
            if (!started) daemon.Start();
            started = true;
        }

        private async Task Feed(long most, bool keyed, CancellationToken enough)
        {
            const int Together = 50;
            long sent = 0, before = Interlocked.Read(ref handled);
            await Task.WhenAll(Enumerable.Range(0, 4).Select(async i =>
            {
                await Task.Yield();
                for (var n = i; !enough.IsCancellationRequested; n++)
                {
                    if (Interlocked.Read(ref sent) >= most) return;
                    while (Interlocked.Read(ref sent) - (Interlocked.Read(ref handled) - before) > 2_000 && !enough.IsCancellationRequested) await Task.Delay(1, CancellationToken.None);
                    Interlocked.Add(ref sent, Together);
                    await Send(tenants[n % tenants.Length], Together, keyed ? () => $"k{Random.Shared.Next(50)}" : null, CancellationToken.None);
                }
            }));
        }

        private async Task Send(string tenant, int count, Func<string>? key, CancellationToken ct, bool once = false)
        {
            var journal = Journal(tenant, new Origin("user:bench"));
            for (var i = 0; i < count; i++) journal.Enqueue(new Message(new Ping(Stopwatch.GetTimestamp(), "hello")) { Key = key?.Invoke(), Once = once ? Guid.CreateVersion7().ToString() : null });
            await journal.Send(ct);
        }

        private async Task Empty(CancellationToken ct)
        {
            while (await database.Scalar<bool>("select exists (select from nubabel.messages)")) await Task.Delay(5, ct);
        }

        private Journal Journal(string tenant, Origin origin) => new(database.Database, Events.Types, keys, tenant, origin, () => { }, TimeProvider.System) { Outbox = outbox };

        private Task Take(Ping ping, MessageContext context)
        {
            if (late.Count < 100_000) late.Enqueue(Stopwatch.GetElapsedTime(ping.At).TotalMilliseconds);
            Interlocked.Increment(ref handled);
            return Task.CompletedTask;
        }

        private async Task Append(Ping ping, MessageContext context)
        {
            await AppendEvent(context.Journal, context.Cancellation);
            Interlocked.Increment(ref handled);
        }

        private static async Task AppendEvent(Journal journal, CancellationToken ct)
        {
            var registered = new DeviceRegistered(new(Guid.CreateVersion7()), Seed.Name, Seed.NameKey, DeviceType.Mobile, null);
            var result = await journal.Append(journal.Now(), [new StreamAppend($"device-{Guid.CreateVersion7()}", "device", StreamAppend.None, [registered], [], [])], ct);
            if (result is not Appended.Done) throw new InvalidOperationException($"Refused: {result}");
        }
    }
}
