using System.Text.Json.Serialization;
using Nubabel.Domain.Sessions;

namespace Nubabel.Domain.Users;

/// <summary>An account was made in the organization.</summary>
/// <param name="EmailKey">The keyed hash of the normalised address: what sign-in looks up and what is unique.</param>
/// <param name="PasswordHash">As the password hasher wrote it, salt and cost included.</param>
public sealed record UserRegistered(Personal Email, string EmailKey, Personal Name, string PasswordHash, Role Role) : Event<User>;
public sealed record UserRenamed(Personal Name) : Event<User>;
public sealed record UserRoleChanged(Role Role) : Event<User>;

/// <summary>An admin has taken the account out of use for a while; nothing of it is lost.</summary>
/// <param name="Reason">Sealed under the account's key: it speaks of a person.</param>
public sealed record UserSuspended(Personal? Reason) : Event<User>;
public sealed record UserReinstated : Event<User>;

/// <summary>The user has left the organization by their own wish.</summary>
public sealed record UserLeft : Event<User>;

/// <summary>Somebody else has ended the membership.</summary>
/// <param name="Reason">Sealed under the account's key.</param>
public sealed record UserRemoved(Personal? Reason) : Event<User>;

/// <param name="Keeps">The session that went on, the one that changed it; all others opened with an older password have ended.</param>
public sealed record UserPasswordChanged(string PasswordHash, Id<Session>? Keeps = null) : Event<User>;

/// <summary>The same password under today's cost of hashing, made at a sign-in.</summary>
public sealed record UserPasswordRehashed(string PasswordHash) : Event<User>;

/// <summary>A link was mailed that sets a new password once.</summary>
/// <param name="TokenHash">SHA-256 of its secret.</param>
public sealed record UserPasswordResetRequested(string TokenHash, DateTimeOffset ExpiresAt) : Event<User>;
public sealed record UserPasswordReset(string TokenHash, string PasswordHash) : Event<User>;

public sealed record RegisterUser(Personal Email, string EmailKey, Personal Name, string PasswordHash, Role Role) : Command<User>;
public sealed record RenameUser(Personal Name) : Command<User>;
public sealed record ChangeRole(Role Role) : Command<User>;
public sealed record SuspendUser(Personal? Reason = null) : Command<User>;
public sealed record ReinstateUser : Command<User>;
public sealed record LeaveOrganization : Command<User>;
public sealed record RemoveUser(Personal? Reason = null) : Command<User>;

/// <param name="Was">The hash that the caller's password was checked against, so that of two changes at once one is refused.</param>
/// <param name="Keeps">The caller's session.</param>
public sealed record ChangePassword(string Was, string PasswordHash, Id<Session>? Keeps = null) : Command<User>;

/// <param name="Was">The hash that the password was checked against; has it changed meanwhile, nothing happens.</param>
public sealed record RehashPassword(string Was, string PasswordHash) : Command<User>;
public sealed record RequestPasswordReset(string TokenHash, DateTimeOffset ExpiresAt) : Command<User>;
public sealed record ResetPassword(string TokenHash, string PasswordHash) : Command<User>;

/// <summary>What a member may do; permissions follow from it in one table.</summary>
[JsonConverter(typeof(RoleConverter))]
public enum Role { Owner, Admin, Member, Viewer }

internal sealed class RoleConverter() : WordConverter<Role>("user.role_invalid");

/// <summary>Where an account is in its life.</summary>
[JsonConverter(typeof(UserStatusConverter))]
public enum UserStatus { None, Active, Suspended, Removed }

internal sealed class UserStatusConverter() : WordConverter<UserStatus>("user.status_invalid");

