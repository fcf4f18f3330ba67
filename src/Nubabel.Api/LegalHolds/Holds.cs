using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Domain.Erasures;
using Nubabel.Domain.LegalHolds;
using Nubabel.Domain.Users;
using Nubabel.Projections;
using Nubabel.Projections.LegalHolds;
using Nubabel.Store;

namespace Nubabel.Api.LegalHolds;

/// <summary>
/// What erasure and retention ask before they destroy anything. An erasure asks by a step of the very commit that begins it (<see cref="Admission"/>): then of a
/// hold and an erasure at the same time one is first in the register's stream, and the other is refused for certain.
/// </summary>
public sealed class Holds(Node node)
{
    /// <summary>The register of an organization's holds.</summary>
    public static StreamName<HoldRegister> RegisterOf(string tenant) => Id<HoldRegister>.Parse(tenant);

    /// <summary>
    /// Refuses the commit that it is a part of with 409 <c>legal_hold.active</c> while a hold counts on this person or on the organization. Once admitted an erasure
    /// may be gone on with for as long as it takes: a hold on the person that comes later is refused, and one on the organization keeps the others.
    /// </summary>
    public static Step<HoldRegister> Admission(string tenant, Id<User> person) => new(RegisterOf(tenant), new AdmitErasure(person));

    /// <summary>What is held now, as it stands in the log. It may have changed when the answer is here: what must be certain is asked in its own commit or under the fence.</summary>
    public async Task<HoldRegister> Of(string tenant, CancellationToken ct) => (await Load(tenant, ct)).State;

    /// <summary>The same with the version at which it stands.</summary>
    public Task<Outcome<HoldRegister>> Load(string tenant, CancellationToken ct) => node.Journal(tenant, new Origin(Actor.System("holds").ToString())).Load(RegisterOf(tenant), ct);
}

/// <summary>A legal hold as it is wanted.</summary>
/// <param name="UserId">Whose data is held; absent for all of the organization's.</param>
public sealed record WantedLegalHold(Reason Reason, Id<User>? UserId = null)
{
    // A record prints its members; a reason may name somebody and must not be in a log.
    public override string ToString() => "(legal hold)";
}

/// <summary>The end of a legal hold.</summary>
public sealed record LegalHoldRelease(Reason Reason)
{
    public override string ToString() => "(release of a legal hold)";
}

/// <summary>Places and releases holds, for owners and operators alike.</summary>
public sealed class HoldActs(Node node, RequestScope scope)
{
    /// <summary>The hold and its entry in the register are one commit.</summary>
    /// <exception cref="Refused">There is no such user, or the user's data is being erased.</exception>
    public async Task<Outcome<LegalHold>> Place(Journal journal, WantedLegalHold wish, bool byOperator, CancellationToken ct)
    {
        // A repeated request is answered as it was.
        if (scope.Replay is null && wish.UserId is { } person && (await journal.Load(person, ct)).State.Status == UserStatus.None)
            throw new Refused(RefusalKind.Invalid, "legal_hold.user_missing", "The organization has no such user.", "userId");
        // Who was erased by the ledger after a restore passed no register: that was done before anybody was served.
        if (scope.Replay is null && wish.UserId is { } erased && (await journal.Load(Erasures.Erasures.Of(erased), ct)).State.Status != ErasureStatus.None)
            throw new Refused(RefusalKind.Conflict, "legal_hold.too_late", "The person's data is erased, or is being erased.", "userId");
        var id = scope.Ids.New<LegalHold>();
        var placed = new Step<LegalHold>(id, new PlaceLegalHold(await Seal(journal, id, wish.Reason, ct), wish.UserId, byOperator), fresh: true);
        await journal.Commit([new Step<HoldRegister>(Holds.RegisterOf(journal.Tenant), new EnterHold(id, wish.UserId)), placed], ct);
        return placed.Outcome;
    }

    public async Task<Outcome<LegalHold>> Release(Journal journal, Id<LegalHold> id, LegalHoldRelease wish, bool byOperator, Func<long, bool>? matches, CancellationToken ct)
    {
        if (scope.Replay is null && (await journal.Load(id, ct)).State.Status == LegalHoldStatus.None) throw LegalHold.Missing();
        var released = new Step<LegalHold>(id, new ReleaseLegalHold(await Seal(journal, id, wish.Reason, ct), byOperator), matches: matches);
        await journal.Commit([new Step<HoldRegister>(Holds.RegisterOf(journal.Tenant), new LiftHold(id)), released], ct);
        return released.Outcome;
    }

    private ValueTask<Personal> Seal(Journal journal, Id<LegalHold> id, Reason reason, CancellationToken ct) => node.Seal(journal.Tenant, Streams.Of(id), reason.Value, ct);
}

/// <summary>What lists of holds are asked for, and what they show.</summary>
public static class HoldSearch
{
    public static LegalHoldRow? Row(Outcome<LegalHold> hold) => hold.Row<LegalHoldRow>();

    /// <exception cref="Problem">There is no such status, or it is no id.</exception>
    public static LegalHoldList.Filter Of(string? status, string? userId) => new(StatusOf(status), UserOf(userId));

    private static LegalHoldStatus? StatusOf(string? text) => text switch
    {
        null => null,
        "active" => LegalHoldStatus.Active,
        "released" => LegalHoldStatus.Released,
        _ => throw Problem.At("status", "query.invalid", "One of: active, released."),
    };

    private static Id<User>? UserOf(string? text) =>
        text is null ? null : Id<User>.TryParse(text, null, out var user) ? user : throw Problem.At("userId", "query.invalid", "A user's id is a lower-case UUID.");
}
