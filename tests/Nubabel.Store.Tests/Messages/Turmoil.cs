using System.Globalization;
using Npgsql;
using Nubabel.Testing;

namespace Nubabel.Store.Tests.Messages;

/// <summary>
/// Worker processes under load while something is done to them, and what must be true afterwards. The effect of a message is an event that commits with its end, in the stream of its
/// key; every tenth enqueues a further message in the same commit, whose effect is an event as well. So an effect that is lost, doubled or out of order shows in the log.
/// </summary>
internal sealed class Turmoil : IAsyncDisposable
{
    private const int Tenants = 4;
    private const int KeysOfTenant = 10;
    private const int Together = 100;

    /// <summary>Of what the workers may have before them at a time: enough that there is always something in hand, and no mountain to come down from.</summary>
    private const int Waiting = 1_000;

    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(1);

    private readonly TestDatabase database;
    private readonly string queue;
    private readonly MessageNode sender;
    private readonly string[] tenants = [.. Enumerable.Range(0, Tenants).Select(_ => Tally.Tenant())];
    private readonly WorkerProcess[] workers;
    private readonly CancellationTokenSource enough = new();
    private readonly Task<int> feed;
    private int started;
    private int kills, freezes;
    private volatile bool over;

    private Turmoil(TestDatabase database, string queue, MessageNode sender, int workers, int least)
    {
        (this.database, this.queue, this.sender) = (database, queue, sender);
        this.workers = [.. Enumerable.Range(0, workers).Select(_ => Start())];
        feed = Feed(least);
    }

    public int Kills => kills;
    public int Freezes => freezes;
    public int Workers => workers.Length;

    /// <param name="least">How many messages go through, whatever else happens.</param>
    public static async Task<Turmoil> Begin(TestDatabase database, int workers, int least)
    {
        var queue = MessageNode.Queue();
        var made = new Turmoil(database, queue, await MessageNode.Create(WorkerProcess.Options(queue), (_, _) => Task.CompletedTask, on: database), workers, least);
        await Task.WhenAll(made.workers.Select(w => w.Ready));
        return made;
    }

    /// <summary>SIGKILL: another process takes the place.</summary>
    public async Task Kill(int place)
    {
        await workers[place].Ready;
        await workers[place].DisposeAsync();
        workers[place] = Start();
        Interlocked.Increment(ref kills);
    }

    /// <summary>SIGSTOP, most of the time for longer than its lease, so that it comes back as a zombie with work in hand; then SIGCONT.</summary>
    public async Task Freeze(int place)
    {
        await workers[place].Ready;
        await workers[place].Freeze();
        var random = 0.5 + 1.5 * Random.Shared.NextDouble();
        await Task.Delay(WorkerProcess.Options(queue).Lease * random);
        await workers[place].Thaw();
        Interlocked.Increment(ref freezes);
    }

    /// <summary>Waits until so many messages have had their effect since now: whoever comes back has work in hand before something is done to it again.</summary>
    public async Task More(int effects)
    {
        var (before, began) = (await Effects(), TimeProvider.System.GetTimestamp());
        // No quicker: counting is work for the database that the workers need.
        while (await Effects() < before + effects && !feed.IsFaulted)
        {
            var elapsed = TimeProvider.System.GetElapsedTime(began);
            Assert.True(elapsed < Longest, $"After {elapsed} not {effects} effects more than {before}: {await sender.Left()} messages wait");
            await Task.Delay(100);
        }
    }

    /// <summary>Lets everything end, and looks whether each effect is there once, and those of a key in their order. Returns how many messages there were.</summary>
    public async Task<int> EachEffectIsThereOnceAndInOrder()
    {
        await enough.CancelAsync();
        var sent = await feed;
        // What a restart has left of connections is no good.
        database.Superuser.Clear();
        await sender.Done(TimeSpan.FromSeconds(120));
        foreach (var worker in workers) await worker.DisposeAsync();
        foreach (var tenant in tenants)
        {
            for (var k = 0; k < KeysOfTenant; k++)
                Assert.Equal(Enumerable.Range(0, sent).Where(n => n % KeysOfTenant == k && n % 4 != 3), await Numbers($"tenant_id = '{tenant}' and stream_id = 'tally-{tenant}-{k}'"));
            // Those without a key, and the further ones, have no order.
            Assert.Equal(Enumerable.Range(0, sent).Where(n => n % 4 == 3), (await Numbers($"tenant_id = '{tenant}' and stream_id like 'tally-{WorkerProcess.Loose}-%'")).Order());
            Assert.Equal(Enumerable.Range(0, sent).Where(n => n % WorkerProcess.Every == 0), (await Numbers($"tenant_id = '{tenant}' and stream_id like 'tally-{WorkerProcess.Further}-%'")).Order());
        }
        Assert.Equal(0, await sender.Letters());
        return (sent + (sent + WorkerProcess.Every - 1) / WorkerProcess.Every) * Tenants;
    }

    public async ValueTask DisposeAsync()
    {
        over = true;
        await enough.CancelAsync();
        await ((Task)feed).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        foreach (var worker in workers) await worker.DisposeAsync();
        await sender.DisposeAsync();
        enough.Dispose();
    }

    private WorkerProcess Start() => WorkerProcess.Start(database, queue, string.Create(CultureInfo.InvariantCulture, $"w{Interlocked.Increment(ref started)}"));

    private Task<long> Effects() => Retried(() => database.Scalar<long>($"select count(*) from events.mt_events where tenant_id in ({string.Join(',', tenants.Select(t => $"'{t}'"))})"));

    private async Task<int[]> Numbers(string where) => await database.Scalar<int[]>($"select coalesce(array_agg((data ->> 'by')::int order by seq_id), array[]::int[]) from events.mt_events where {where}");

    /// <summary>Keeps the workers busy. Returns how many messages each tenant has sent.</summary>
    private async Task<int> Feed(int least)
    {
        for (var sent = 0; ; sent += Together)
        {
            if (enough.IsCancellationRequested && sent > 0 && sent * Tenants >= least) return sent;
            foreach (var tenant in tenants)
            {
                // Where it is not known whether they were written they are sent again, under the same once-only ids.
                var messages = Enumerable.Range(sent, Together).Select(n => new Message(new Note("", n)) { Key = n % 4 == 3 ? null : $"{tenant}-{n % KeysOfTenant}", Once = n.ToString(CultureInfo.InvariantCulture) }).ToArray();
                await Retried(() => sender.Send(tenant, messages));
            }
            var began = TimeProvider.System.GetTimestamp();
            while (await Retried(sender.Left) >= Waiting && !(enough.IsCancellationRequested && sent * Tenants >= least))
            {
                var elapsed = TimeProvider.System.GetElapsedTime(began);
                Assert.True(elapsed < 5 * Longest && !over, $"After {elapsed} the workers have not come down to {Waiting} messages.");
                await Task.Delay(20, CancellationToken.None);
            }
        }
    }

    /// <summary>Again while the database is away.</summary>
    private static async Task<T> Retried<T>(Func<Task<T>> act)
    {
        for (var began = TimeProvider.System.GetTimestamp(); ; await Task.Delay(100))
        {
            try
            {
                return await act();
            }
            catch (NpgsqlException) when (TimeProvider.System.GetElapsedTime(began) < Longest)
            {
            }
        }
    }
}
