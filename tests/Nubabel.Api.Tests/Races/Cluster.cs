using Nubabel.Api.Host;
using Nubabel.Projections;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Races;

/// <summary>Three real processes of the server on one database, and somebody who kills them, stops them and starts them again, one at a time.</summary>
internal sealed class Cluster(TestDatabase database) : IAsyncDisposable
{
    /// <summary>Of each read model and each reaction one. They are only counted here, so they need no outbox.</summary>
    public static readonly int Leases = ReadModels.All.All.Count + MessageCatalog.Reactions(null!).Count;

    private static readonly TimeSpan TakenAtWorst = TimeSpan.FromSeconds(20);
    private readonly Slot[] slots = [new(), new(), new()];

    /// <summary>How long it was until others had everything that a killed process had had, and which deeds there were.</summary>
    public List<TimeSpan> Takeovers { get; } = [];

    public Dictionary<string, int> Deeds { get; } = [];

    /// <summary>Those that are up, with a number that changes with everything that is done to them.</summary>
    public IReadOnlyList<(NodeProcess Node, int Epoch)> Up => [.. slots.Select(s => s.Seen).Where(s => s.Node is not null).Select(s => (s.Node!, s.Epoch))];

    /// <summary>Whether nothing was done to it since.</summary>
    public bool IsUntouched((NodeProcess Node, int Epoch) seen) => slots.Any(s => s.Seen == (seen.Node, seen.Epoch));

    /// <summary>Any of the three; it may be gone.</summary>
    public Uri Address => Random.Shared.GetItems(slots, 1)[0].Address ?? new Uri("http://127.0.0.1:1");

    public Task Start() => Task.WhenAll(slots.Select(s => s.Start(database)));

    /// <summary>One deed, and what must follow from it.</summary>
    public async Task Disturb(Random random)
    {
        // One more than this one has to be up, or nobody is left who could take over.
        await Burst.Until("two are up", TimeSpan.FromSeconds(90), () => Task.FromResult(Up.Count >= 2));
        var slot = random.GetItems(slots.Where(s => s.Seen.Node is not null).ToArray(), 1)[0];
        var deed = random.Next(10) switch { < 5 => "SIGKILL", < 8 => "SIGSTOP", _ => "SIGTERM" };
        Deeds[deed] = Deeds.GetValueOrDefault(deed) + 1;
        var victim = slot.Touch(leave: deed != "SIGSTOP")!;
        switch (deed)
        {
            case "SIGKILL":
                await victim.Kill();
                Takeovers.Add(await OthersHaveAll(victim));
                slot.Restart(database, victim);
                break;
            case "SIGSTOP":
                await victim.Send("STOP");
                // Every other time it stands still until others have taken over.
                if (random.Next(2) == 0) await OthersHaveAll(victim);
                else await Task.Delay(random.Next(50, 2_000));
                await victim.Send("CONT");
                slot.Touch(leave: false);
                break;
            default:
                await victim.Send("TERM");
                Assert.Equal(0, await victim.ExitCode(TimeSpan.FromSeconds(45)));
                await OthersHaveAll(victim);
                slot.Restart(database, victim);
                break;
        }
    }

    /// <summary>Ends the disturbance.</summary>
    public Task AllAreUp() => Burst.Until("all are up", TimeSpan.FromSeconds(90), () => Task.FromResult(Up.Count == slots.Length));

    /// <summary>For each projection the application names of those that have its lease.</summary>
    public async Task<string[]> Owners() => await database.Scalar<string[]>($"""
        select coalesce(array_agg(o), array[]::text[]) from (
          select string_agg(a.application_name, '+') o from pg_locks l join pg_stat_activity a on a.pid = l.pid
          where l.locktype = 'advisory' and l.granted and l.objsubid = 1 and a.datname = '{database.Name}' and a.application_name like 'nubabel %:%-%'
          group by l.classid, l.objid) each
        """);

    public async ValueTask DisposeAsync()
    {
        foreach (var slot in slots) await slot.DisposeAsync();
    }

    private async Task<TimeSpan> OthersHaveAll(NodeProcess victim) => await Burst.Until($"the others have all; there are {string.Join(", ", await Owners())}", TakenAtWorst, async () =>
        (await Owners()) is var owners && owners.Length == Leases && !owners.Any(o => o.Contains($":{victim.Id}-", StringComparison.Ordinal)));

    /// <summary>The place of a process.</summary>
    private sealed class Slot : IAsyncDisposable
    {
        private readonly Lock turn = new();
        private NodeProcess? node;
        private Task starting = Task.CompletedTask;
        private int epoch;

        public Uri? Address { get; private set; }

        public (NodeProcess? Node, int Epoch) Seen
        {
            get
            {
                lock (turn) return (node, epoch);
            }
        }

        /// <summary>What was seen before counts no longer; with <paramref name="leave"/> nobody is here from now on.</summary>
        public NodeProcess? Touch(bool leave)
        {
            lock (turn)
            {
                epoch++;
                var was = node;
                if (leave) node = null;
                return was;
            }
        }

        public async Task Start(TestDatabase database)
        {
            var started = await NodeProcess.Start(database);
            lock (turn) (node, Address, epoch) = (started, started.Address, epoch + 1);
        }

        public void Restart(TestDatabase database, NodeProcess gone) => starting = Task.Run(async () =>
        {
            await gone.DisposeAsync();
            await Start(database);
        });

        public async ValueTask DisposeAsync()
        {
            await starting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (Touch(leave: true) is { } last) await last.DisposeAsync();
        }
    }
}
