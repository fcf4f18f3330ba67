using Nubabel.Domain.Invitations;
using Nubabel.Domain.Users;
using Nubabel.Testing;

namespace Nubabel.Domain.Tests.Invitations;

public sealed class InvitationSpecs : Spec<Invitation>
{
    private static readonly Id<User> Bob = Id<User>.Parse("0198aaaa-0000-7000-8000-000000000002"), Eve = Id<User>.Parse("0198aaaa-0000-7000-8000-000000000003");
    private static readonly Personal Email = new("invitation-1", "ZW1haWw");
    private static readonly InvitationIssued Issued = new(Email, "key", Role.Member, "hash", Noon.AddDays(Invitation.Days));
    private static readonly IssueInvitation Issue = new(Email, "key", Role.Member, "hash", Noon.AddDays(Invitation.Days));
    private static readonly AcceptInvitation Accept = new("hash", Bob);

    [Fact]
    public void An_address_is_invited() => Given().When(Issue).Then(Issued);

    [Fact]
    public void Inviting_once_more_a_moment_later_changes_nothing() => Given(Issued).When(Issue with { ExpiresAt = Issue.ExpiresAt.AddSeconds(1) }).Nothing();

    [Fact]
    public void An_id_is_not_used_for_another_invitation()
    {
        Given(Issued).When(Issue with { EmailKey = "another" }).Refused("invitation.id_taken", RefusalKind.Conflict);
        Given(Issued).When(Issue with { Role = Role.Owner }).Refused("invitation.id_taken", RefusalKind.Conflict);
        Given(Issued).When(Issue with { TokenHash = "another" }).Refused("invitation.id_taken", RefusalKind.Conflict);
    }

    [Fact]
    public void An_open_invitation_holds_the_address() => Given(Issued).Holds("invitation=key");

    [Fact]
    public void Whatever_ends_an_invitation_frees_the_address()
    {
        Given(Issued, new InvitationWithdrawn()).Holds();
        Given(Issued, new InvitationExpired()).Holds();
        Given(Issued, new InvitationAccepted(Bob)).Holds();
    }

    [Fact]
    public void An_invitation_is_accepted_with_its_token() => Given(Issued).When(Accept).Then(new InvitationAccepted(Bob));

    [Fact]
    public void An_invitation_is_accepted_once() => Given(Issued, new InvitationAccepted(Bob)).When(Accept with { User = Eve }).Refused("invitation.token_invalid", RefusalKind.Invalid);

    [Fact]
    public void Another_token_opens_nothing_before_and_after()
    {
        Given(Issued).When(Accept with { TokenHash = "another" }).Refused("invitation.token_invalid", RefusalKind.Invalid);
        Given(Issued, new InvitationAccepted(Bob)).When(Accept with { TokenHash = "another" }).Refused("invitation.token_invalid", RefusalKind.Invalid);
    }

    [Fact]
    public void What_ended_is_not_accepted()
    {
        Given().When(Accept).Refused("invitation.token_invalid", RefusalKind.Invalid);
        Given(Issued, new InvitationWithdrawn()).When(Accept).Refused("invitation.token_invalid", RefusalKind.Invalid);
        Given(Issued, new InvitationExpired()).When(Accept).Refused("invitation.token_invalid", RefusalKind.Invalid);
    }

    [Fact]
    public void An_invitation_is_good_to_its_last_moment()
    {
        Given(Issued).At(Issued.ExpiresAt.AddMicroseconds(-1)).When(Accept).Then(new InvitationAccepted(Bob));
        Given(Issued).At(Issued.ExpiresAt).When(Accept).Refused("invitation.token_invalid", RefusalKind.Invalid);
    }

    [Fact]
    public void What_ran_out_makes_room_and_what_has_not_stays()
    {
        Given(Issued).At(Issued.ExpiresAt).When(new ExpireInvitation()).Then(new InvitationExpired());
        Given(Issued).At(Issued.ExpiresAt.AddMicroseconds(-1)).When(new ExpireInvitation()).Nothing();
        Given(Issued, new InvitationAccepted(Bob)).At(Issued.ExpiresAt).When(new ExpireInvitation()).Nothing();
    }

    [Fact]
    public void An_invitation_is_withdrawn_once()
    {
        Given(Issued).When(new WithdrawInvitation()).Then(new InvitationWithdrawn());
        Given(Issued, new InvitationWithdrawn()).When(new WithdrawInvitation()).Nothing();
    }

    [Fact]
    public void What_is_not_open_any_more_is_not_withdrawn()
    {
        Given().When(new WithdrawInvitation()).Refused("invitation.missing", RefusalKind.Missing);
        Given(Issued, new InvitationAccepted(Bob)).When(new WithdrawInvitation()).Refused("invitation.missing", RefusalKind.Missing);
        Given(Issued, new InvitationExpired()).When(new WithdrawInvitation()).Refused("invitation.missing", RefusalKind.Missing);
    }
}
