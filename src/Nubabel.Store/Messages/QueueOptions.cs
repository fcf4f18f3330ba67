namespace Nubabel.Store;

/// <summary>How a queue is worked on. Numbers are for each process.</summary>
/// <param name="Name">Stored with each message: lower-case letters, digits and hyphens. Never renamed while messages are in it.</param>
public sealed record QueueOptions(string Name)
{
    /// <summary>How many handlers run at the same time.</summary>
    public int Concurrency { get; init; } = 16;

    /// <summary>How long a handler may take; then it is cancelled and the attempt has failed.</summary>
    public TimeSpan TimeLimit { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a process that says nothing keeps what it has in hand. It says something three times as often.</summary>
    public TimeSpan Lease { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How many attempts a message has before it becomes a dead letter.</summary>
    public int Attempts { get; init; } = 6;

    /// <summary>How often a message may be there when a process is lost, before it is taken for the reason and becomes a dead letter.</summary>
    public int Losses { get; init; } = 5;

    public Backoff Backoff { get; init; } = new(TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(5));

    /// <summary>A dead letter with a key makes the later messages of its key wait until it is replayed or discarded. Otherwise they go on without it.</summary>
    public bool ParksKey { get; init; } = true;

    /// <summary>What becomes of its dead letters by itself; null for nothing.</summary>
    public AutomaticReplay? Replays { get; init; }

    /// <summary>
    /// Over how many lanes a tenant's messages without a key are spread. More lanes cost more when there are few messages, and fewer keep processes out of
    /// each other's way less well. 0 gives each message a lane of its own, for work that takes long: nothing then waits behind it.
    /// </summary>
    public int Lanes { get; init; } = 32;

    /// <summary>How many messages a process may have in hand, running or about to.</summary>
    public int InHand { get; init; } = 256;

    /// <summary>How long a process keeps a lane before what it has not begun goes back, so that others have their turn.</summary>
    public TimeSpan Turn { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>For work of seconds at most: a time limit and lease of 30 s.</summary>
    public static QueueOptions Fast(string name) => new(name);

    /// <summary>For work of minutes: a time limit and lease of 300 s, and each message for itself.</summary>
    public static QueueOptions Orchestration(string name) => new(name)
    {
        TimeLimit = TimeSpan.FromSeconds(300),
        Lease = TimeSpan.FromSeconds(300),
        Lanes = 0,
        InHand = 32,
        Backoff = new Backoff(TimeSpan.FromSeconds(10), TimeSpan.FromHours(1)),
    };
}

/// <summary>The pause after a failed attempt: doubled each time up to the longest, and a random part of it taken off, so that what failed together is not tried together.</summary>
public sealed record Backoff(TimeSpan First, TimeSpan Longest)
{
    /// <summary>The pauses, one for each failure; the last one for all further. Instead of doubling.</summary>
    public IReadOnlyList<TimeSpan>? Steps { get; init; }

    /// <summary>The pause after so many failures, the first of them included.</summary>
    /// <param name="chance">From 0 to 1: how much of the random part is taken off.</param>
    public TimeSpan After(int failures, double chance)
    {
        var whole = Steps is { Count: > 0 } steps
            ? steps[Math.Min(failures, steps.Count) - 1]
            : TimeSpan.FromMilliseconds(Math.Min(First.TotalMilliseconds * Math.Pow(2, Math.Min(failures - 1, 40)), Longest.TotalMilliseconds));
        return whole * (1 - 0.5 * chance);
    }
}

/// <summary>
/// Dead letters are replayed without an operator when what they died of may have gone. A letter whose message was <see cref="Hopeless"/> is never among them.
/// </summary>
/// <param name="After">The pause behind a death; it doubles with each replay.</param>
/// <param name="Times">How often, for each letter; then it waits for an operator.</param>
/// <param name="Causes">The kinds of the last error, as the letter names them: <c>TimeoutException</c>.</param>
public sealed record AutomaticReplay(TimeSpan After, int Times, IReadOnlyList<string> Causes);
