using System.Text.Json.Serialization;
using Nubabel.Domain.Users;

namespace Nubabel.Domain.LegalHolds;

/// <summary>From now on nothing that is held of this person, or of the whole organization, is erased or deleted for its age.</summary>
/// <param name="Person">Null for the whole organization.</param>
/// <param name="Reason">Sealed under the hold's own key: it may name somebody, and is nobody's personal data alone.</param>
/// <param name="ByOperator">Placed by the platform; then only the platform releases it.</param>
public sealed record LegalHoldPlaced(Personal Reason, Id<User>? Person = null, bool ByOperator = false) : Event<LegalHold>;

/// <summary>It counts no more. What was kept because of it goes with the next run of retention.</summary>
public sealed record LegalHoldReleased(Personal Reason) : Event<LegalHold>;

public sealed record PlaceLegalHold(Personal Reason, Id<User>? Person = null, bool ByOperator = false) : Command<LegalHold>;

/// <summary>Refused to the organization where an operator has placed it.</summary>
public sealed record ReleaseLegalHold(Personal Reason, bool ByOperator = false) : Command<LegalHold>;

/// <summary>Where a hold is in its life.</summary>
[JsonConverter(typeof(LegalHoldStatusConverter))]
public enum LegalHoldStatus { None, Active, Released }

internal sealed class LegalHoldStatusConverter() : WordConverter<LegalHoldStatus>("legal_hold.status_invalid");

/// <summary>
/// A legal hold: somebody needs data of a person or of an organization to stay, whatever retention or the person wants. Whether anything is held is settled by
/// the <see cref="HoldRegister"/>, which is written in the same commit. Once released it never comes back.
/// </summary>
public sealed record LegalHold(LegalHoldStatus Status, Personal? Reason, Id<User>? Person, bool ByOperator) : IAggregate<LegalHold>
{
    public static string Kind => "legal-hold";
    public static LegalHold Initial { get; } = new(LegalHoldStatus.None, null, null, false);

    public static LegalHold Evolve(LegalHold state, Event<LegalHold> e) => e switch
    {
        LegalHoldPlaced p => new LegalHold(LegalHoldStatus.Active, p.Reason, p.Person, p.ByOperator),
        LegalHoldReleased => state with { Status = LegalHoldStatus.Released },
        _ => state,
    };

    public static IReadOnlyList<Event<LegalHold>> Decide(LegalHold state, Command<LegalHold> command, Context at) => command switch
    {
        PlaceLegalHold c => state.Place(c),
        ReleaseLegalHold c => state.Release(c),
        _ => throw new NotSupportedException(command.GetType().Name),
    };

    /// <summary>One answer for what never was and what belongs to another organization.</summary>
    public static Refused Missing() => new(RefusalKind.Missing, "legal_hold.missing", "There is no such legal hold.");

    private Event<LegalHold>[] Place(PlaceLegalHold c) => Status switch
    {
        LegalHoldStatus.None => [new LegalHoldPlaced(c.Reason, c.Person, c.ByOperator)],
        LegalHoldStatus.Active when (Reason, Person, ByOperator) == (c.Reason, c.Person, c.ByOperator) => [],
        _ => throw new Refused(RefusalKind.Conflict, "legal_hold.exists", "Another legal hold has this id."),
    };

    private Event<LegalHold>[] Release(ReleaseLegalHold c) => Status switch
    {
        LegalHoldStatus.None => throw Missing(),
        _ when ByOperator && !c.ByOperator => throw new Refused(RefusalKind.Denied, "legal_hold.by_operator", "An operator has placed this legal hold, so only an operator releases it."),
        LegalHoldStatus.Active => [new LegalHoldReleased(c.Reason)],
        _ => [],
    };
}
