namespace Nubabel.Store;

/// <summary>How rebuilds of this process work.</summary>
public sealed record RebuildOptions
{
    /// <summary>This process works on orders; otherwise it only gives them.</summary>
    public bool Works { get; init; } = true;

    /// <summary>How many decode and fold side by side.</summary>
    public int Workers { get; init; } = Math.Clamp(Environment.ProcessorCount, 1, 16);

    /// <summary>What the documents of one pass over the log may take, in bytes; more documents are more passes.</summary>
    public long Memory { get; init; } = 48L << 20;

    /// <summary>How long no node must have known a version before its table is dropped: a deploy that is taken back needs it again.</summary>
    public TimeSpan KeepsOldVersions { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>
    /// Told of each rebuild that has begun or ended, wherever it was and whoever wanted it; more than once, and by more than one process. So nothing that was cut
    /// off between a table and what is said of it stays unsaid.
    /// </summary>
    public Func<RebuildStatus, Task> Told { get; init; } = _ => Task.CompletedTask;

    /// <summary>So long, and no longer, does the exchange stand in line for the table: new readers wait behind it. A test may want it to be found there.</summary>
    internal TimeSpan StandsInLine { get; init; } = TimeSpan.FromMilliseconds(200);

    /// <summary>Told at each step, so that a test can stop a rebuild wherever it may be cut off.</summary>
    internal Func<string, Task> Step { get; init; } = _ => Task.CompletedTask;
}
