using Nubabel.Api.Host;
using Nubabel.Domain.Projections;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Projections;

/// <summary>
/// The events of rebuilds, those that a new version ordered by itself included. The row of a rebuild says how it stands; its events say that there was one, who
/// wanted it, and how it ended. They follow from the row: whoever sees that it has begun or ended says so, and the aggregate hears each of both once.
/// </summary>
public static class RebuildEvents
{
    private const string Builders = "system:rebuilds";

    /// <summary>It has begun, in the words of the one who wanted it.</summary>
    public static Task Started(Journal journal, RebuildStatus status, CancellationToken ct) => journal.Handle(
        StreamOf(status), new StartRebuild(status.Version, status.Kind == "same" ? RebuildKind.Same : RebuildKind.Version, status.Forced, status.StartedAt), ct);

    /// <summary>It has ended, and somebody has said that it had begun.</summary>
    public static Task Ended(Journal journal, RebuildStatus status, CancellationToken ct) => journal.Handle(
        StreamOf(status), new EndRebuild(status.Version, OutcomeOf(status.State), status.Events, status.ParkedKeys, status.StartedAt), ct);

    /// <summary>Says what of it nobody has said yet.</summary>
    public static async Task Say(Node node, RebuildStatus status, CancellationToken ct)
    {
        // What a version orders by itself is named after the process; who it was is of no interest a day later.
        var by = status.StartedBy is { } name && name.Contains(':', StringComparison.Ordinal) && !name.StartsWith("system:", StringComparison.Ordinal) ? name : Builders;
        await Started(node.Journal(Node.Platform, new Origin(by)), status, ct);
        if (status.HasEnded) await Ended(node.Journal(Node.Platform, new Origin(Builders)), status, ct);
    }

    /// <summary>For what runs beside requests.</summary>
    public static Func<RebuildStatus, Task> By(Node node) => status => Say(node, status, CancellationToken.None);

    private static StreamName<ProjectionControl> StreamOf(RebuildStatus status) => Streams.Named<ProjectionControl>(status.Name);

    private static RebuildOutcome OutcomeOf(RebuildState state) => state switch
    {
        RebuildState.Published => RebuildOutcome.Published,
        RebuildState.Held => RebuildOutcome.Refused,
        RebuildState.Cancelled => RebuildOutcome.Cancelled,
        _ => RebuildOutcome.Failed,
    };
}
