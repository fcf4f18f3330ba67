using System.Text.Json.Serialization;
using Nubabel.Domain.Users;

namespace Nubabel.Domain.Invitations;

/// <summary>Somebody was invited to the organization.</summary>
/// <param name="Email">Sealed under the invitation's own key: nobody has an account yet.</param>
/// <param name="EmailKey">The keyed hash of the normalised address, the same that an account is found by.</param>
/// <param name="TokenHash">SHA-256 of the token's secret; the token itself is nowhere.</param>
public sealed record InvitationIssued(Personal Email, string EmailKey, Role Role, string TokenHash, DateTimeOffset ExpiresAt) : Event<Invitation>;
public sealed record InvitationWithdrawn : Event<Invitation>;

/// <summary>The invitation had run out and made room for another one to the same address.</summary>
public sealed record InvitationExpired : Event<Invitation>;

/// <summary>Appended together with the account that came of it.</summary>
public sealed record InvitationAccepted(Id<User> User) : Event<Invitation>;

public sealed record IssueInvitation(Personal Email, string EmailKey, Role Role, string TokenHash, DateTimeOffset ExpiresAt) : Command<Invitation>;
public sealed record WithdrawInvitation : Command<Invitation>;

/// <summary>Changes nothing before its time has come.</summary>
public sealed record ExpireInvitation : Command<Invitation>;

/// <param name="TokenHash">Of the token that was shown.</param>
/// <param name="User">The account that is made in the same commit.</param>
public sealed record AcceptInvitation(string TokenHash, Id<User> User) : Command<Invitation>;

/// <summary>Where an invitation is in its life. One that ran out is still <see cref="Open"/> here: no event says that time has passed.</summary>
[JsonConverter(typeof(InvitationStatusConverter))]
public enum InvitationStatus { None, Open, Accepted, Withdrawn, Expired }

internal sealed class InvitationStatusConverter() : WordConverter<InvitationStatus>("invitation.status_invalid");

/// <summary>An invitation of an address to the organization, good once and until it runs out. An address has at most one that is open.</summary>
public sealed record Invitation(
    InvitationStatus Status, Personal? Email, string EmailKey, Role Role, string TokenHash, DateTimeOffset ExpiresAt, Id<User>? User = null) : IAggregate<Invitation>
{
    /// <summary>How long an invitation is good, in days.</summary>
    public const int Days = 7;

    public static string Kind => "invitation";
    public static Invitation Initial { get; } = new(InvitationStatus.None, null, "", Role.Viewer, "", default);

    public static Invitation Evolve(Invitation state, Event<Invitation> e) => e switch
    {
        InvitationIssued i => new Invitation(InvitationStatus.Open, i.Email, i.EmailKey, i.Role, i.TokenHash, i.ExpiresAt),
        InvitationWithdrawn => state with { Status = InvitationStatus.Withdrawn },
        InvitationExpired => state with { Status = InvitationStatus.Expired },
        InvitationAccepted a => state with { Status = InvitationStatus.Accepted, User = a.User },
        _ => state,
    };

    public static IReadOnlyList<Event<Invitation>> Decide(Invitation state, Command<Invitation> command, Context at) => command switch
    {
        IssueInvitation c => state.Issue(c),
        WithdrawInvitation => state.Withdraw(),
        ExpireInvitation => state.Status == InvitationStatus.Open && state.ExpiresAt <= at.Now ? [new InvitationExpired()] : [],
        AcceptInvitation c => state.Accept(c, at),
        _ => throw new NotSupportedException(command.GetType().Name),
    };

    public static IEnumerable<Claim> Claims(Invitation state) =>
        state.Status == InvitationStatus.Open ? [new Claim("invitation", state.EmailKey, "invitation.exists", "email")] : [];

    /// <summary>Whether this token may be exchanged for an account now.</summary>
    public bool IsGood(string tokenHash, DateTimeOffset now) => Status == InvitationStatus.Open && TokenHash == tokenHash && now < ExpiresAt;

    /// <summary>One refusal for unknown, forged, used, withdrawn and run out, so that an answer tells nothing about the token.</summary>
    public static Refused TokenInvalid() =>
        new(RefusalKind.Invalid, "invitation.token_invalid", "The invitation is unknown, was used or withdrawn, or has run out; ask for another.", "token");

    private Event<Invitation>[] Issue(IssueInvitation c)
    {
        if (Status == InvitationStatus.None) return [new InvitationIssued(c.Email, c.EmailKey, c.Role, c.TokenHash, c.ExpiresAt)];
        return EmailKey == c.EmailKey && Role == c.Role && TokenHash == c.TokenHash
            ? []
            : throw new Refused(RefusalKind.Conflict, "invitation.id_taken", "Another invitation has this id.");
    }

    private Event<Invitation>[] Withdraw() => Status switch
    {
        InvitationStatus.Open => [new InvitationWithdrawn()],
        InvitationStatus.Withdrawn => [],
        _ => throw new Refused(RefusalKind.Missing, "invitation.missing", "There is no such invitation."),
    };

    // Decided again on its own result, it has been done.
    private Event<Invitation>[] Accept(AcceptInvitation c, Context at) =>
        IsGood(c.TokenHash, at.Now) ? [new InvitationAccepted(c.User)]
        : Status == InvitationStatus.Accepted && TokenHash == c.TokenHash && User == c.User ? []
        : throw TokenInvalid();
}
