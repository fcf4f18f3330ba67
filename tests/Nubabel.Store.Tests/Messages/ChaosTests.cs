using System.Diagnostics;
using System.Globalization;
using Nubabel.Testing;

namespace Nubabel.Store.Tests.Messages;

/// <summary>
/// Workers that are killed and frozen at random. The effect of a message is an event that commits with the end of the message, so each must be there exactly
/// once, and those of a key in their order. A few seconds here; <c>NUBABEL_STRESS_SECONDS</c> makes it long.
/// </summary>
public sealed class ChaosTests
{
    private const int Tenants = 4;
    private const int KeysOfTenant = 10;

    private static readonly int Seconds = int.Parse(Environment.GetEnvironmentVariable("NUBABEL_STRESS_SECONDS") ?? "4", CultureInfo.InvariantCulture);

    [Fact]
    public async Task Each_effect_happens_once_and_in_order_though_workers_are_killed_and_frozen()
    {
        var database = await TestDatabase.Shared;
        var queue = MessageNode.Queue();
        await using var sender = await MessageNode.Create(WorkerProcess.Options(queue), (_, _) => Task.CompletedTask);
        var tenants = Enumerable.Range(0, Tenants).Select(_ => Tally.Tenant()).ToArray();
        var workers = new WorkerProcess[3];
        for (var i = 0; i < workers.Length; i++) workers[i] = WorkerProcess.Start(database, queue, $"w{i}");
        await Task.WhenAll(workers.Select(w => w.Ready));

        var (clock, kills, freezes) = (Stopwatch.StartNew(), 0, 0);
        using var enough = new CancellationTokenSource();
        var feed = Feed(sender, tenants, enough.Token);
        while (clock.Elapsed.TotalSeconds < Seconds || kills == 0 || freezes == 0)
        {
            var victim = Random.Shared.Next(workers.Length);
            await workers[victim].Ready;
            if (kills < freezes)
            {
                await workers[victim].DisposeAsync();
                workers[victim] = WorkerProcess.Start(database, queue, $"w{victim}-{++kills}");
            }
            else
            {
                // Long enough, most of the time, for its lease to run out, so that it comes back as a zombie with work in hand.
                workers[victim].Freeze();
                await Task.Delay(WorkerProcess.Options(queue).Lease * (0.5 + 1.5 * Random.Shared.NextDouble()));
                workers[victim].Thaw();
                freezes++;
            }
        }
        await enough.CancelAsync();
        var sent = await feed;
        await sender.Done(TimeSpan.FromSeconds(120));
        foreach (var worker in workers) await worker.DisposeAsync();

        foreach (var tenant in tenants)
        {
            for (var k = 0; k < KeysOfTenant; k++)
            {
                var events = await sender.Journal(tenant).Read($"tally-{tenant}-{k}", Until.End, default);
                Assert.Equal(Enumerable.Range(0, sent).Where(n => n % KeysOfTenant == k && n % 4 != 3), events.Select(e => ((Counted)e.Data!).By));
            }
            Assert.Equal(sent, await database.Scalar<long>($"select count(*) from events.mt_events where tenant_id = '{tenant}'"));
            Assert.Equal(sent, await database.Scalar<long>($"select count(distinct (data ->> 'by')::int) from events.mt_events where tenant_id = '{tenant}'"));
        }
        Assert.Equal(0, await sender.Letters());
        Console.WriteLine($"{sent * Tenants} messages, {kills} kills, {freezes} freezes, {clock.Elapsed.TotalSeconds:0} s");
    }

    /// <summary>Keeps the workers busy without a mountain to come down from afterwards. Returns how many messages each tenant has sent.</summary>
    private static async Task<int> Feed(MessageNode sender, string[] tenants, CancellationToken enough)
    {
        for (var sent = 0; ; sent += 100)
        {
            if (enough.IsCancellationRequested && sent > 0) return sent;
            foreach (var tenant in tenants)
                await sender.Send(tenant, [.. Enumerable.Range(sent, 100).Select(n => new Message(new Note("", n)) { Key = n % 4 == 3 ? null : $"{tenant}-{n % KeysOfTenant}" })]);
            if (!enough.IsCancellationRequested) await MessageNode.Until(async () => enough.IsCancellationRequested || await sender.Left() < 1_000, () => "the workers do nothing", TimeSpan.FromMinutes(1));
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
}
