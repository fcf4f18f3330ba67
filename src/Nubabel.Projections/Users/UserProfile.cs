using Nubabel.Domain;
using Nubabel.Domain.Users;
using Nubabel.Store;

namespace Nubabel.Projections.Users;

/// <summary>An account as its user sees it.</summary>
public sealed record UserProfile(Id<User> Id, Personal Name, Role Role, Personal Email, UserStatus Status, DateTimeOffset RegisteredAt)
{
    /// <summary>Folded from the user's own stream when it is asked for; no table holds it.</summary>
    public static UserProfile? Evolve(UserProfile? row, Recorded e) => (row, e.Data) switch
    {
        (null, UserRegistered r) => new UserProfile(new Id<User>(e.StreamGuid), r.Name, r.Role, r.Email, UserStatus.Active, e.At),
        ({ }, UserRenamed r) => row with { Name = r.Name },
        ({ }, UserRoleChanged c) => row with { Role = c.Role },
        ({ }, UserSuspended) => row with { Status = UserStatus.Suspended },
        ({ }, UserReinstated) => row with { Status = UserStatus.Active },
        ({ }, UserLeft or UserRemoved) => row with { Status = UserStatus.Removed },
        _ => row,
    };
}
