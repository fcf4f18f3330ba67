using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Npgsql;
using Nubabel.Domain.Devices;
using Nubabel.Projections;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Bench;

/// <summary>
/// Durable messages: how many are enqueued, how many go from end to end, how soon they begin, and what is left of many. Senders, worker and PostgreSQL share
/// the machine. <c>NUBABEL_BENCH_MESSAGES</c> says how many go through before the table is looked at.
/// </summary>
internal sealed partial class MessagesBench : IBench
{
    private static readonly TimeSpan Each = TimeSpan.FromSeconds(4);
    private static readonly int Many = int.Parse(Environment.GetEnvironmentVariable("NUBABEL_BENCH_MESSAGES") ?? "100000", CultureInfo.InvariantCulture);

    /// <summary>The least that a queue in PostgreSQL can do for a message: a row in, and out again by whoever is first; a commit each.</summary>
    private const string Script = """
        insert into nubabel_bench_queue (body) values ('{"text": "hello", "number": 1}');
        delete from nubabel_bench_queue where id = (select id from nubabel_bench_queue order by id for update skip locked limit 1);
        """;

    private sealed record Ping(long At, string Text);

    public string Name => "messages";
    public string What => "durable messages: enqueue, end to end with and without an appending handler, enqueue to start, beside pgbench with a minimal queue";

    public async Task<Report> Run(CancellationToken ct)
    {
        await using var database = await TestDatabase.New();
        await database.Run("create table public.nubabel_bench_queue (id bigint generated always as identity primary key, body jsonb); grant all on public.nubabel_bench_queue to nubabel_api");
        var rows = new List<string[]>();
        var numbers = new Dictionary<string, double>();
        Add("pgbench, a row in and out, 8 callers", await PgBench(database, 8, ct));
        Add("pgbench, a row in and out, 32 callers", await PgBench(database, 32, ct));
        await using (var bench = new Bench(database, appends: false))
        {
            Add("enqueue one at a time, 32 callers", await bench.Enqueue(32, 1, ct));
            Add("enqueue 100 at a time, 4 callers", await bench.Enqueue(4, 100, ct));
        }
        await database.Run("delete from nubabel.messages; delete from nubabel.ready_lanes");
        await using (var bench = new Bench(database, appends: false))
        {
            Add("end to end, without a key", await bench.EndToEnd(keyed: false, ct));
            Add("end to end, 1,000 keys", await bench.EndToEnd(keyed: true, ct));
            Late("", await bench.Start(400, ct));
            await bench.Through(Many, ct);
            Add($"size of the tables after {Many:#,0}, MB", await database.Scalar<long>("select pg_total_relation_size('nubabel.messages') + pg_total_relation_size('nubabel.ready_lanes') + pg_total_relation_size('nubabel.lanes')") / 1e6);
            Late($" after {Many:#,0}", await bench.Start(400, ct));
        }
        await using (var bench = new Bench(database, appends: true)) Add("end to end, the handler appends", await bench.EndToEnd(keyed: false, ct));
        return new Report(["messages", "per second, or as said"], rows, numbers, "One worker with 32 handlers at a time, 20 tenants. The sender keeps at most 2,000 messages waiting. Start: 400 messages a second, each in a transaction of its own.");

        void Add(string what, double number)
        {
            rows.Add([what, Report.Number(number, "0.0")]);
            numbers[what] = number;
        }

        void Late(string after, (double P50, double P99) late)
        {
            Add($"enqueue to start{after}, p50 ms", late.P50);
            Add($"enqueue to start{after}, p99 ms", late.P99);
        }
    }

