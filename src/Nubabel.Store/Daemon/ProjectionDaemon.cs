using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;

namespace Nubabel.Store;

/// <summary>How the daemon of a process is set up.</summary>
public sealed record DaemonOptions
{
    /// <summary>How this process is named to others: the application name of its direct connections.</summary>
    public string Node { get; init; } = Nodes.NewName();

    /// <summary>How long a hint may be missing before the log is looked at anyway.</summary>
    public TimeSpan Poll { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>How often leases are proven and free ones tried.</summary>
    public TimeSpan Heartbeat { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>After so long in one round this process gives its leases back, so that others go on.</summary>
    public TimeSpan GivesUp { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>The most events of one batch; batches begin small, grow while there is more to do, and shrink when one takes long.</summary>
    public int LargestPage { get; init; } = 10_000;

    /// <summary>How this process builds the tables of read models anew.</summary>
    public RebuildOptions Rebuilds { get; init; } = new();

    /// <summary>What the mark passes a gap on; another one only in the test that shows what it would lose.</summary>
    internal IGapRule Rule { get; init; } = new SequenceLockRule();
}

/// <summary>
/// Runs the projections: one for each process, and among all processes each projection in the one that has its lease. It follows the
/// high-water mark, reads each event once, folds it for the projections that want its type, and writes each batch with its checkpoint.
/// </summary>
public sealed class ProjectionDaemon : IAsyncDisposable
{
    private readonly NpgsqlDataSource daemon;
    private readonly NpgsqlDataSource direct;
    private readonly NpgsqlDataSource rounds;
    private readonly ProjectionSet projections;
    private readonly Signal signal;
    private readonly Positions positions;
    private readonly DaemonOptions options;
    private readonly Leases leases;
    private readonly Sightings sightings = new();
    private readonly WakeUps wakeUps;
    private readonly Follower follower;
    private readonly OrderBook orders;
    private readonly IReadOnlyList<Runner> runners;
    private readonly Loop following;
    private readonly Loop[] loops;

    private readonly Loop building;

    /// <param name="daemon">The daemon login's data source (BYPASSRLS).</param>
    /// <param name="connectionString">The same login's connection string, for the direct connections of leases and hints, and that of the rounds.</param>
    /// <param name="signal">Set by the process after each append.</param>
    /// <param name="positions">Told how far the projections of this process are.</param>
    public ProjectionDaemon(NpgsqlDataSource daemon, string connectionString, ProjectionSet projections, Signal signal, Positions positions,
        DaemonOptions? options = null, ILogger? log = null)
    {
        (this.daemon, this.projections, this.signal, this.positions, this.options) = (daemon, projections, signal, positions, options ?? new DaemonOptions());
        log ??= NullLogger.Instance;
        direct = DirectConnections.To(connectionString, this.options.Node);
        rounds = Database.OneLoop(connectionString);
        runners = [.. projections.All.Select(p => new Runner(p))];
        leases = new Leases(direct, this.options.Node, [.. projections.All.Select(p => p.ProgressionName)]);
        wakeUps = new WakeUps(direct, signal, log);
        follower = new Follower(rounds, projections.Types, runners, signal, positions, this.options);
        orders = new OrderBook(daemon, projections);
        Rebuilds = new Rebuilds(daemon, connectionString, projections, this.options.Node, this.options.Rebuilds, log);
        building = new Loop("rebuilds", Rebuilds.Round, log, takesItsTime: true);
        loops = [following = new Loop("projections", follower.Round, log), new Loop("leases", Heartbeat, log), new Loop("orders", CarryOut, log, takesItsTime: true), building];
    }

    /// <summary>What builds tables anew: this process works on the orders of all of them.</summary>
    public Rebuilds Rebuilds { get; }

    /// <summary>How far the log is safe to read, as this process last saw it.</summary>
    public MarkStatus Mark => follower.Mark;

    /// <summary>Why this process does not do its part of the projections; null while it does.</summary>
    public string? Fault => loops.Select(l => l.Fault).FirstOrDefault(f => f is not null);

    /// <summary>All processes with a daemon on this database.</summary>
    public Task<IReadOnlyList<NodeStatus>> Nodes(CancellationToken ct) => Store.Nodes.Read(daemon, ct);

    /// <summary>For how long this process has seen a read model that stands here behind the log, whatever the clocks of those who write say.</summary>
    public TimeSpan Behind(long position) => sightings.Behind(position);

    /// <summary>What this process believes it may run.</summary>
    internal IReadOnlyList<string> Held => [.. runners.Where(r => r.Held).Select(r => r.Projection.Name)];

    public void Start()
    {
        wakeUps.Start();
        foreach (var loop in loops) loop.Start();
    }

    /// <summary>Ends (a batch under way is committed whole or not at all) and gives the leases back, so that another process goes on at once.</summary>
    public async Task Stop()
    {
        await building.Stop();
        foreach (var loop in loops) await loop.Stop();
        await follower.CaughtUp();
        Disown();
        await leases.Leave();
        await wakeUps.Stop();
    }

    public async ValueTask DisposeAsync()
    {
        await Stop();
        foreach (var loop in loops) await loop.DisposeAsync();
        await wakeUps.DisposeAsync();
        await Rebuilds.DisposeAsync();
        await direct.DisposeAsync();
        await rounds.DisposeAsync();
    }

    /// <summary>The state of every projection, from the database and from this process. Answers from memory alone when the database does not.</summary>
    public async Task<DaemonStatus> Status(CancellationToken ct)
    {
        DaemonStatus status;
        try
        {
            status = await DaemonStatus.Read(daemon, projections, ct);
            // Who proves the mark knows; the others ask.
            status = status with { Waiting = Mark.Waiting ?? (runners.Any(r => r.Held) ? null : await Holders.Seen(daemon, status.Mark, status.HighestVisible, ct)) };
        }
        catch (Exception failure) when (failure is NpgsqlException or TimeoutException)
        {
            var known = runners.Select(s => new ProjectionStatus(s.Projection.Name, s.Projection.Version, ProjectionState.Waiting, Math.Max(0, s.Checkpoint), 0, 0, 0, null, null));
            status = new DaemonStatus(Mark.Mark, Mark.HighestVisible, Mark.Waiting, true, [$"database: {failure.Message}"], [.. known]);
        }
        var failed = loops.Select(l => l.Fault).OfType<string>().Concat(wakeUps.Loops.Where(l => !l.IsAlive).Select(l => $"the loop {l.Name} has ended"));
        var errors = loops.Concat(wakeUps.Loops).Where(l => l.LastError is not null).Select(l => $"{l.Name}: {l.LastError}");
        return status with
        {
            Alive = loops.All(l => l.Fault is null),
            Errors = [.. status.Errors, .. failed, .. errors],
            Projections = [.. status.Projections.Select(p => runners.First(s => s.Projection.Name == p.Name).Describe(p))],
        };
    }

    private async Task Heartbeat(CancellationToken ct)
    {
        try
        {
            // A process that does not get round keeps nothing that another could run. What it may still commit meets the fence.
            var stuck = !following.IsAlive || following.Round > options.GivesUp;
            var held = await leases.Renew(stuck ? [] : [.. runners.Where(s => !s.DropsLease).Select(s => s.Projection.ProgressionName)], ct);
            sightings.See(leases.HighestVisible);
            await Tell([.. runners.Where(r => held.Contains(r.Projection.ProgressionName))], ct);
            var isNew = false;
            foreach (var runner in runners)
            {
                isNew |= runner.LeaseIs(held.Contains(runner.Projection.ProgressionName));
                if (!runner.Held) positions.Disown(runner.Projection.ProgressionName);
            }
            if (isNew) signal.Heard();
        }
        catch
        {
            Disown();
            throw;
        }
        await Task.Delay(options.Heartbeat, ct);
    }

    /// <summary>Carries out what was ordered of the projections that run here and was left over: the process that should have is gone, or has no time.</summary>
    private async Task CarryOut(CancellationToken ct)
    {
        await Task.Delay(options.Heartbeat, ct);
        var waiting = runners.Where(r => r is { Held: true, HasOrders: true }).ToArray();
        foreach (var runner in waiting) await orders.Apply(runner.Projection, ct);
        await Tell(waiting, ct);
        if (waiting.Length > 0) signal.Heard();
    }

    private async Task Tell(IReadOnlyList<Runner> told, CancellationToken ct)
    {
        var states = await Orders.States(daemon, [.. told.Select(r => r.Projection)], ct);
        foreach (var runner in told) runner.Told(states[runner.Projection.ProgressionName]);
    }

    private void Disown()
    {
        foreach (var runner in runners)
        {
            runner.LeaseIs(false);
            positions.Disown(runner.Projection.ProgressionName);
        }
    }
}
