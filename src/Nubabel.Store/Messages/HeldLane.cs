using System.Diagnostics;

namespace Nubabel.Store;

/// <summary>A lane that a worker has in hand, and what of it is waiting, running, or done and not yet written. Guarded by its shift's lock.</summary>
internal sealed class HeldLane(string tenant, string name)
{
    public string Tenant => tenant;
    public string Name { get; set; } = name;

    /// <summary>One after the other: a lane of a key, or of one message.</summary>
    public bool IsOrdered => Name[0] != '~';

    public Queue<Delivery> Waiting { get; } = new();
    public List<Running> Running { get; } = [];

    /// <summary>Handled, and on the way to the database.</summary>
    public int Unwritten { get; set; }

    public long Since { get; } = Stopwatch.GetTimestamp();

    /// <summary>Its messages are on the way into lanes of their own: whoever ends one waits until it is known where it is.</summary>
    public TaskCompletionSource? Move { get; set; }

    /// <summary>It is not this worker's any more, or will not be after a statement under way: it is not to be let go again.</summary>
    public bool IsGone { get; set; }

    /// <summary>Messages of it were in hand and go back unhandled: whoever has it next must hear of them.</summary>
    public bool HasMore { get; set; }

    public bool IsEmpty => Waiting.Count == 0 && Running.Count == 0 && Unwritten == 0;

    public bool IsOverdue(TimeSpan turn) => Stopwatch.GetElapsedTime(Since) > turn;

    /// <summary>What has not begun goes back.</summary>
    public int HandBack()
    {
        var count = Waiting.Count;
        if (count == 0) return 0;
        Waiting.Clear();
        HasMore = true;
        return count;
    }
}

/// <summary>A message whose handler runs. Guarded by its shift's lock.</summary>
internal sealed class Running(HeldLane lane, Delivery delivery, CancellationTokenSource cancellation)
{
    public HeldLane Lane { get; set; } = lane;
    public Delivery Delivery => delivery;
    public CancellationTokenSource Cancellation => cancellation;

    private readonly long begun = Stopwatch.GetTimestamp();

    public TimeSpan Age => Stopwatch.GetElapsedTime(begun);

    /// <summary>Its end is being written, with the lane's name in it.</summary>
    public bool IsEnding { get; set; }

    /// <summary>The statement last made to end it lets its lane go too.</summary>
    public bool LetsGo { get; set; }

    /// <summary>Somebody asked for it to be given up for good.</summary>
    public bool IsCancelled { get; set; }
}