    private static async Task<double> PgBench(TestDatabase database, int callers, CancellationToken ct)
    {
        var to = new NpgsqlConnectionStringBuilder(database.ApiString);
        var script = Path.Combine(Path.GetTempPath(), $"nubabel-messages-{Guid.NewGuid():N}.sql");
        await File.WriteAllTextAsync(script, Script, ct);
        try
        {
            var start = new ProcessStartInfo(Command(),
                ["-n", "-M", "prepared", "-c", $"{callers}", "-j", "1", "-T", Each.TotalSeconds.ToString("0", CultureInfo.InvariantCulture), "-f", script, "-h", to.Host!, "-p", $"{to.Port}", "-U", to.Username!, to.Database!])
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
                Environment = { ["PGPASSWORD"] = to.Password ?? "" },
            };
            using var process = Process.Start(start)!;
            var (output, errors) = (process.StandardOutput.ReadToEndAsync(ct), process.StandardError.ReadToEndAsync(ct));
            await process.WaitForExitAsync(ct);
            return Rate().Match(await output) is { Success: true } rate ? double.Parse(rate.Groups[1].ValueSpan, CultureInfo.InvariantCulture) : throw new InvalidOperationException($"pgbench: {await errors}");
        }
        finally
        {
            File.Delete(script);
        }
    }

    /// <summary>Debian keeps it beside the server and not on the path.</summary>
    private static string Command() =>
        Directory.Exists("/usr/lib/postgresql")
            ? Directory.EnumerateFiles("/usr/lib/postgresql", "pgbench", SearchOption.AllDirectories).OrderDescending(StringComparer.Ordinal).FirstOrDefault() ?? "pgbench"
            : "pgbench";

    [GeneratedRegex(@"tps = ([\d.]+)")]
    private static partial Regex Rate();

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

        public Bench(TestDatabase database, bool appends)
        {
            this.database = database;
            keys = new SubjectKeys(database.Database.Api, TestDatabase.Master);
            daemon = new MessageDaemon(database.Database.Daemon, database.DaemonString, new MessageHandlers(outbox.Types).On<Ping>(appends ? Append : Take), outbox, Journal);
        }

        public async Task<double> Enqueue(int callers, int together, CancellationToken ct)
        {
            long sent = 0;
            var until = Stopwatch.GetTimestamp() + (long)(Each.TotalSeconds * Stopwatch.Frequency);
            await Task.WhenAll(Enumerable.Range(0, callers).Select(async i =>
            {
                await Task.Yield();
                while (Stopwatch.GetTimestamp() < until)
                {
                    await Send(tenants[i % tenants.Length], together, null, ct);
                    Interlocked.Add(ref sent, together);
                }
            }));
            return sent / Each.TotalSeconds;
        }

        public async Task<double> EndToEnd(bool keyed, CancellationToken ct)
        {
            using var enough = CancellationTokenSource.CreateLinkedTokenSource(ct);
            var feed = Feed(long.MaxValue, keyed, enough.Token);
            Begin();
            await Task.Delay(TimeSpan.FromSeconds(1), ct);
            var (before, watch) = (Interlocked.Read(ref handled), Stopwatch.StartNew());
            await Task.Delay(Each, ct);
            var rate = (Interlocked.Read(ref handled) - before) / watch.Elapsed.TotalSeconds;
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
            while (watch.Elapsed < Each)
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

        private async Task Send(string tenant, int count, Func<string>? key, CancellationToken ct)
        {
            var journal = Journal(tenant, new Origin("user:bench"));
            for (var i = 0; i < count; i++) journal.Enqueue(new Message(new Ping(Stopwatch.GetTimestamp(), "hello")) { Key = key?.Invoke() });
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
            var registered = new DeviceRegistered(new(Guid.CreateVersion7()), DeviceName.Parse("phone"), DeviceType.Mobile, null);
            var result = await context.Journal.Append(context.Journal.Now(), [new StreamAppend($"device-{Guid.CreateVersion7()}", "device", StreamAppend.None, [registered], [], [])], context.Cancellation);
            if (result is not Appended.Done) throw new InvalidOperationException($"Refused: {result}");
            Interlocked.Increment(ref handled);
        }
    }
}
