using System.Collections.Frozen;
using Nubabel.Domain;
using Nubabel.Domain.Sessions;
using Nubabel.Domain.Users;

namespace Nubabel.Api.Host;

/// <summary>The realms of credentials: what is valid in one is nobody in the other.</summary>
public enum Realm { Organization, Platform }

/// <summary>Who calls, as the credential says; nothing a caller can write into a header or a body takes part in it.</summary>
/// <param name="Tenant">The organization's id, or <see cref="Node.Platform"/>.</param>
/// <param name="Id">Of the user, the operator or the API key.</param>
/// <param name="Session">The sign-in; none for a key.</param>
/// <param name="Role">Of the account, as it is now.</param>
/// <param name="Scopes">The permissions of an API key; null for a person, whose role gives them.</param>
public sealed record Caller(Realm Realm, string Tenant, Guid Id, Id<Session> Session, string Role, FrozenSet<string>? Scopes = null)
{
    public bool IsKey => Scopes is not null;
    public Actor Actor => IsKey ? Actor.Key(Id) : Realm == Realm.Platform ? Actor.Operator(Id) : Actor.User(Id);
    public Id<User> User => Realm == Realm.Organization && !IsKey ? new Id<User>(Id) : throw new InvalidOperationException("Only people are users.");
    public bool May(string permission) => (Scopes ?? Permissions.Of(Role)).Contains(permission);
}
