using System.Diagnostics;

namespace Nubabel.Store;

/// <summary>A projection as this process runs it: its lease, its checkpoint, what went wrong.</summary>
internal sealed class Runner(Projection projection)
{
    private const long Unknown = -1;
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);

    private volatile bool held;
    private volatile bool dropsLease;
    private volatile string? stoppedBy;
    private volatile string? error;
    private volatile bool isPaused;
    private volatile bool beginsAnew;
    private long orders;
    private long checkpoint = Unknown;
    private int failures;
    private long pausedUntil;

    public Projection Projection { get; } = projection;

    /// <summary>This process has the lease.</summary>
    public bool Held => held;

    /// <summary>The lease is to be given back at the next heartbeat.</summary>
    public bool DropsLease => dropsLease;

    /// <summary>The event that a row projection cannot get over; it stands until the process or an operator begins anew.</summary>
    public string? StoppedBy => stoppedBy;

    public string? Error => stoppedBy ?? error;

    /// <summary>What the last batch stored; unknown until it is read, and again after anything that leaves doubt.</summary>
    public long Checkpoint => Interlocked.Read(ref checkpoint);

    public bool CheckpointIsKnown => Checkpoint != Unknown;

    /// <summary>Which table its checkpoint speaks of: a rebuild exchanges the table, and what was folded from the old one does not go into the new one.</summary>
    public long Generation { get; private set; }

    /// <summary>A task that brings it near the others, so that they need not wait for it.</summary>
    public Task? CatchingUp { get; set; }

    /// <summary>Events that an operator had it pass over; read together with the checkpoint.</summary>
    public IReadOnlySet<long> Skips { get; private set; } = new HashSet<long>();

    /// <summary>Orders that nobody has carried out yet.</summary>
    public bool HasOrders { get; private set; }

    public bool IsRunnable => held && !isPaused && stoppedBy is null && Stopwatch.GetTimestamp() >= Interlocked.Read(ref pausedUntil);

    /// <summary>What the heartbeat found. True when the lease is new.</summary>
    public bool LeaseIs(bool nowHeld)
    {
        var isNew = nowHeld && !held;
        if (isNew) stoppedBy = null;
        if (isNew || !nowHeld) Forget();
        if (!nowHeld) dropsLease = false;
        held = nowHeld && !dropsLease;
        return isNew;
    }

    /// <summary>What the operators want, as the database has it. Told before the lease is, so that what is paused is never run.</summary>
    public void Told(OrderState state)
    {
        isPaused = state.IsPaused;
        HasOrders = state.Given > state.Applied;
        // A skip, or a retry of what stopped as a whole: what was read before is not enough.
        if (Interlocked.Exchange(ref orders, state.Applied) != state.Applied) beginsAnew = true;
    }

    /// <summary>Begins anew where an order says so. Only between two batches: what one believes of the checkpoint must not change while it runs.</summary>
    public void FollowOrders()
    {
        if (!beginsAnew) return;
        beginsAnew = false;
        stoppedBy = null;
        Forget();
    }

    /// <summary>The checkpoint and the skips as they stand in the database.</summary>
    public void Found(long position, long generation, IReadOnlySet<long>? skips = null)
    {
        Skips = skips ?? Skips;
        Generation = generation;
        Interlocked.Exchange(ref checkpoint, position);
    }

    /// <summary>A batch was committed with this checkpoint.</summary>
    public void Stored(long position)
    {
        Interlocked.Exchange(ref checkpoint, position);
        (failures, error) = (0, null);
    }

    /// <summary>What this process believes of the checkpoint may be wrong: read it again.</summary>
    public void Forget() => Interlocked.Exchange(ref checkpoint, Unknown);

    /// <summary>The checkpoint was not where this process left it: another one writes, so this one steps back.</summary>
    public void Fenced()
    {
        Forget();
        held = false;
        dropsLease = true;
        error = "fenced: another process moved the checkpoint";
    }

    public void Stop(string reason) => stoppedBy = reason;

    /// <summary>A failure that is not the events' fault (a missing table, a missing right): tried again, with growing pauses.</summary>
    public void Fail(string reason)
    {
        Forget();
        error = reason;
        var pause = TimeSpan.FromMilliseconds(Math.Min(100 * Math.Pow(2, Math.Min(failures++, 10)), LongestPause.TotalMilliseconds));
        Interlocked.Exchange(ref pausedUntil, Stopwatch.GetTimestamp() + (long)(pause.TotalSeconds * Stopwatch.Frequency));
    }

    /// <summary>Adds to what the database shows what only this process knows.</summary>
    public ProjectionStatus Describe(ProjectionStatus shown) => shown with
    {
        State = shown.State == ProjectionState.Paused ? shown.State
            : stoppedBy is not null ? ProjectionState.Stopped : error is not null && held ? ProjectionState.Failing : shown.State,
        LastError = Error ?? shown.LastError,
        // What was read may be older than what this process has stored since: a stop is not shown with the place before it.
        Position = held ? Math.Max(shown.Position, Checkpoint) : shown.Position,
    };
}
