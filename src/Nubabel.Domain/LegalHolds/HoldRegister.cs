using System.Collections.Immutable;
using Nubabel.Domain.Users;

namespace Nubabel.Domain.LegalHolds;

/// <summary>The register was begun, so that its stream is there to be locked by whoever deletes.</summary>
public sealed record HoldRegisterOpened : Event<HoldRegister>;

/// <summary>A hold counts. Appended together with the hold's own event.</summary>
/// <param name="Person">Null for the whole organization.</param>
public sealed record HoldRegisterEntered(Id<LegalHold> Hold, Id<User>? Person = null) : Event<HoldRegister>;

/// <summary>A hold counts no more. Appended together with the hold's own event.</summary>
public sealed record HoldRegisterLifted(Id<LegalHold> Hold) : Event<HoldRegister>;

/// <summary>No hold stood against the erasure of this person. Appended together with what begins the erasure; a hold on the person that comes later is too late.</summary>
public sealed record HoldRegisterErasureAdmitted(Id<User> Person) : Event<HoldRegister>;

/// <summary>Begins the register; changes nothing where there is one.</summary>
public sealed record OpenHoldRegister : Command<HoldRegister>;
public sealed record EnterHold(Id<LegalHold> Hold, Id<User>? Person = null) : Command<HoldRegister>;
public sealed record LiftHold(Id<LegalHold> Hold) : Command<HoldRegister>;

/// <summary>Refused while a hold counts on the person or on the organization. Admitted once is admitted: an erasure that has begun is carried to its end.</summary>
public sealed record AdmitErasure(Id<User> Person) : Command<HoldRegister>;

/// <summary>A hold that counts or has counted.</summary>
public sealed record EnteredHold(Id<User>? Person, bool Counts);

/// <summary>
/// What of one organization is held: one stream for all holds, because "nothing held is erased" is a rule over all of them. A hold appends to it, and so does
/// what begins an erasure, each on exactly the version that it was decided on: of a hold and an erasure at the same time one is first, and the other sees it.
/// </summary>
/// <param name="Erasing">The persons whose erasure was admitted.</param>
public sealed record HoldRegister(bool IsOpen, ImmutableDictionary<Id<LegalHold>, EnteredHold> Holds, ImmutableHashSet<Id<User>> Erasing) : IAggregate<HoldRegister>
{
    /// <summary>So many holds of an organization count at a time.</summary>
    public const int Most = 1_000;

    public static string Kind => "hold-register";
    public static HoldRegister Initial { get; } = new(false, ImmutableDictionary<Id<LegalHold>, EnteredHold>.Empty, []);

    /// <summary>Whether all of the organization is held.</summary>
    public bool HoldsAll => Holds.Values.Any(h => h is { Counts: true, Person: null });

    /// <summary>The persons who are held for themselves.</summary>
    public ImmutableHashSet<Id<User>> Persons => [.. Holds.Values.Where(h => h.Counts).Select(h => h.Person).OfType<Id<User>>()];

    /// <summary>Whether what is held of this person stays, because of the person or of all.</summary>
    public bool IsHeld(Id<User> person) => Holds.Values.Any(h => h.Counts && (h.Person is null || h.Person == person));

    /// <summary>The holds on this person that count no more: their reasons are about the person, and go with the person.</summary>
    public IEnumerable<Id<LegalHold>> Past(Id<User> person) => Holds.Where(h => !h.Value.Counts && h.Value.Person == person).Select(h => h.Key);

    public static HoldRegister Evolve(HoldRegister state, Event<HoldRegister> e) => e switch
    {
        HoldRegisterOpened => state with { IsOpen = true },
        HoldRegisterEntered h => state with { IsOpen = true, Holds = state.Holds.SetItem(h.Hold, new EnteredHold(h.Person, Counts: true)) },
        HoldRegisterLifted l => state with { Holds = state.Holds.SetItem(l.Hold, new EnteredHold(state.Holds.GetValueOrDefault(l.Hold)?.Person, Counts: false)) },
        HoldRegisterErasureAdmitted a => state with { IsOpen = true, Erasing = state.Erasing.Add(a.Person) },
        _ => state,
    };

    public static IReadOnlyList<Event<HoldRegister>> Decide(HoldRegister state, Command<HoldRegister> command, Context at) => command switch
    {
        OpenHoldRegister => state.IsOpen ? [] : [new HoldRegisterOpened()],
        EnterHold c => state.Enter(c),
        LiftHold c => state.Holds.TryGetValue(c.Hold, out var hold) && hold.Counts ? [new HoldRegisterLifted(c.Hold)] : [],
        AdmitErasure c => state.Admit(c.Person),
        _ => throw new NotSupportedException(command.GetType().Name),
    };

    // One that was lifted does not come back: the hold itself refuses that.
    private Event<HoldRegister>[] Enter(EnterHold c)
    {
        if (Holds.ContainsKey(c.Hold)) return [];
        if (c.Person is { } person && Erasing.Contains(person)) throw new Refused(RefusalKind.Conflict, "legal_hold.too_late", "The person's data is erased, or is being erased.", "userId");
        if (Holds.Values.Count(h => h.Counts) >= Most) throw new Refused(RefusalKind.Conflict, "legal_hold.too_many", $"An organization has {Most} legal holds at most; one on all of it holds everybody.");
        return [new HoldRegisterEntered(c.Hold, c.Person)];
    }

    private Event<HoldRegister>[] Admit(Id<User> person) =>
        Erasing.Contains(person) ? []
        : !IsHeld(person) ? [new HoldRegisterErasureAdmitted(person)]
        : throw new Refused(RefusalKind.Conflict, "legal_hold.active", "A legal hold keeps this data from being erased until it is released.");
}
