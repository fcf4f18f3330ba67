using System.Text.Json.Serialization;

namespace Nubabel.Domain.Users;

/// <summary>An account was made in the organization.</summary>
/// <param name="EmailKey">The keyed hash of the normalised address: what sign-in looks up and what is unique.</param>
/// <param name="PasswordHash">As the password hasher wrote it, salt and cost included.</param>
public sealed record UserRegistered(Personal Email, string EmailKey, Personal Name, string PasswordHash, Role Role) : Event<User>;
public sealed record UserRenamed(Personal Name) : Event<User>;

public sealed record RegisterUser(Personal Email, string EmailKey, Personal Name, string PasswordHash, Role Role) : Command<User>;
public sealed record RenameUser(Personal Name) : Command<User>;

/// <summary>What a member may do; permissions follow from it in one table.</summary>
[JsonConverter(typeof(RoleConverter))]
public enum Role { Owner, Admin, Member, Viewer }

internal sealed class RoleConverter() : WordConverter<Role>("user.role_invalid");

/// <summary>Where an account is in its life.</summary>
[JsonConverter(typeof(UserStatusConverter))]
public enum UserStatus { None, Active }

internal sealed class UserStatusConverter() : WordConverter<UserStatus>("user.status_invalid");

/// <summary>
/// An account in one organization. The same address may hold accounts in several organizations, which share nothing. The stream's own
/// id is not part of the state, so that whoever may act on an account is settled by the route: the edge addresses a user's own stream.
/// </summary>
public sealed record User(UserStatus Status, Personal? Email, string EmailKey, Personal? Name, string PasswordHash, Role Role) : IAggregate<User>
{
    public static string Kind => "user";
    public static User Initial { get; } = new(UserStatus.None, null, "", null, "", Role.Viewer);

    public static User Evolve(User state, Event<User> e) => e switch
    {
        UserRegistered r => new User(UserStatus.Active, r.Email, r.EmailKey, r.Name, r.PasswordHash, r.Role),
        UserRenamed r => state with { Name = r.Name },
        _ => state,
    };

    public static IReadOnlyList<Event<User>> Decide(User state, Command<User> command, Context at) => command switch
    {
        RegisterUser c => state.Register(c),
        RenameUser c => state.Rename(c),
        _ => throw new NotSupportedException(command.GetType().Name),
    };

    public static IEnumerable<Claim> Claims(User state) =>
        state.Status == UserStatus.Active ? [new Claim("email", state.EmailKey, "user.email_taken")] : [];

    private Event<User>[] Register(RegisterUser c)
    {
        if (Status == UserStatus.None) return [new UserRegistered(c.Email, c.EmailKey, c.Name, c.PasswordHash, c.Role)];
        // The hash is salted, so a repeated request brings another one for the same password; it takes no part in the comparison.
        return EmailKey == c.EmailKey && Name == c.Name && Role == c.Role
            ? []
            : throw new Refused(RefusalKind.Conflict, "user.exists", "Another user has this id.");
    }

    private Event<User>[] Rename(RenameUser c) => Status switch
    {
        UserStatus.Active when Name == c.Name => [],
        UserStatus.Active => [new UserRenamed(c.Name)],
        _ => throw new Refused(RefusalKind.Missing, "user.missing", "There is no such user."),
    };
}
