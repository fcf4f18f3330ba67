using System.Diagnostics;
using Nubabel.Testing;

namespace Nubabel.Bench;

/// <summary>
/// From the commit of an event to its row in a read model, as another session sees it: where the appending process runs the projection, and where another process does.
/// One event at a time, with pauses of any length up to 20 ms, so that the daemon is met at rest as well as at work.
/// </summary>
internal sealed class VisibleBench(Options options) : IBench
{
    private const int LongestPauseMs = 20;
    private readonly TimeSpan each = options.Each(10);

    public string Name => "visible";
    public string What => "from the commit to the row in the read model, in the same process and in another";

    public TimeSpan Longest => TimeSpan.FromSeconds(30) + (Load.CompilerTime + each) * 2;

    public async Task<Report> Run(CancellationToken ct)
    {
        var same = await Same(ct);
        var other = await Other(ct);
        return Report.Of([Line("commit to visible, same process", same), Line("commit to visible, another process", other)],
            Quoted.Note, $"{same.Count} and {other.Count} events. The reader looks again as soon as it has its answer, over a connection of its own, so a look's own time is in the figures.");
    }

    private static Row Line(string work, IReadOnlyList<double> sorted) => new(work, Load.At(sorted, 50), "ms")
    {
        P50 = Load.At(sorted, 50),
        P99 = Load.At(sorted, 99),
        Beside = [Quoted.MartenVisible],
        Aim = Aim.AtMost(Load.At(sorted, 50), 5, "ms").And(Aim.AtMost(Load.At(sorted, 99), 30, "ms p99")),
    };

    private async Task<List<double>> Same(CancellationToken ct)
    {
        await using var database = await TestDatabase.New();
        await using var node = BenchNode.Start(database, withDevices: true);
        return await Measure(database, node, ct);
    }

    private async Task<List<double>> Other(CancellationToken ct)
    {
        await using var server = await ServerProcess.Start(ct);
        await using var node = BenchNode.Start(server.Database, withDevices: false);
        return await Measure(server.Database, node, ct);
    }

    private async Task<List<double>> Measure(TestDatabase database, BenchNode node, CancellationToken ct)
    {
        await using var watch = await ReadModelWatch.Open(database, ct);
        for (var warm = Stopwatch.StartNew(); warm.Elapsed < Load.CompilerTime;) await One();
        var (taken, clock) = (new List<double>(), Stopwatch.StartNew());
        while (clock.Elapsed < each)
        {
            taken.Add(await One());
            await Task.Delay(Random.Shared.Next(LongestPauseMs), ct);
        }
        taken.Sort();
        return taken;

        async Task<double> One()
        {
            var device = await node.Register(ct);
            return await watch.Since(Stopwatch.GetTimestamp(), device, ct);
        }
    }
}
