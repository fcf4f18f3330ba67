using System.Diagnostics;
using System.Globalization;
using Nubabel.Testing;
using Xunit.Abstractions;

namespace Nubabel.Store.Tests.Messages;

/// <summary>
/// Workers that are killed and frozen at random, and a database that is restarted. A few seconds here; <c>NUBABEL_STRESS_SECONDS</c> makes it long, and
/// <c>NUBABEL_CHAOS_DEEDS=200 NUBABEL_CHAOS_MESSAGES=20000</c> says how much is to happen whatever time it takes.
/// </summary>
public sealed class ChaosTests(ITestOutputHelper output)
{
    private static readonly int Seconds = Number("NUBABEL_STRESS_SECONDS", 4), Deeds = Number("NUBABEL_CHAOS_DEEDS", 2), Messages = Number("NUBABEL_CHAOS_MESSAGES", 1_000);

    [Fact]
    public async Task Each_effect_happens_once_and_in_order_though_workers_are_killed_and_frozen()
    {
        await using var turmoil = await Turmoil.Begin(await TestDatabase.Shared, workers: 3, Messages);
        var clock = Stopwatch.StartNew();
        // Each of them by itself, so that two may be gone at the same time, and all three now and then.
        await Task.WhenAll(Enumerable.Range(0, turmoil.Workers).Select(async place =>
        {
            for (var kill = place == 0; clock.Elapsed.TotalSeconds < Seconds || turmoil.Kills == 0 || turmoil.Freezes == 0 || turmoil.Kills + turmoil.Freezes < Deeds; kill = Random.Shared.Next(2) == 0)
            {
                if (kill) await turmoil.Kill(place);
                else await turmoil.Freeze(place);
                await turmoil.More(20);
            }
        }));
        var messages = await turmoil.EachEffectIsThereOnceAndInOrder();
        output.WriteLine($"{messages} messages, {turmoil.Kills} kills, {turmoil.Freezes} freezes, {clock.Elapsed.TotalSeconds:0} s");
    }

    /// <summary>Stopped in order, and as if it had crashed: what was not yet written to the log file, takes above all, is then lost.</summary>
    [Fact]
    public async Task Each_effect_happens_once_and_in_order_though_PostgreSQL_is_restarted()
    {
        var server = await TestServer.StartOwn();
        try
        {
            await using var database = await TestDatabase.New(server);
            await using var turmoil = await Turmoil.Begin(database, workers: 2, Messages);
            var (clock, restarts) = (Stopwatch.StartNew(), 0);
            do
            {
                foreach (var mode in (string[])["fast", "immediate"])
                {
                    await turmoil.More(200);
                    await server.Stop(mode);
                    await server.Resume();
                    restarts++;
                }
            }
            while (clock.Elapsed.TotalSeconds < Seconds || restarts < Deeds / 10);
            await turmoil.More(200);
            var messages = await turmoil.EachEffectIsThereOnceAndInOrder();
            output.WriteLine($"{messages} messages, {restarts} restarts of PostgreSQL, {clock.Elapsed.TotalSeconds:0} s");
        }
        finally
        {
            await server.Stop("immediate");
        }
    }

    [Fact]
    public async Task The_work_of_a_killed_process_runs_again_within_two_leases()
    {
        var database = await TestDatabase.Shared;
        var options = WorkerProcess.Options(MessageNode.Queue());
        await using var worker = WorkerProcess.Start(database, options.Name, "first");
        await worker.Ready;
        var again = new TaskCompletionSource<int>();
        await using var other = await MessageNode.Create(options, (_, context) =>
        {
            again.TrySetResult(context.Delivery.Losses);
            return Task.CompletedTask;
        });
        await other.Send(Tally.Tenant(), new Message(new Note("hang")) { Key = "k" });
        await MessageNode.Until(async () => await other.Lanes("worker is not null") == 1, () => "nobody took it");
        other.Daemon.Start();
        await worker.Kill();
        var clock = Stopwatch.StartNew();
        Assert.Equal(1, await again.Task.WaitAsync(MessageNode.Bound));
        Assert.True(clock.Elapsed < options.Lease * 2, $"{clock.Elapsed}");
        await other.Done();
    }

    private static int Number(string name, int otherwise) => int.TryParse(Environment.GetEnvironmentVariable(name), CultureInfo.InvariantCulture, out var number) ? number : otherwise;
}
