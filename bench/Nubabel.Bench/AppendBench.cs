using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Npgsql;
using Nubabel.Domain.Devices;
using Nubabel.Projections;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Bench;

/// <summary>
/// The engine's append alone, with all metadata, under row-level security, beside <c>pgbench</c> that writes the two rows of one event to a new stream in one
/// transaction with the same login. The callers, pgbench and PostgreSQL share the machine.
/// </summary>
internal sealed partial class AppendBench : IBench
{
    private static readonly int[] Callers = [1, 8, 32];
    private static readonly TimeSpan WarmUp = TimeSpan.FromMilliseconds(700);
    private static readonly TimeSpan Each = TimeSpan.FromSeconds(2);

    /// <summary>What pgbench does per transaction: a stream row and an event row, as the append writes them.</summary>
    private const string Script = $$"""
        begin;
        select set_config('app.current_organization_id', '{tenant}', true);
        with s as (insert into events.mt_streams (tenant_id, id, type, version, timestamp, created) values ('{tenant}', 'device-' || gen_random_uuid(), 'device', 1, now(), now()) returning tenant_id, id)
        insert into events.mt_events (seq_id, id, stream_id, version, data, type, timestamp, tenant_id, mt_dotnet_type, correlation_id, user_name, headers)
          select nextval('events.mt_events_sequence'), gen_random_uuid(), id, 1, '{{{Seed.SealedName}}, "type": "mobile", "owner": "019a2b3c-4d5e-7f60-8123-456789abcdef"}', 'device_registered', now(), tenant_id,
                 'Nubabel.Domain.Devices.DeviceRegistered, Nubabel.Domain', 'bench', 'user:019a2b3c-4d5e-7f60-8123-456789abcdef', '{"$v": 2, "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}' from s;
        commit;
        """;

    public string Name => "append";
    public string What => "appends through the engine, beside pgbench writing the same two rows of one event per transaction";

    private const string Tenant = "019a0000-0000-7000-8000-000000000001";
    private static readonly DeviceRegistered Registered = new(new(Guid.CreateVersion7()), Seed.Name, Seed.NameKey, DeviceType.Mobile, null);

    private ProcessorTime processor = null!;
    private readonly List<string[]> rows = [];
    private readonly Dictionary<string, double> numbers = [];

    public async Task<Report> Run(CancellationToken ct)
    {
        await using var database = await TestDatabase.New();
        processor = await ProcessorTime.Of(database.Superuser);
        foreach (var callers in Callers)
        {
            var before = processor.Now();
            var reference = await PgBench(database, callers, ct);
            Add("pgbench, the same two rows", callers, reference, new Measured(reference, 0, 0, 0, 0, (processor.Now().Server - before.Server) * 1e6 / (reference * Each.TotalSeconds)));
            var one = await Measure(database, callers, _ => Tenant, One, ct);
            Add("one tenant", callers, reference, one);
            Add("a tenant per caller", callers, reference, await Measure(database, callers, (caller, _) => Of(caller), One, ct));
            if (callers == 1) continue;
            var full = await Measure(database, callers, _ => Tenant, Full, ct);
            Add("one tenant, with claim and idempotency record", callers, reference, full);
            numbers[$"cost of claim and record/{callers}"] = 1 - full.PerSecond / one.PerSecond;
            var ten = await Measure(database, callers, _ => Tenant, Ten, ct);
            Add("10 events, expected version: events", callers, reference, ten with { PerSecond = ten.PerSecond * 10 });
        }
        await Neighbours(database, ct);
        return new Report(["append", "callers", "per second", "× pgbench", "p50 ms", "p99 ms", "bytes each", "client µs each", "server µs each"], rows, numbers,
            "pgbench: prepared statements, one thread, the same login. It has no client to speak of: it measures what PostgreSQL gives when a transaction is one append.",
            $"Claim and record cost {numbers["cost of claim and record/8"]:P0} at 8 callers, {numbers["cost of claim and record/32"]:P0} at 32. A tenant with nothing but conflicts takes {numbers["cost of a conflicting tenant"]:P0} of the others' rate.");
    }

    /// <summary>Many tenants, without and beside one that only ever conflicts.</summary>
    private async Task Neighbours(TestDatabase database, CancellationToken ct)
    {
        var reference = numbers["pgbench, the same two rows/32/per_second"];
        Add("1,000 tenants in turn", 32, reference, await Measure(database, 32, (caller, n) => Of((caller + n * 32) % 1000), One, ct));
        var alone = await Measure(database, 32, (caller, _) => Of(caller), One, ct);
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(ct);
        var conflicts = Enumerable.Range(0, 8).Select(_ => Conflicts(database, enough.Token)).ToArray();
        var beside = await Measure(database, 32, (caller, _) => Of(caller), One, ct);
        await enough.CancelAsync();
        Add("a tenant per caller, beside one that only conflicts (8 callers)", 32, reference, beside);
        numbers["cost of a conflicting tenant"] = 1 - beside.PerSecond / alone.PerSecond;
        numbers["conflicts per second"] = (await Task.WhenAll(conflicts)).Sum() / (WarmUp + Each).TotalSeconds;
    }

    private void Add(string what, int callers, double reference, Measured m)
    {
        var isReference = m.Bytes == 0;
        rows.Add([what, callers.ToString(CultureInfo.InvariantCulture), Report.Number(m.PerSecond, "0"), Report.Number(m.PerSecond / reference),
            isReference ? "" : Report.Number(m.P50), isReference ? "" : Report.Number(m.P99), isReference ? "" : Report.Number(m.Bytes, "0"),
            isReference ? "" : Report.Number(m.ClientMicros, "0"), Report.Number(m.ServerMicros, "0")]);
        (numbers[$"{what}/{callers}/per_second"], numbers[$"{what}/{callers}/server_us"]) = (m.PerSecond, m.ServerMicros);
        if (!isReference) (numbers[$"{what}/{callers}/p50_ms"], numbers[$"{what}/{callers}/p99_ms"], numbers[$"{what}/{callers}/of_pgbench"]) = (m.P50, m.P99, m.PerSecond / reference);
    }

