using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Domain.Erasures;
using Nubabel.Domain.Users;
using Nubabel.Store;

namespace Nubabel.Api.Retention;

/// <summary>Has accounts erased that were removed long ago: the same erasure that a person asks for, with its ledger and its receipt.</summary>
public sealed class AgedAccounts(Node node, Erasures.Erasures erasures)
{
    /// <summary>Erases one account. A hold that came meanwhile is seen by the commit that begins it.</summary>
    public async Task<Removed> Erase(string tenant, DueItem account, CancellationToken ct)
    {
        var person = Id<User>.Parse(account.Person!);
        try
        {
            await erasures.Begin(node.Journal(tenant, new Origin(Actor.System("retention").ToString())), person, ErasureWish.Retention, ct);
        }
        catch (Refused refused) when (refused.Code == "legal_hold.active")
        {
            return Removed.Held;
        }
        await erasures.Run(tenant, person, ct);
        return Removed.Gone;
    }
}
