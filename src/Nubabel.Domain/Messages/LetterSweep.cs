using System.Text.Json.Serialization;

namespace Nubabel.Domain.Messages;

/// <summary>Which dead letters are meant: those that all the given members hold for; without any, all.</summary>
/// <param name="Ids">These and no others.</param>
/// <param name="Type">The alias of the message's type.</param>
/// <param name="Cause">The kind of the last error.</param>
/// <param name="From">Died at this time or later.</param>
/// <param name="To">Died before this time.</param>
/// <param name="State">For an export: only those that are <c>dead</c>, <c>replayed</c> or <c>discarded</c>. An act is about those that are dead.</param>
public sealed record LetterSelection(
    IReadOnlyList<Id<DeadLetterControl>>? Ids = null, string? Tenant = null, string? Queue = null, string? Type = null, string? Cause = null, DateTimeOffset? From = null, DateTimeOffset? To = null,
    string? State = null)
{
    // By what it holds: a list alone would be equal to itself only.
    public bool Equals(LetterSelection? other) => other is not null && (Ids is null ? other.Ids is null : other.Ids is not null && Ids.SequenceEqual(other.Ids))
        && (Tenant, Queue, Type, Cause, From, To, State) == (other.Tenant, other.Queue, other.Type, other.Cause, other.From, other.To, other.State);

    public override int GetHashCode() => HashCode.Combine(Ids?.Count, Tenant, Queue, Type, Cause, From, To);
}

/// <summary>What is done with many dead letters at once.</summary>
[JsonConverter(typeof(SweepKindConverter))]
public enum SweepKind { Replay, Discard, Export }

internal sealed class SweepKindConverter() : WordConverter<SweepKind>("letter_sweep.kind_invalid");

/// <summary>Dead letters are replayed, discarded or exported, as many as the selection holds for.</summary>
/// <param name="Expected">How many these were when it was ordered.</param>
/// <param name="Until">Letters that died later are not meant.</param>
/// <param name="Opened">Personal values are opened for it.</param>
public sealed record LetterSweepStarted(SweepKind Kind, LetterSelection Selection, long Expected, DateTimeOffset Until, Reason? Reason = null, bool Opened = false) : Event<LetterSweep>;

/// <param name="Done">How many letters were replayed, discarded or exported.</param>
public sealed record LetterSweepEnded(long Done) : Event<LetterSweep>;

public sealed record StartSweep(SweepKind Kind, LetterSelection Selection, long Expected, DateTimeOffset Until, Reason? Reason = null, bool Opened = false) : Command<LetterSweep>;
public sealed record EndSweep(long Done) : Command<LetterSweep>;

/// <summary>An act on many dead letters: a stream of the platform. It is carried out piece by piece by whoever comes to it, and ends when all pieces are done.</summary>
/// <param name="Started">What was ordered; null before.</param>
/// <param name="Done">How many it were; null until it has ended.</param>
public sealed record LetterSweep(LetterSweepStarted? Started, long? Done) : IAggregate<LetterSweep>
{
    public static string Kind => "letter-sweep";
    public static LetterSweep Initial { get; } = new(null, null);

    public static LetterSweep Evolve(LetterSweep state, Event<LetterSweep> e) => e switch
    {
        LetterSweepStarted s => state with { Started = s },
        LetterSweepEnded d => state with { Done = d.Done },
        _ => state,
    };

    public static IReadOnlyList<Event<LetterSweep>> Decide(LetterSweep state, Command<LetterSweep> command, Context at) => command switch
    {
        StartSweep c => state.Started is null ? [new LetterSweepStarted(c.Kind, c.Selection, c.Expected, c.Until, c.Reason, c.Opened)] : [],
        EndSweep c => state switch
        {
            { Started: null } => throw new Refused(RefusalKind.Missing, "letter_sweep.missing", "There is no such act."),
            { Done: null } => [new LetterSweepEnded(c.Done)],
            _ => [],
        },
        _ => throw new NotSupportedException(command.GetType().Name),
    };
}
