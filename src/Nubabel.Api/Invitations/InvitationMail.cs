using Nubabel.Api.Host;
using Nubabel.Api.Host.Mail;
using Nubabel.Api.Host.Tokens;
using Nubabel.Domain;
using Nubabel.Domain.Invitations;
using Nubabel.Domain.Organizations;
using Nubabel.Domain.Users;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Invitations;

/// <summary>The letter that an invited address gets, enqueued in the commit of the invitation.</summary>
public sealed class InvitationMail(Settings settings, Standings standings, Post post)
{
    public async Task Enclose(Journal journal, Id<Invitation> id, NewInvitation invitation, InvitationToken token, CancellationToken ct)
    {
        var name = (await standings.Of(journal.Tenant, Id<Organization>.Parse(journal.Tenant))).Name?.Value;
        await post.Enclose(journal, Streams.Of(id), new Letter(
            invitation.Email.Value,
            $"You are invited to {name}",
            [
                $"You are invited to join {name} as {As(invitation.Role)}.",
                $"The link lets you choose a name and a password. It is good once, and for {Invitation.Days} days.",
                "If you do not know what this is about, you need not do anything.",
            ],
            "Accept the invitation",
            settings.Mail.Link("accept-invitation", token.Text)), ct);
    }

    private static string As(Role role) => role switch { Role.Owner => "an owner", Role.Admin => "an admin", Role.Member => "a member", _ => "a viewer" };
}
