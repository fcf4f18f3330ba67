using Nubabel.Domain;
using Nubabel.Domain.Invitations;
using Nubabel.Domain.Users;
using Nubabel.Projections.Invitations;

namespace Nubabel.Projections.Tests.Invitations;

public sealed class InvitationListTests
{
    private static readonly Id<Invitation> Id = Id<Invitation>.Parse("0198aaaa-0000-7000-8000-0000000000f1");
    private static readonly InvitationIssued Issued = new(new Personal($"invitation-{Id}", "bWFpbA"), "key", Role.Admin, "hash", Given.Noon.AddDays(7));

    [Fact]
    public void An_open_invitation_is_shown_without_a_token() =>
        Shows(new InvitationRow(Id, Role.Admin, Issued.Email, null, Given.Noon.AddDays(7), Given.Noon, "user:0198aaaa-0000-7000-8000-000000000002"), Issued);

    [Fact]
    public void What_ended_is_not_shown()
    {
        Shows(null, Issued, new InvitationWithdrawn());
        Shows(null, Issued, new InvitationExpired());
        Shows(null, Issued, new InvitationAccepted(Id<User>.Parse("0198aaaa-0000-7000-8000-000000000002")));
    }

    private static void Shows(InvitationRow? row, params Event<Invitation>[] events) => Assert.Equal(row, Given.Fold<InvitationRow>(InvitationList.Evolve, Given.Stream(Id, events)));
}
