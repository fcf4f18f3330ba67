using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Domain.Organizations;
using Nubabel.Projections.Invitations;
using Nubabel.Projections.Members;

namespace Nubabel.Api.Invitations;

/// <summary>
/// How many members an organization may have, where an operator has set a bound. It is counted in the read models, which follow the log by some
/// milliseconds, so invitations at the very same time may exceed it by as many as there are.
/// </summary>
internal static class MemberLimit
{
    /// <summary>Refuses one more open invitation: each holds a place.</summary>
    public static async Task CheckInviting(Node node, Standings standings, string tenant, CancellationToken ct)
    {
        if (await Of(standings, tenant) is not { } limit) return;
        var reader = node.Reader(tenant);
        if (await MemberList.Count(reader, ct) + await InvitationList.Count(reader, node.Time.GetUtcNow(), ct) >= limit) throw Reached(limit);
    }

    /// <summary>Refuses one more member; the invitation has held the place, unless the bound has been lowered since.</summary>
    public static async Task CheckAccepting(Node node, Standings standings, string tenant, CancellationToken ct)
    {
        if (await Of(standings, tenant) is { } limit && await MemberList.Count(node.Reader(tenant), ct) >= limit) throw Reached(limit);
    }

    private static async Task<int?> Of(Standings standings, string tenant) => (await standings.Of(tenant, Id<Organization>.Parse(tenant))).Limits?.Members;

    private static Refused Reached(int limit) => new(RefusalKind.Conflict, "organization.members_limit", $"The organization may have {limit} members, open invitations included.");
}
