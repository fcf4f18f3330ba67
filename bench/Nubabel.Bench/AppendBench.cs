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
/// The engine's append alone: one event to a new stream, with all metadata, under row-level security, beside <c>pgbench</c> that writes the same two rows in one
/// transaction with the same login. The callers, pgbench and PostgreSQL share the machine.
/// </summary>
internal sealed partial class AppendBench : IBench
{
    private static readonly int[] Callers = [1, 8, 32];
    private static readonly TimeSpan WarmUp = TimeSpan.FromMilliseconds(700);
    private static readonly TimeSpan Each = TimeSpan.FromSeconds(3);

    /// <summary>What pgbench does per transaction: a stream row and an event row, as the append writes them.</summary>
    private const string Script = """
        begin;
        select set_config('app.current_organization_id', '{tenant}', true);
        with s as (insert into events.mt_streams (tenant_id, id, type, version, timestamp, created) values ('{tenant}', 'device-' || gen_random_uuid(), 'device', 1, now(), now()) returning tenant_id, id)
        insert into events.mt_events (seq_id, id, stream_id, version, data, type, timestamp, tenant_id, mt_dotnet_type, correlation_id, user_name, headers)
          select nextval('events.mt_events_sequence'), gen_random_uuid(), id, 1, '{"name": "phone", "type": "mobile", "owner": "019a2b3c-4d5e-7f60-8123-456789abcdef"}', 'device_registered', now(), tenant_id,
                 'Nubabel.Domain.Devices.DeviceRegistered, Nubabel.Domain', 'bench', 'user:019a2b3c-4d5e-7f60-8123-456789abcdef', '{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}' from s;
        commit;
        """;

    public string Name => "append";
    public string What => "one event to a new stream, through the engine, beside pgbench writing the same two rows per transaction";

    public async Task<Report> Run(CancellationToken ct)
    {
        await using var database = await TestDatabase.New();
        var rows = new List<string[]>();
        var numbers = new Dictionary<string, double>();
        foreach (var callers in Callers)
        {
            var reference = await PgBench(database, callers, ct);
            Add("pgbench, the same two rows", callers, reference, new Measured(reference, 0, 0, 0));
            Add("one tenant", callers, reference, await Measure(database, callers, _ => "019a0000-0000-7000-8000-000000000001", full: false, ct));
            Add("a tenant per caller", callers, reference, await Measure(database, callers, i => $"019a0000-0000-7000-8000-{i:x12}", full: false, ct));
            if (callers == 8) Add("one tenant, with claim and idempotency record", callers, reference, await Measure(database, callers, _ => "019a0000-0000-7000-8000-000000000001", full: true, ct));
        }
        return new Report(["append", "callers", "per second", "× pgbench", "p50 ms", "p99 ms", "bytes allocated each"], rows, numbers,
            "pgbench: prepared statements, one thread, the same login. It has no client to speak of: it measures what PostgreSQL gives when a transaction is one append.");

        void Add(string what, int callers, double reference, Measured m)
        {
            var isReference = m.Bytes == 0;
            rows.Add([what, callers.ToString(CultureInfo.InvariantCulture), Report.Number(m.PerSecond, "0"), Report.Number(m.PerSecond / reference),
                isReference ? "" : Report.Number(m.P50), isReference ? "" : Report.Number(m.P99), isReference ? "" : Report.Number(m.Bytes, "0")]);
            numbers[$"{what}/{callers}/per_second"] = m.PerSecond;
            if (!isReference) (numbers[$"{what}/{callers}/p50_ms"], numbers[$"{what}/{callers}/p99_ms"], numbers[$"{what}/{callers}/of_pgbench"]) = (m.P50, m.P99, m.PerSecond / reference);
        }
    }

    private sealed record Measured(double PerSecond, double P50, double P99, double Bytes);

    private static async Task<Measured> Measure(TestDatabase database, int callers, Func<int, string> tenant, bool full, CancellationToken ct)
    {
        var keys = new SubjectKeys(database.Database.Api, TestDatabase.Master);
        var registered = new DeviceRegistered(new(Guid.CreateVersion7()), DeviceName.Parse("phone"), DeviceType.Mobile, null);
        await Task.WhenAll(Enumerable.Range(0, callers).Select(i => Call(i, WarmUp)));
        var bytes = GC.GetTotalAllocatedBytes();
        var watch = Stopwatch.StartNew();
        var taken = (await Task.WhenAll(Enumerable.Range(0, callers).Select(i => Call(i, Each)))).SelectMany(t => t).Order().ToArray();
        var seconds = watch.Elapsed.TotalSeconds;
        return new Measured(taken.Length / seconds, taken[taken.Length / 2], taken[taken.Length * 99 / 100], (GC.GetTotalAllocatedBytes() - bytes) / (double)taken.Length);

        async Task<List<double>> Call(int caller, TimeSpan time)
        {
            var answered = new List<double>(20_000);
            var until = Stopwatch.GetTimestamp() + (long)(time.TotalSeconds * Stopwatch.Frequency);
            var mine = tenant(caller);
            await Task.Yield();
            while (Stopwatch.GetTimestamp() < until)
            {
                var begun = Stopwatch.GetTimestamp();
                // As a request does it: a journal each.
                var journal = new Journal(database.Database, Events.Types, keys, mine, new Origin("user:019a2b3c-4d5e-7f60-8123-456789abcdef", null, "bench", null, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), () => { }, TimeProvider.System);
                var id = Guid.CreateVersion7();
                if (full) journal.Once = new IdempotencyRecord(mine, "POST /api/devices", id.ToString(), new byte[32], 201);
                IReadOnlyList<ClaimValue> claims = full ? [new ClaimValue("device-name:bench", id.ToString())] : [];
                var result = await journal.Append(journal.Now(), [new StreamAppend($"device-{id}", "device", StreamAppend.None, [registered], claims, [])], ct);
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
