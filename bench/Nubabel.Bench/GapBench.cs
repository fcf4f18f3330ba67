using System.Diagnostics;
using Nubabel.Testing;

namespace Nubabel.Bench;

/// <summary>
/// A transaction has drawn a number and written its event, and rolls back. How long is the next event held up? Once it was committed while the other transaction still
/// ran (the time runs from the roll-back), once behind a gap that had rolled back before (the time runs from the commit).
/// </summary>
internal sealed class GapBench(Options options) : IBench
{
    private const int WarmUps = 20;
    private readonly TimeSpan each = options.Each(5);

    public string Name => "gap";
    public string What => "the next event visible in the read model behind a number that was rolled back";

    public async Task<Report> Run(CancellationToken ct)
    {
        await using var database = await TestDatabase.New();
        await using var node = BenchNode.Start(database, withDevices: true);
        await using var watch = await ReadModelWatch.Open(database, ct);
        var (open, closed) = (new List<double>(), new List<double>());
        for (var i = 0; i < WarmUps; i++) await Behind(node, watch, database, i % 2 == 0, ct);
        for (var clock = Stopwatch.StartNew(); clock.Elapsed < each * 2;)
        {
            open.Add(await Behind(node, watch, database, true, ct));
            closed.Add(await Behind(node, watch, database, false, ct));
        }
        open.Sort();
        closed.Sort();
        return Report.Of([Line("behind a gap whose transaction rolls back now", open), Line("behind a gap that was rolled back before", closed)],
            Quoted.Note, $"{open.Count} of each. The transaction of the first stays open for up to 200 ms behind the commit that it holds up.");
    }

    private static Row Line(string work, IReadOnlyList<double> sorted) => new(work, Load.At(sorted, 50), "ms")
    {
        P50 = Load.At(sorted, 50),
        P99 = Load.At(sorted, 99),
        Beside = [Quoted.MartenGap],
        Aim = Aim.AtMost(Load.At(sorted, 99), 100, "ms p99"),
    };

    private static async Task<double> Behind(BenchNode node, ReadModelWatch watch, TestDatabase database, bool isOpen, CancellationToken ct)
    {
        await using var connection = await database.Superuser.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        await using (var draw = connection.CreateCommand())
        {
            draw.CommandText = "select nextval('events.mt_events_sequence'), pg_current_xact_id()::text";
            await draw.ExecuteNonQueryAsync(ct);
        }
        if (!isOpen) await transaction.RollbackAsync(ct);
        var device = await node.Register(ct);
        if (isOpen)
        {
            await Task.Delay(Random.Shared.Next(200), ct);
            await transaction.RollbackAsync(ct);
        }
        return await watch.Since(Stopwatch.GetTimestamp(), device, ct);
    }
}
