using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Npgsql;

namespace Nubabel.Bench;

/// <summary>PostgreSQL's own load generator with a script of ours: what the server gives where the client costs nothing. Prepared statements, one thread.</summary>
internal static partial class PgBench
{
    /// <param name="connection">The login that the engine uses too.</param>
    /// <param name="script">One transaction.</param>
    public static async Task<Measured> Run(string connection, int callers, TimeSpan time, string script, CancellationToken ct)
    {
        var to = new NpgsqlConnectionStringBuilder(connection);
        var file = Path.Combine(Path.GetTempPath(), $"nubabel-pgbench-{Guid.NewGuid():N}.sql");
        await File.WriteAllTextAsync(file, script, ct);
        try
        {
            var seconds = Math.Max(1, (int)Math.Round(time.TotalSeconds));
            var start = new ProcessStartInfo(Command(),
                ["-n", "-M", "prepared", "-c", $"{callers}", "-j", "1", "-T", $"{seconds}", "-f", file, "-h", to.Host!, "-p", $"{to.Port}", "-U", to.Username!, to.Database!])
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
                Environment = { ["PGPASSWORD"] = to.Password ?? "" },
            };
            var postgres = await PostgresProcesses.Open();
            var (before, watch) = (postgres.Cpu(), Stopwatch.StartNew());
            using var process = Process.Start(start)!;
            var (output, errors) = (process.StandardOutput.ReadToEndAsync(ct), process.StandardError.ReadToEndAsync(ct));
            await process.WaitForExitAsync(ct);
            var said = await output;
            if (Rate().Match(said) is not { Success: true } rate) throw new InvalidOperationException($"pgbench: {await errors}{said}");
            return new Measured(Number(rate), PostgresCpu: (postgres.Cpu() - before).TotalSeconds / watch.Elapsed.TotalSeconds);
        }
        finally
        {
            File.Delete(file);
        }
    }

    /// <summary>Debian keeps it beside the server and not on the path.</summary>
    private static string Command() =>
        Directory.Exists("/usr/lib/postgresql")
            ? Directory.EnumerateFiles("/usr/lib/postgresql", "pgbench", SearchOption.AllDirectories).OrderDescending(StringComparer.Ordinal).FirstOrDefault() ?? "pgbench"
            : "pgbench";

    private static double Number(Match match) => double.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"tps = ([\d.]+)")]
    private static partial Regex Rate();
}
