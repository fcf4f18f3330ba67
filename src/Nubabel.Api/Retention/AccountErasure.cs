using Nubabel.Api.Host;
using Nubabel.Api.LegalHolds;
using Nubabel.Domain;
using Nubabel.Domain.Users;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Retention;

/// <summary>Has the erasure of an account begun that was removed long ago.</summary>
public sealed class AccountErasure(Node node)
{
    /// <summary>Erases one account; a hold that came meanwhile is seen by the commit that begins it.</summary>
    public async Task<Removed> Erase(string tenant, DueItem account, CancellationToken ct)
    {
        var person = Id<User>.Parse(account.Person!);
        try
        {
            await node.Journal(tenant, new Origin(Actor.System("retention").ToString())).Commit([Holds.Admission(tenant, person)], ct);
        }
        catch (Refused refused) when (refused.Code == "legal_hold.active")
        {
            return Removed.Held;
        }
        return (await node.Subjects.Destroy(tenant, [account.Id], ct)).Count > 0 ? Removed.Gone : Removed.Before;
    }
}
