using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Domain.Consents;
using Nubabel.Domain.Users;
using Nubabel.Projections;
using Nubabel.Projections.Consents;
using Nubabel.Store;

namespace Nubabel.Api.Consents;

/// <summary>
/// What a product's code asks before it uses personal data: <c>if (await consents.Has(tenant, user, newsletter, ct))</c>. It reads the log itself, so a withdrawal counts from
/// its commit on, on every node.
/// </summary>
public sealed class Consents(Node node)
{
    /// <summary>
    /// Whether the user may be dealt with for this purpose: consent was given to the present text; nobody has objected to what rests on a public task or a legitimate interest; what
    /// rests on a contract, a law or a vital interest needs no decision. Never for a purpose that is unknown or retired, nor for somebody who is no member any more.
    /// </summary>
    public async Task<bool> Has(string tenant, Id<User> user, PurposeKey purpose, CancellationToken ct)
    {
        ArgumentNullException.ThrowIfNull(purpose);
        var (about, choices, account) = (Streams.Sought(Streams.Named<Purpose>(purpose.Value)), Streams.Sought(ConsentProof.StreamOf(user)), Streams.Sought<User>(user));
        // One round trip, in which only what is new is read of what this node remembers.
        var read = await node.Journal(tenant, new Origin("system:consents")).See([about, choices, account], ct);
        return read[account.Stream].State<User>().Status is UserStatus.Active or UserStatus.Suspended
            && read[about.Stream].State<Purpose>().Allows(read[choices.Stream].State<Consent>().Of(purpose));
    }
}
