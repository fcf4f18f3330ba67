using System.Diagnostics;
using System.Globalization;
using Npgsql;

namespace Nubabel.Bench;

/// <summary>
/// The processor time of this process and of the PostgreSQL server beside it, over all its sessions, ended ones included (Linux: <c>/proc</c>). On a machine
/// that others use too it says more than the clock.
/// </summary>
internal sealed class ProcessorTime
{
    private readonly int postmaster;

    private ProcessorTime(int postmaster) => this.postmaster = postmaster;

    public static async Task<ProcessorTime> Of(NpgsqlDataSource server)
    {
        await using var command = server.CreateCommand("select pg_backend_pid()");
        var backend = (int)(await command.ExecuteScalarAsync())!;
        return new ProcessorTime(File.Exists($"/proc/{backend}/stat") ? (int)Stat(backend)[1] : 0);
    }

    /// <summary>Seconds of this process and of the server; the server's are 0 where it runs elsewhere.</summary>
    public (double Client, double Server) Now()
    {
        double ticks = 0;
        if (postmaster > 0)
        {
            // Fields 14 and 15 are its own time, 16 and 17 that of children that have ended.
            ticks = Stat(postmaster)[11..15].Sum();
            foreach (var child in File.ReadAllText($"/proc/{postmaster}/task/{postmaster}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries))
            {
                try
                {
                    ticks += Stat(int.Parse(child, CultureInfo.InvariantCulture))[11..13].Sum();
                }
                catch (IOException)
                {
                    // It has ended between the list and the look; its time is with the ended ones at the next look.
                }
            }
        }
        return (Process.GetCurrentProcess().TotalProcessorTime.TotalSeconds, ticks / 100);
    }

    // What follows the name, which may hold blanks: state, parent, …
    private static double[] Stat(int process)
    {
        var text = File.ReadAllText($"/proc/{process}/stat");
        return [.. text[(text.LastIndexOf(')') + 2)..].Split(' ').Select(f => double.TryParse(f, CultureInfo.InvariantCulture, out var number) ? number : 0)];
    }
}
