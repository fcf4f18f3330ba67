using Nubabel.Domain;
using Nubabel.Domain.Sessions;
using Nubabel.Domain.Users;

namespace Nubabel.Api.Host;

/// <summary>The realms of credentials: what is valid in one is nobody in the other.</summary>
public enum Realm { Organization, Platform }

/// <summary>Who calls, as the credential says; nothing a caller can write into a header or a body takes part in it.</summary>
/// <param name="Tenant">The organization's id, or <see cref="Node.Platform"/>.</param>
/// <param name="Id">Of the user or operator.</param>
public sealed record Caller(Realm Realm, string Tenant, Guid Id, Id<Session> Session, string Role)
{
    public Actor Actor => Realm == Realm.Platform ? Actor.Operator(Id) : Actor.User(Id);
    public Id<User> User => Realm == Realm.Organization ? new Id<User>(Id) : throw new InvalidOperationException("An operator is not a user.");
    public bool May(string permission) => Permissions.Of(Role).Contains(permission);
}
