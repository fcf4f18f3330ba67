namespace Nubabel.Store;

/// <summary>Where a commit is on its way through the <see cref="Coalescer"/>.</summary>
internal enum EntryPhase
{
    /// <summary>Waits for its keys or for its turn: nothing has been sent, or what was sent is taken back.</summary>
    Waiting,

    /// <summary>Runs by itself, under its caller's cancellation.</summary>
    Alone,

    /// <summary>Stands in a statement with others, which no caller ends.</summary>
    Shared,

    /// <summary>Refused, so nothing was written; it is found out why.</summary>
    Refused,

    /// <summary>Answered, or given up by its caller.</summary>
    Ended,
}

/// <summary>A commit in the <see cref="Coalescer"/>, and the promise of its answer. Its members are guarded by the coalescer's lock.</summary>
internal sealed class AppendEntry(AppendItem item, CancellationToken ct) : TaskCompletionSource<Appended>(TaskCreationOptions.RunContinuationsAsynchronously)
{
    private AppendItem? item = item;

    public AppendItem Item => item ?? throw new InvalidOperationException("It was given up.");
    public string Tenant { get; } = item.Envelope.Tenant;

    /// <summary>The caller's.</summary>
    public CancellationToken Token => ct;

    public AppendKey[] Keys { get; } = [.. item.Keys()];
    public EntryPhase Phase { get; set; }

    /// <summary>How many of its keys somebody else has.</summary>
    public int Blockers { get; set; }

    /// <summary>Has left a statement that failed because of somebody in it: it runs by itself, and answers for its tenant if it fails again.</summary>
    public bool Suspect { get; set; }

    /// <summary>Its tenant was just refused something, so it does not go straight.</summary>
    public bool LooksFirst { get; set; }

    /// <summary>Must wait for somebody's lock, so it does not share.</summary>
    public bool Waits { get; set; }

    /// <summary>Whether a version that its stream has reached refuses it for sure.</summary>
    public bool IsStale(long committed) => Item.IsPlain && Item.Streams[0].Expected is var expected && expected >= 0 && expected < committed;

    /// <summary>It was given up while it waited. Queues pass over it only when its turn would come, and until then it is to weigh nothing.</summary>
    public void LetGo() => item = null;
}
