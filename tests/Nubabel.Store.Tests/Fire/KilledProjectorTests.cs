using Xunit.Abstractions;

namespace Nubabel.Store.Tests.Fire;

/// <summary>The process that projects is killed again and again while writers write.</summary>
public sealed class KilledProjectorTests(ITestOutputHelper output) : IAsyncLifetime
{
    /// <summary>Six where everybody waits for the suite, twenty where somebody asks for a stress.</summary>
    private static readonly int Kills = Traffic.IsLong ? 20 : 6;

    /// <summary>A process that has just started, on a machine full of others, behind a gap of two seconds.</summary>
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(30);

    private EngineDatabase database = null!;

    public async Task InitializeAsync() => database = await EngineDatabase.Create();
    public async Task DisposeAsync() => await database.DisposeAsync();

    [Fact]
    public async Task A_projecting_process_killed_again_and_again_loses_nothing_and_doubles_nothing()
    {
        await ReadTables.Ensure(database.Owner, Tallies.Projections(), EngineDatabase.ApiLogin, EngineDatabase.DaemonLogin);
        var traffic = new Traffic(database);
        using var over = new CancellationTokenSource();
        var writing = Task.Run(async () =>
        {
            while (!over.IsCancellationRequested) await traffic.Run(6, TimeSpan.FromSeconds(0.5));
        });
        var random = new Random(20);
        // The next one is started while the one before is at work, so that somebody projects most of the time.
        var next = NodeChild.Ready(database, "process 0");
        for (var kill = 1; kill <= Kills; kill++)
        {
            await using var child = await next;
            next = NodeChild.Ready(database, $"process {kill}");
            var before = await Checkpoint();
            await child.Go();
            await TestWait.Until($"{child.Name} projects", async () => await Checkpoint() > before, Bound);
            await Task.Delay(random.Next(Traffic.IsLong ? 1_000 : 150));
            await child.Kill();
        }
        await over.CancelAsync();
        await writing;

        await using var last = await next;
        await last.Go();
        await TestWait.Until("everything is projected", async () => await Checkpoint() >= traffic.Committed.Max(), Bound);
        Assert.Null(await traffic.Difference());
        output.WriteLine($"{traffic.Transactions} transactions, {traffic.Committed.Count} events, {Kills} kills");
    }

    /// <summary>How far the slowest projection is.</summary>
    private Task<long> Checkpoint() => database.Scalar<long>("select case when count(*) = 3 then min(last_seq_id) else 0 end from events.mt_event_progression where name <> 'HighWaterMark'");
}
