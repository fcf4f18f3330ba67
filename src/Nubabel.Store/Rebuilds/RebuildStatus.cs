namespace Nubabel.Store;

/// <summary>Where a rebuild is.</summary>
public enum RebuildState
{
    /// <summary>Under way, or waiting for a process that goes on with it.</summary>
    Running,

    /// <summary>Built and not published: keys are parked in it that are not parked in what readers see. An operator forces it or gives it up.</summary>
    Held,

    /// <summary>Readers see what it has built.</summary>
    Published,

    /// <summary>It could not be done; the error says why. Readers see what they saw before.</summary>
    Failed,

    /// <summary>Given up by an operator.</summary>
    Cancelled,
}

/// <summary>A rebuild of a read model: the one under way, or the last one.</summary>
/// <param name="Version">The version that is built.</param>
/// <param name="Kind"><c>same</c>: the version that readers see, once more. <c>version</c>: one that had no table yet.</param>
/// <param name="Phase">What is being done: waiting, loading, indexing, catching up, publishing.</param>
/// <param name="Done">Of the whole load, from 0 to 1.</param>
/// <param name="Events">How many events were read so far; an event that is read in two passes counts twice.</param>
/// <param name="Rate">Events per second, lately.</param>
/// <param name="SecondsLeft">Until the load is done, if it goes on like this; null where nobody can say.</param>
/// <param name="Position">The last position of the log that is in it for sure.</param>
/// <param name="Mark">Up to where it loads in bulk; from there on it follows the log.</param>
/// <param name="Partitions">Into how many parts the keys are divided; 0 for rows, which are loaded in their order.</param>
/// <param name="PartitionsDone">How many of them are written.</param>
/// <param name="ParkedKeys">Keys parked in what it has built.</param>
/// <param name="StartedBy">Who wanted it.</param>
/// <param name="Node">The process that works on it; null when nobody does.</param>
/// <param name="Error">Why it failed or is held, or what it waits for.</param>
public sealed record RebuildStatus(
    string Name, int Version, string Kind, RebuildState State, string Phase, bool Forced, double Done, long Events, double Rate, double? SecondsLeft, long Position, long Mark, int Partitions, int PartitionsDone,
    long ParkedKeys, DateTimeOffset StartedAt, string? StartedBy, string? Node, DateTimeOffset? EndedAt, string? Error)
{
    public bool HasEnded => State != RebuildState.Running;
}

/// <summary>A rebuild cannot begin: there is no such read model, or nothing of it to rebuild.</summary>
public sealed class RebuildRefused(string message) : Exception(message);

/// <summary>The version is being rebuilt already.</summary>
public sealed class RebuildRunning(RebuildStatus status) : Exception($"{status.Name} is being rebuilt already{(status.Node is null ? "" : $" by {status.Node}")}.")
{
    public RebuildStatus Status => status;
}

/// <summary>Another process has taken the rebuild over, or an operator has given it up.</summary>
internal sealed class RebuildTakenOver() : Exception("Another process has taken the rebuild over, or it was given up.");
