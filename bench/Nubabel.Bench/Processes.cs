using System.Diagnostics;
using System.Globalization;
using Npgsql;
using Nubabel.Testing;

namespace Nubabel.Bench;

/// <summary>Memory of processes, as Linux counts it.</summary>
internal static class ProcessMemory
{
    /// <summary>The most that was resident since the start or <see cref="ResetPeak"/>, in MB (10⁶ bytes).</summary>
    public static double Peak(int? pid = null) => Read(pid, "VmHWM:");

    public static double Resident(int? pid = null) => Read(pid, "VmRSS:");

    /// <summary>From here on the peak counts anew.</summary>
    public static void ResetPeak(int? pid = null)
    {
        GC.Collect();
        File.WriteAllText($"/proc/{Name(pid)}/clear_refs", "5");
    }

    private static double Read(int? pid, string name) =>
        File.ReadLines($"/proc/{Name(pid)}/status").FirstOrDefault(l => l.StartsWith(name, StringComparison.Ordinal))?[name.Length..].Trim().Split(' ')[0] is { } kib
            ? double.Parse(kib, CultureInfo.InvariantCulture) * 1024 / 1e6
            : 0;

    private static string Name(int? pid) => pid?.ToString(CultureInfo.InvariantCulture) ?? "self";
}

/// <summary>The processor time of the PostgreSQL that is measured: the postmaster, its children, and those of them that have ended.</summary>
internal sealed class PostgresProcesses
{
    private const double TicksPerSecond = 100;
    private readonly int postmaster;

    private PostgresProcesses(int postmaster) => this.postmaster = postmaster;

    public static async Task<PostgresProcesses> Open()
    {
        await using var server = NpgsqlDataSource.Create((await TestServer.Shared).Superuser);
        await using var ask = server.CreateCommand("select split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::int");
        return new PostgresProcesses((int)(await ask.ExecuteScalarAsync())!);
    }

    public TimeSpan Cpu()
    {
        var seconds = 0.0;
        foreach (var directory in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(directory), CultureInfo.InvariantCulture, out var pid)) continue;
            try
            {
                // Behind the name in parentheses, which may hold anything: state, parent, …; 11 to 14 are own and ended children's time.
                var stat = File.ReadAllText($"{directory}/stat");
                var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
                if (pid == postmaster) seconds += Ticks(fields, 11) + Ticks(fields, 12) + Ticks(fields, 13) + Ticks(fields, 14);
                else if (fields[1] == postmaster.ToString(CultureInfo.InvariantCulture)) seconds += Ticks(fields, 11) + Ticks(fields, 12);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // It has just ended; the postmaster's account has its time.
            }
        }
        return TimeSpan.FromSeconds(seconds);
    }

    private static double Ticks(string[] fields, int at) => double.Parse(fields[at], CultureInfo.InvariantCulture) / TicksPerSecond;
}
