using System.Diagnostics;
using System.Globalization;
using Npgsql;
using Nubabel.Projections;
using Nubabel.Projections.Audit;
using Nubabel.Projections.Devices;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Bench;

/// <summary>
/// Read models rebuilt from the whole log, from the order to the exchange of the tables with indexes and statistics: documents of one stream each, documents over
/// streams, and rows. Beside them the bare <c>COPY … TO STDOUT</c> of the same log to nowhere. <c>NUBABEL_BENCH_EVENTS</c> says how long the log is.
/// </summary>
internal sealed class RebuildBench : IBench
{
    private const int EventsOfStream = 10;
    private const int Actors = 10_000;

    private static readonly int Total = int.TryParse(Environment.GetEnvironmentVariable("NUBABEL_BENCH_EVENTS"), NumberStyles.None, CultureInfo.InvariantCulture, out var given) ? given : 200_000;

    /// <summary>A long log is worked through once, or the bench would not end in time.</summary>
    private static readonly int Times = Total > 300_000 ? 1 : 3;

    public string Name => "rebuild";
    public string What => $"read models from a log of {Total} events, {EventsOfStream} of each stream, all streams in turns; the median of {Times}";

    public async Task<Report> Run(CancellationToken ct)
    {
        await using var database = await TestDatabase.New();
        await Fill(database, ct);
        var models = new ProjectionSet(Events.Types).Documents<DeviceList, DeviceRow>().Documents<Doings, Doing>().Rows<AuditTrail, AuditRow>();
        await ReadTables.Ensure(database.Owner, models, "nubabel_api", "nubabel_daemon", ct);
        await using var daemon = NpgsqlDataSource.Create(database.DaemonString);
        var rows = new List<string[]>();
        var numbers = new Dictionary<string, double>();
        var copied = await Median(_ => Copied(daemon, ct));
        Add("COPY (select …) TO STDOUT, to nowhere", copied, 0, 0);
        foreach (var (name, what) in new[] { (DeviceList.Name, $"documents by stream, {Total / EventsOfStream}"), (Doings.Name, $"documents over streams, {Actors}"), (AuditTrail.Name, "rows, one each, five indexes") })
        {
            using var memory = new Memory();
            var seconds = await Median(async _ =>
            {
                var watch = Stopwatch.StartNew();
                var ended = await Rebuild.Run(daemon, database.DaemonString, models, name, _ => { }, ct);
                if (ended.State != RebuildState.Published || ended.ParkedKeys > 0) throw new InvalidOperationException($"{ended}");
                return watch.Elapsed.TotalSeconds;
            });
            Add(what, seconds, memory.Highest, copied);
        }
        return new Report(["what", "events/s", "s", "of COPY", "highest working set, MB"], rows, numbers,
            "From the order to the published table: the load, the indexes, the statistics, the exchange. Client and server share the machine.");

        void Add(string what, double seconds, double megabytes, double reference)
        {
            rows.Add([what, Report.Number(Total / seconds, "0"), Report.Number(seconds), reference > 0 ? Report.Number(reference / seconds) : "", megabytes > 0 ? Report.Number(megabytes, "0") : ""]);
            (numbers[$"{what}/per_second"], numbers[$"{what}/megabytes"]) = (Total / seconds, megabytes);
        }
    }

    /// <summary>What an event of a device looks like in the log of the product, with all its metadata.</summary>
    private static async Task Fill(TestDatabase database, CancellationToken ct)
    {
        await database.Run($$"""
            insert into events.mt_streams (tenant_id, id, type, version)
            select '019a0000-0000-7000-8000-' || lpad((i % 100)::text, 12, '0'), 'device-019a1111-0000-7000-8000-' || lpad(i::text, 12, '0'), 'device', {{EventsOfStream}} from generate_series(1, {{Total / EventsOfStream}}) i
            """).WaitAsync(ct);
        // A statement for each version: one for all would take longer than a statement may.
        for (var v = 1; v <= EventsOfStream; v++) await Versions(database, v).WaitAsync(ct);
        await database.Run("analyze events.mt_events; analyze events.mt_streams").WaitAsync(ct);
    }

    private static Task Versions(TestDatabase database, int v) => database.Run($$"""
        insert into events.mt_events (seq_id, id, stream_id, version, data, type, timestamp, tenant_id, mt_dotnet_type, correlation_id, headers, user_name)
        select nextval('events.mt_events_sequence'), gen_random_uuid(), 'device-019a1111-0000-7000-8000-' || lpad(i::text, 12, '0'), v,
          case when v = 1 then jsonb_build_object('owner', '019a2222-0000-7000-8000-' || lpad((i % {{Actors}})::text, 12, '0'), 'type', 'mobile') || '{{{Seed.SealedName}}}'::jsonb
               else '{{{Seed.SealedName}}}'::jsonb end,
          case when v = 1 then 'device_registered' else 'device_renamed' end, now(), '019a0000-0000-7000-8000-' || lpad((i % 100)::text, 12, '0'), 'Nubabel.Domain.Devices.DeviceRenamed, Nubabel.Domain',
          md5(v::text || i), jsonb_build_object('$v', 2, 'traceparent', '00-' || md5(i::text || v) || '-01'), 'user:019a2222-0000-7000-8000-' || lpad((i % {{Actors}})::text, 12, '0')
        from generate_series({{v}}, {{v}}) v, generate_series(1, {{Total / EventsOfStream}}) i order by i
        """);

    private static async Task<double> Copied(NpgsqlDataSource daemon, CancellationToken ct)
    {
        var watch = Stopwatch.StartNew();
        await using var connection = await daemon.OpenConnectionAsync(ct);
        await using var copy = await connection.BeginRawBinaryCopyAsync(
            "copy (select seq_id, tenant_id, stream_id, version, type, data, timestamp, id, user_name, correlation_id, causation_id, headers from events.mt_events order by seq_id) to stdout (format binary)", ct);
        var buffer = new byte[128 << 10];
        while (await copy.ReadAsync(buffer, ct) > 0) { }
        return watch.Elapsed.TotalSeconds;
    }

    private static async Task<double> Median(Func<int, Task<double>> measure)
    {
        var measured = new List<double>();
        for (var i = 0; i < Times; i++) measured.Add(await measure(i));
        return measured.Order().ElementAt(Times / 2);
    }

    private sealed record Doing(long Events, DateTimeOffset Last, string Name);

    /// <summary>What somebody did last: a document over many streams.</summary>
    private sealed class Doings : IDocument<Doing>
    {
        public static string Name => "doings";
        public static int Version => 1;
        public static IReadOnlyList<string> Types => DeviceList.Types;
        public static Columns<Doing> Columns { get; } = new Columns<Doing>().Add("last", row => row.Last).Index("Who did something last.", "last desc");
        public static string? Key(Recorded e) => e.Actor;

        public static Doing? Evolve(Doing? row, Recorded e) => new((row?.Events ?? 0) + 1, e.At, e.Data switch
        {
            Domain.Devices.DeviceRegistered r => r.Name.Cipher,
            Domain.Devices.DeviceRenamed r => r.Name.Cipher,
            _ => row?.Name ?? "",
        });
    }

    /// <summary>The highest working set of this process while it is looked at.</summary>
    private sealed class Memory : IDisposable
    {
        private readonly Timer timer;
        private long highest;

        public Memory()
        {
            GC.Collect();
            timer = new Timer(_ => highest = Math.Max(highest, Environment.WorkingSet), null, 0, 20);
        }

        public double Highest => highest / (double)(1 << 20);

        public void Dispose() => timer.Dispose();
    }
}
