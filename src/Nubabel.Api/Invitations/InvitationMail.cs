using Nubabel.Api.Host;
using Nubabel.Api.Host.Mail;
using Nubabel.Api.Host.Tokens;
using Nubabel.Domain;
using Nubabel.Domain.Invitations;
using Nubabel.Domain.Organizations;
using Nubabel.Domain.Users;

namespace Nubabel.Api.Invitations;

/// <summary>The letter that an invited address gets. Where it is lost, the invitation is withdrawn and sent anew.</summary>
public sealed class InvitationMail(Settings settings, Standings standings, Post post)
{
    public async Task Send(string tenant, NewInvitation invitation, InvitationToken token)
    {
        var name = (await standings.Of(tenant, Id<Organization>.Parse(tenant))).Name?.Value;
        post.Send(new Letter(
            invitation.Email.Value,
            $"You are invited to {name}",
            [
                $"You are invited to join {name} as {As(invitation.Role)}.",
                $"The link lets you choose a name and a password. It is good once, and for {Invitation.Days} days.",
                "If you do not know what this is about, you need not do anything.",
            ],
            "Accept the invitation",
            settings.Mail.Link("accept-invitation", token.Text)));
    }

    private static string As(Role role) => role switch { Role.Owner => "an owner", Role.Admin => "an admin", Role.Member => "a member", _ => "a viewer" };
}
