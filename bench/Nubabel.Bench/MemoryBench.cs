using System.Diagnostics;
using Nubabel.Testing;

namespace Nubabel.Bench;

/// <summary>
/// How much memory a process takes over a large log, which it must not hold: the command line that rebuilds a read model, and a server that catches up with the whole log.
/// Real processes; the peak is what Linux counted as resident.
/// </summary>
internal sealed class MemoryBench(Options options) : IBench
{
    private const int EventsEach = 20;
    private const int Tenants = 100;
    private const double Bound = 300;
    private readonly long events = options.Events ?? 1_000_000;

    public string Name => "memory";
    public string What => $"memory of a rebuild and of a server's catching up over {events:N0} events";
    public TimeSpan Longest => TimeSpan.FromSeconds(120) + TimeSpan.FromSeconds(120) * (events / 1e6);

    public async Task<Report> Run(CancellationToken ct)
    {
        await using var database = await TestDatabase.New();
        await Seed.Devices(database, events / EventsEach, EventsEach, Tenants);
        var catchUp = await CatchUp(database, ct);
        var devices = await Peak(database, ["projections", "rebuild", "devices"], ct);
        var audit = await Peak(database, ["projections", "rebuild", "audit"], ct);
        return Report.Of([
            Line("a server catches up with the log, all read models", catchUp),
            Line($"rebuild of devices, {events / EventsEach:N0} documents", devices),
            Line($"rebuild of the audit trail, {events:N0} rows", audit)],
            $"In {catchUp.Seconds:0}, {devices.Seconds:0} and {audit.Seconds:0} s: {Rate(catchUp)}, {Rate(devices)} and {Rate(audit)} events/s.",
            "The peak is the process's resident memory, which a garbage collector lets grow where the machine has it.");
    }

    private string Rate((double Mb, double Seconds) m) => (events / m.Seconds).ToString("#,0", System.Globalization.CultureInfo.InvariantCulture);

    private static Row Line(string work, (double Mb, double Seconds) m) => new(work, m.Mb, "MB") { PeakMb = m.Mb, Aim = Aim.AtMost(m.Mb, Bound, "MB") };

    private static async Task<(double Mb, double Seconds)> CatchUp(TestDatabase database, CancellationToken ct)
    {
        var last = await database.Scalar<long>("select max(seq_id) from events.mt_events");
        var watch = Stopwatch.StartNew();
        await using var server = await ServerProcess.Start(database, owns: false, [], ct);
        while (await database.Scalar<long>("select count(*) from events.mt_event_progression where name like '%:All'") == 0
               || await database.Scalar<long>("select min(last_seq_id) from events.mt_event_progression where name like '%:All'") < last) await Task.Delay(100, ct);
        return (ProcessMemory.Peak(server.Id), watch.Elapsed.TotalSeconds);
    }

    /// <summary>Runs a verb to its end. Its peak is looked at until then, as it goes with the process.</summary>
    private static async Task<(double Mb, double Seconds)> Peak(TestDatabase database, string[] verb, CancellationToken ct)
    {
        var data = Directory.CreateTempSubdirectory("nubabel-bench-").FullName;
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "nubabel.dll"), .. verb]) { WorkingDirectory = data, RedirectStandardOutput = true, RedirectStandardError = true };
        ServerProcess.Configure(start, database, data);
        var watch = Stopwatch.StartNew();
        using var process = Process.Start(start)!;
        var (output, errors, peak) = (process.StandardOutput.ReadToEndAsync(ct), process.StandardError.ReadToEndAsync(ct), 0.0);
        while (!process.HasExited)
        {
            try
            {
                peak = Math.Max(peak, ProcessMemory.Peak(process.Id));
            }
            catch (IOException)
            {
                // It has just ended.
            }
            await Task.Delay(20, ct);
        }
        Directory.Delete(data, recursive: true);
        return process.ExitCode == 0 ? (peak, watch.Elapsed.TotalSeconds) : throw new InvalidOperationException($"{string.Join(' ', verb)}: {await output}{await errors}");
    }
}
