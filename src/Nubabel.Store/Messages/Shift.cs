using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Nubabel.Store;

/// <summary>What the workers of a process share.</summary>
/// <param name="Journals">Makes the journal of a tenant, with an outbox.</param>
/// <param name="Report">Told how far a handler is.</param>
internal sealed record WorkerSetup(
    NpgsqlDataSource Daemon, MessageHandlers Handlers, Func<string, Origin, Journal> Journals, Outbox Outbox, string Node, TimeSpan Poll, ILogger Log, Func<Delivery, MessageProgress, ValueTask> Report);

/// <summary>
/// The work of a process on one queue under one lease: from the registration of a worker until that is lost or ends in order. It takes lanes, runs
/// handlers in turns of the tenants, and writes what is done. When the lease is lost, everything in hand is forgotten: it belongs to somebody else.
/// </summary>
internal sealed partial class Shift : IAsyncDisposable
{
    /// <summary>How long a handler that was cancelled may take to notice before it is left alone.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(5);

    private readonly WorkerSetup setup;
    private readonly QueueOptions options;
    private readonly Lock gate = new();
    private readonly TenantTurns<HeldLane> ready = new();
    private readonly HashSet<HeldLane> held = [];
    private readonly Dictionary<Guid, Running> running = [];
    private readonly Finisher finisher;
    private readonly HandlerCommits commits;
    private readonly Signal freed = new();
    private readonly CancellationTokenSource lost = new();
    private readonly CancellationTokenSource intakeEnds = new();
    private readonly CancellationTokenSource stopping = new();
    private int busy;
    private int waiting;

    public Shift(WorkerSetup setup, QueueOptions options, long id)
    {
        (this.setup, this.options, Id) = (setup, options, id);
        finisher = new Finisher(this, setup.Daemon, setup.Outbox, setup.Log);
        commits = new HandlerCommits(this, setup.Outbox);
    }

    /// <summary>The worker's number: the fencing token.</summary>
    public long Id { get; }

    public string Queue => options.Name;
    public TimeSpan Lease => options.Lease;
    public bool IsLost => lost.IsCancellationRequested;
    public CancellationToken Lost => lost.Token;

    /// <summary>Messages whose handlers run, and those that wait for their turn in this process.</summary>
    public (int Running, int Waiting) InHand
    {
        get { lock (gate) return (busy, waiting); }
    }

    /// <summary>Works until the worker is lost or the intake ends.</summary>
    public async Task Run(CancellationToken ct)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, lost.Token, intakeEnds.Token);
        finisher.Start();
        commits.Start();
        var renewal = Renew();
        await Intake(either.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (IsLost) await renewal.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <summary>
    /// Ends in order: takes nothing more, hands back what has not begun, waits for what runs, cancels what still runs then and hands it back too. What was
    /// cancelled has lost no attempt, and everything is free for other processes when this returns.
    /// </summary>
    public async Task Stop(TimeSpan drain)
    {
        await intakeEnds.CancelAsync();
        lock (gate)
        {
            foreach (var lane in held.ToArray())
            {
                waiting -= lane.HandBack();
                LetGoIfEmpty(lane);
            }
        }
        await Idle(drain);
        await stopping.CancelAsync();
        await Idle(Grace);
        await commits.Stop(Grace);
        await finisher.Stop(Grace);
        if (IsLost) return;
        try
        {
            await LaneSql.Retire(setup.Daemon, Id, CancellationToken.None).WaitAsync(Grace);
        }
        catch (Exception unreachable) when (unreachable is NpgsqlException or TimeoutException)
        {
            setup.Log.LogWarning(unreachable, "The worker {Worker} of {Queue} could not be ended in order; others wait for its lease to run out.", Id, Queue);
        }
        await lost.CancelAsync();
        setup.Outbox.Enqueued([Queue]);
    }

    /// <summary>The handler of this message is to end, and the message with it. False when it does not run here.</summary>
    public bool Cancel(Guid message)
    {
        Running? found;
        lock (gate)
        {
            if (!running.TryGetValue(message, out found) || found.IsEnding) return false;
            found.IsCancelled = true;
        }
        _ = found.Cancellation.CancelAsync();
        return true;
    }

    public void Lose(string why)
    {
        if (IsLost) return;
        setup.Log.LogWarning("The worker {Worker} of {Queue} has lost its lease: {Why}.", Id, Queue, why);
        // Not here: what handlers have registered with it is theirs, and may take its time.
        _ = lost.CancelAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await lost.CancelAsync();
        await commits.Stop(TimeSpan.Zero);
        await finisher.Stop(TimeSpan.Zero);
    }

    /// <summary>The handler asks to be called again later. Nothing has failed.</summary>
    private async Task PutOff(Running one, Commit commit, TimeSpan pause)
    {
        await commit.Settled();
        if (one.Lane.IsOrdered) await finisher.Flushed(lost.Token);
        if (!await Written(() => LaneSql.PutOff(setup.Daemon, Id, one.Delivery, one.Lane.Name, pause, lost.Token)))
        {
            if (one.LetsGo) Lose("the outcome of a commit was not known");
            return;
        }
        if (one.Lane.IsOrdered) Rests(one.Lane);
    }

    /// <summary>The lane is nobody's until its time has come; what was taken with it goes back.</summary>
    private void Rests(HeldLane lane)
    {
        lock (gate)
        {
            lane.IsGone = true;
            waiting -= lane.HandBack();
            held.Remove(lane);
        }
    }

    private async Task Idle(TimeSpan atMost)
    {
        var since = Stopwatch.GetTimestamp();
        while (!IsLost)
        {
            var next = freed.Next;
            if (InHand.Running == 0 || Stopwatch.GetElapsedTime(since) >= atMost) return;
            await next.WaitAsync(TimeSpan.FromMilliseconds(50)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task Renew()
    {
        var every = options.Lease / 3;
        var renewed = Stopwatch.GetTimestamp();
        while (!IsLost)
        {
            var pause = every;
            var asked = Stopwatch.GetTimestamp();
            try
            {
                if (await LaneSql.Renew(setup.Daemon, Id, options.Lease, lost.Token)) renewed = asked;
                else Lose("another process gave it up");
            }
            catch (Exception failure) when (failure is NpgsqlException or TimeoutException or OperationCanceledException)
            {
                pause = TimeSpan.FromMilliseconds(Math.Min(500, every.TotalMilliseconds));
                if (Stopwatch.GetElapsedTime(renewed) > options.Lease) Lose("it could not be renewed");
            }
            await Task.Delay(pause, lost.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }
}
