using System.Text.Json.Serialization;

namespace Nubabel.Domain.Projections;

/// <summary>A version of the projection folds no more events until it is resumed.</summary>
public sealed record ProjectionPaused(int Version, Reason? Reason = null) : Event<ProjectionControl>;

public sealed record ProjectionResumed(int Version) : Event<ProjectionControl>;

/// <summary>A version of the projection passes over an event that it cannot fold, now and in every rebuild.</summary>
/// <param name="Version">The version it is made for: the code of another one may get over the event.</param>
/// <param name="Tenant">Of the key; the platform's for a projection of the platform.</param>
/// <param name="Key">The document's key; <c>*</c> for a projection that stops as a whole.</param>
/// <param name="Position">The event's place in the log.</param>
public sealed record ProjectionEventSkipped(int Version, string Tenant, string Key, long Position, Reason Reason) : Event<ProjectionControl>;

/// <summary>What waits behind a failed event is folded once more.</summary>
/// <param name="Tenant">Of the key; null, as <paramref name="Key"/>, for every key that waits.</param>
public sealed record ProjectionKeyRetried(int Version, string? Tenant = null, string? Key = null) : Event<ProjectionControl>;

/// <summary>A version of the projection is built from the whole log, beside what readers see.</summary>
/// <param name="Forced">It is published also with keys parked that were not parked before.</param>
/// <param name="Ordered">When it was ordered, by the database's clock: it tells one rebuild from the next.</param>
public sealed record ProjectionRebuildStarted(int Version, RebuildKind Kind, bool Forced = false, DateTimeOffset? Ordered = null) : Event<ProjectionControl>;

/// <param name="Events">How many were folded.</param>
/// <param name="Parked">How many keys are parked in what was built.</param>
public sealed record ProjectionRebuildEnded(int Version, RebuildOutcome Outcome, long Events, long Parked) : Event<ProjectionControl>;

public sealed record PauseProjection(int Version, Reason? Reason = null) : Command<ProjectionControl>;
public sealed record ResumeProjection(int Version) : Command<ProjectionControl>;
public sealed record SkipEvent(int Version, string Tenant, string Key, long Position, Reason Reason) : Command<ProjectionControl>;

/// <summary>Each time anew: the code, or what the event needs, may have changed since.</summary>
public sealed record RetryKey(int Version, string? Tenant = null, string? Key = null) : Command<ProjectionControl>, IRecordsEachTime;

/// <summary>A rebuild has begun: whoever notices says so, and the first who does is heard.</summary>
public sealed record StartRebuild(int Version, RebuildKind Kind, bool Forced, DateTimeOffset Ordered) : Command<ProjectionControl>;

/// <summary>The rebuild that was ordered then has ended.</summary>
public sealed record EndRebuild(int Version, RebuildOutcome Outcome, long Events, long Parked, DateTimeOffset Ordered) : Command<ProjectionControl>;

/// <summary>What a rebuild makes: the table of a version once more, or that of a version that has none.</summary>
[JsonConverter(typeof(RebuildKindConverter))]
public enum RebuildKind { Same, Version }

internal sealed class RebuildKindConverter() : WordConverter<RebuildKind>("projection.rebuild_kind_invalid");

/// <summary>How a rebuild ended: readers see it; it has newly parked keys and was not forced; it could not be done; it was given up.</summary>
[JsonConverter(typeof(RebuildOutcomeConverter))]
public enum RebuildOutcome { Published, Refused, Failed, Cancelled }

internal sealed class RebuildOutcomeConverter() : WordConverter<RebuildOutcome>("projection.rebuild_outcome_invalid");

/// <summary>An event that a version passes over.</summary>
public sealed record SkippedEvent(int Version, string Tenant, string Key, long Position);

/// <summary>
/// What operators want of a projection: a stream of the platform, named by the projection (<c>projection-devices</c>). The engine's tables follow from it,
/// so that nothing an operator did is lost with a process or a table.
/// </summary>
/// <param name="Paused">The versions that are paused.</param>
/// <param name="Rebuilding">The versions that are being built.</param>
/// <param name="Ordered">When the last rebuild of a version was ordered.</param>
public sealed record ProjectionControl(
    IReadOnlyList<int> Paused, IReadOnlyList<int> Rebuilding, IReadOnlyDictionary<int, DateTimeOffset> Ordered, IReadOnlyList<SkippedEvent> Skipped) : IAggregate<ProjectionControl>
{
    public static string Kind => "projection";
    public static ProjectionControl Initial { get; } = new([], [], new Dictionary<int, DateTimeOffset>(), []);

    public static ProjectionControl Evolve(ProjectionControl state, Event<ProjectionControl> e) => e switch
    {
        ProjectionPaused p => state with { Paused = [.. state.Paused, p.Version] },
        ProjectionResumed r => state with { Paused = [.. state.Paused.Where(v => v != r.Version)] },
        ProjectionEventSkipped s => state with { Skipped = [.. state.Skipped, new SkippedEvent(s.Version, s.Tenant, s.Key, s.Position)] },
        ProjectionKeyRetried => state,
        ProjectionRebuildStarted s => state with
        {
            Rebuilding = [.. state.Rebuilding, s.Version],
            Ordered = s.Ordered is { } at ? new Dictionary<int, DateTimeOffset>(state.Ordered) { [s.Version] = at } : state.Ordered,
        },
        ProjectionRebuildEnded s => state with { Rebuilding = [.. state.Rebuilding.Where(v => v != s.Version)] },
        _ => state,
    };

    public static IReadOnlyList<Event<ProjectionControl>> Decide(ProjectionControl state, Command<ProjectionControl> command, Context at) => command switch
    {
        PauseProjection c => state.Paused.Contains(c.Version) ? [] : [new ProjectionPaused(c.Version, c.Reason)],
        ResumeProjection c => state.Paused.Contains(c.Version) ? [new ProjectionResumed(c.Version)] : [],
        SkipEvent c => state.Skip(c),
        RetryKey c => [new ProjectionKeyRetried(c.Version, c.Tenant, c.Key)],
        StartRebuild c => state.Start(c),
        EndRebuild c => state.Rebuilding.Contains(c.Version) && (!state.Ordered.TryGetValue(c.Version, out var ordered) || ordered == c.Ordered)
            ? [new ProjectionRebuildEnded(c.Version, c.Outcome, c.Events, c.Parked)]
            : [],
        _ => throw new NotSupportedException(command.GetType().Name),
    };

    private Event<ProjectionControl>[] Start(StartRebuild c)
    {
        // It has been said, or it is of yesterday.
        if (Ordered.TryGetValue(c.Version, out var last) && last >= c.Ordered) return [];
        var started = new ProjectionRebuildStarted(c.Version, c.Kind, c.Forced, c.Ordered);
        // Nobody has said how the one before ended, and this one could begin: it was not published by anybody who lived to say so.
        return Rebuilding.Contains(c.Version) ? [new ProjectionRebuildEnded(c.Version, RebuildOutcome.Failed, 0, 0), started] : [started];
    }

    private Event<ProjectionControl>[] Skip(SkipEvent c)
    {
        if (Skipped.Contains(new SkippedEvent(c.Version, c.Tenant, c.Key, c.Position))) return [];
        // What is being built has looked up the skips, and may get over the event.
        if (Rebuilding.Contains(c.Version)) throw new Refused(RefusalKind.Conflict, "projection.rebuilding", "It is being rebuilt.");
        return [new ProjectionEventSkipped(c.Version, c.Tenant, c.Key, c.Position, c.Reason)];
    }
}