    private sealed record Measured(double PerSecond, double P50, double P99, double Bytes, double ClientMicros, double ServerMicros);

    private static string Of(int tenant) => $"019a0000-0000-7000-8000-{tenant:x12}";

    private static StreamAppend New(Guid id, params ClaimValue[] claims) => new($"device-{id}", "device", StreamAppend.None, [Registered], claims, []);

    private static Task<Appended> One(Journal journal, Caller caller, CancellationToken ct) => journal.Append(journal.Now(), [New(Guid.CreateVersion7())], ct);

    private static Task<Appended> Full(Journal journal, Caller caller, CancellationToken ct)
    {
        var id = Guid.CreateVersion7();
        journal.Once = new IdempotencyRecord(journal.Tenant, "POST /api/devices", id.ToString(), new byte[32], 201);
        return journal.Append(journal.Now(), [New(id, new ClaimValue("device-name:bench", id.ToString()))], ct);
    }

    /// <summary>Onto the caller's own stream, of 200 events at most.</summary>
    private static Task<Appended> Ten(Journal journal, Caller caller, CancellationToken ct)
    {
        if (caller.Version is 0 or >= 200) (caller.Stream, caller.Version) = ($"device-{Guid.CreateVersion7()}", 0);
        var append = new StreamAppend(caller.Stream, "device", caller.Version, [.. Enumerable.Repeat<object>(Registered, 10)], [], []);
        caller.Version += 10;
        return journal.Append(journal.Now(), [append], ct);
    }

    private static async Task<int> Conflicts(TestDatabase database, CancellationToken ct)
    {
        var keys = new SubjectKeys(database.Database, TestDatabase.Master);
        for (var count = 0; ; count++)
        {
            if (ct.IsCancellationRequested) return count;
            var journal = JournalOf(database, keys, "019a0000-0000-7000-8000-ffffffffffff");
            var refused = await journal.Append(journal.Now(), [New(Guid.CreateVersion7()) with { Expected = 7 }], CancellationToken.None);
            if (refused is not Appended.Conflict) throw new InvalidOperationException($"Not refused: {refused}");
        }
    }

    /// <summary>What a caller remembers from one append to the next.</summary>
    private sealed class Caller
    {
        public string Stream { get; set; } = "";
        public long Version { get; set; }
    }

    // As a request does it: a journal each.
    private static Journal JournalOf(TestDatabase database, SubjectKeys keys, string tenant) => new(database.Database, Events.Types, keys, tenant,
        new Origin("user:019a2b3c-4d5e-7f60-8123-456789abcdef", null, "bench", null, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), () => { }, TimeProvider.System);

    private Task<Measured> Measure(TestDatabase database, int callers, Func<int, string> tenant, Func<Journal, Caller, CancellationToken, Task<Appended>> append, CancellationToken ct) =>
        Measure(database, callers, (caller, _) => tenant(caller), append, ct);

    private async Task<Measured> Measure(TestDatabase database, int callers, Func<int, int, string> tenant, Func<Journal, Caller, CancellationToken, Task<Appended>> append, CancellationToken ct)
    {
        var keys = new SubjectKeys(database.Database, TestDatabase.Master);
        await Task.WhenAll(Enumerable.Range(0, callers).Select(i => Call(i, WarmUp)));
        var (bytes, before) = (GC.GetTotalAllocatedBytes(), processor.Now());
        var watch = Stopwatch.StartNew();
        var taken = (await Task.WhenAll(Enumerable.Range(0, callers).Select(i => Call(i, Each)))).SelectMany(t => t).Order().ToArray();
        var seconds = watch.Elapsed.TotalSeconds;
        var after = processor.Now();
        return new Measured(taken.Length / seconds, taken[taken.Length / 2], taken[taken.Length * 99 / 100], (GC.GetTotalAllocatedBytes() - bytes) / (double)taken.Length,
            (after.Client - before.Client) * 1e6 / taken.Length, (after.Server - before.Server) * 1e6 / taken.Length);

        async Task<List<double>> Call(int number, TimeSpan time)
        {
            var answered = new List<double>(20_000);
            var caller = new Caller();
            var until = Stopwatch.GetTimestamp() + (long)(time.TotalSeconds * Stopwatch.Frequency);
            await Task.Yield();
            for (var n = 0; Stopwatch.GetTimestamp() < until; n++)
            {
                var begun = Stopwatch.GetTimestamp();
                var result = await append(JournalOf(database, keys, tenant(number, n)), caller, ct);
                if (result is not Appended.Done) throw new InvalidOperationException($"Refused: {result}");
                answered.Add(Stopwatch.GetElapsedTime(begun).TotalMilliseconds);
            }
            return answered;
        }
    }

    private static async Task<double> PgBench(TestDatabase database, int callers, CancellationToken ct)
    {
        var to = new NpgsqlConnectionStringBuilder(database.ApiString);
        var script = Path.Combine(Path.GetTempPath(), $"nubabel-append-{Guid.NewGuid():N}.sql");
        await File.WriteAllTextAsync(script, Script.Replace("{tenant}", "019a0000-0000-7000-8000-00000000ffff", StringComparison.Ordinal), ct);
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
}