/// <summary>
/// An account in one organization. The same address may hold accounts in several organizations, which share nothing. The stream's own
/// id is not part of the state, so that whoever may act on an account is settled by the route: the edge addresses a user's own stream.
/// </summary>
/// <param name="PasswordNumber">How often the password has been set anew; the same password under another cost counts as the same.</param>
/// <param name="Kept">The one session that the last change of the password let go on.</param>
public sealed record User(
    UserStatus Status, Personal? Email, string EmailKey, Personal? Name, string PasswordHash, Role Role, PasswordReset? Reset = null, int PasswordNumber = 0, Id<Session>? Kept = null)
    : IAggregate<User>
{
    public static string Kind => "user";
    public static User Initial { get; } = new(UserStatus.None, null, "", null, "", Role.Viewer);

    public static User Evolve(User state, Event<User> e) => e switch
    {
        UserRegistered r => new User(UserStatus.Active, r.Email, r.EmailKey, r.Name, r.PasswordHash, r.Role),
        UserRenamed r => state with { Name = r.Name },
        UserRoleChanged c => state with { Role = c.Role },
        UserSuspended => state with { Status = UserStatus.Suspended },
        UserReinstated => state with { Status = UserStatus.Active },
        UserLeft or UserRemoved => state with { Status = UserStatus.Removed, Reset = null },
        UserPasswordChanged c => state with { PasswordHash = c.PasswordHash, Reset = null, PasswordNumber = state.PasswordNumber + 1, Kept = c.Keeps },
        UserPasswordRehashed r => state with { PasswordHash = r.PasswordHash },
        UserPasswordResetRequested r => state with { Reset = new PasswordReset(r.TokenHash, r.ExpiresAt, Used: false) },
        UserPasswordReset r => state with
        {
            PasswordHash = r.PasswordHash,
            Reset = new PasswordReset(r.TokenHash, default, Used: true),
            PasswordNumber = state.PasswordNumber + 1,
            Kept = null,
        },
        _ => state,
    };

    public static IReadOnlyList<Event<User>> Decide(User state, Command<User> command, Context at) => command switch
    {
        RegisterUser c => state.Register(c),
        RenameUser c => state.Rename(c),
        ChangeRole c => state.Change(c),
        SuspendUser c => state.Suspend(c),
        ReinstateUser => state.Reinstate(),
        LeaveOrganization => state.End(new UserLeft()),
        RemoveUser c => state.End(new UserRemoved(c.Reason)),
        ChangePassword c => state.Change(c),
        RehashPassword c => state.Status == UserStatus.Active && state.PasswordHash == c.Was ? [new UserPasswordRehashed(c.PasswordHash)] : [],
        RequestPasswordReset c => state.Request(c),
        ResetPassword c => state.ResetBy(c, at),
        _ => throw new NotSupportedException(command.GetType().Name),
    };

    /// <summary>
    /// Whether a session that was opened with this password may go on. Changing a password ends the sessions there are; one that was being opened meanwhile
    /// is found out by this.
    /// </summary>
    public bool Admits(Id<Session> session, int passwordNumber) => Status == UserStatus.Active && (passwordNumber == PasswordNumber || session == Kept);

    // A suspended account keeps its address; who has left or was removed may be invited again, as a new account.
    public static IEnumerable<Claim> Claims(User state) =>
        state.Status is UserStatus.Active or UserStatus.Suspended ? [new Claim("email", state.EmailKey, "user.email_taken")] : [];

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
        _ => throw Missing(),
    };

    private Event<User>[] Change(ChangeRole c) => Status switch
    {
        UserStatus.Active or UserStatus.Suspended => Role == c.Role ? [] : [new UserRoleChanged(c.Role)],
        _ => throw Missing(),
    };

    private Event<User>[] Suspend(SuspendUser c) => Status switch
    {
        UserStatus.Active => [new UserSuspended(c.Reason)],
        UserStatus.Suspended => [],
        _ => throw Missing(),
    };

    private Event<User>[] Reinstate() => Status switch
    {
        UserStatus.Suspended => [new UserReinstated()],
        UserStatus.Active => [],
        _ => throw Missing(),
    };

    private Event<User>[] End(Event<User> how) => Status switch
    {
        UserStatus.Active or UserStatus.Suspended => [how],
        UserStatus.Removed => [],
        _ => throw Missing(),
    };

    private Event<User>[] Change(ChangePassword c) => Status switch
    {
        UserStatus.Active when PasswordHash == c.PasswordHash => [],
        UserStatus.Active when PasswordHash == c.Was => [new UserPasswordChanged(c.PasswordHash, c.Keeps)],
        UserStatus.Active => throw new Refused(RefusalKind.Conflict, "user.password_changed", "The password has been changed meanwhile."),
        _ => throw Missing(),
    };

    private Event<User>[] Request(RequestPasswordReset c) => Status switch
    {
        UserStatus.Active when Reset is { Used: false } asked && asked.TokenHash == c.TokenHash => [],
        UserStatus.Active => [new UserPasswordResetRequested(c.TokenHash, c.ExpiresAt)],
        _ => throw Missing(),
    };

    // A link counts once and only the last one counts; asked again with the same new hash (a retried request), it has been done.
    private Event<User>[] ResetBy(ResetPassword c, Context at)
    {
        if (Status != UserStatus.Active || Reset is not { } asked || asked.TokenHash != c.TokenHash) throw Refusal();
        if (asked.Used) return PasswordHash == c.PasswordHash ? [] : throw Refusal();
        return asked.ExpiresAt > at.Now ? [new UserPasswordReset(c.TokenHash, c.PasswordHash)] : throw Refusal();

        static Refused Refusal() => new(RefusalKind.Invalid, "password_reset.token_invalid", "The link is unknown, was used, or has run out; ask for another.", "token");
    }

    private static Refused Missing() => new(RefusalKind.Missing, "user.missing", "There is no such user.");
}

/// <summary>The last link that sets a new password.</summary>
public sealed record PasswordReset(string TokenHash, DateTimeOffset ExpiresAt, bool Used);
