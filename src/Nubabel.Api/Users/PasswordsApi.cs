using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Api.Host.Tokens;
using Nubabel.Api.Sessions;
using Nubabel.Domain;
using Nubabel.Domain.Organizations;
using Nubabel.Domain.Sessions;
using Nubabel.Domain.Users;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Users;

/// <summary>Who has forgotten the password, named as at the sign-in. Compared, not judged.</summary>
public sealed record AskForReset(string Organization, string Email)
{
    // A record prints its members; these must not be in a log.
    public override string ToString() => "(password reset)";
}

/// <summary>What a mailed link leads to.</summary>
public sealed record ConfirmReset(string Token, Password Password)
{
    public override string ToString() => "(new password)";
}

/// <summary>A change of the own password.</summary>
public sealed record PasswordChange(string Current, Password New)
{
    public override string ToString() => "(password change)";
}

/// <summary>New passwords: by a mailed link, or in exchange for the current one.</summary>
public static class PasswordsApi
{
    /// <summary>Longer than any organization's name for itself or any address: nobody can be meant.</summary>
    private const int LongestName = 320;

    public static void MapPasswords(this IEndpointRouteBuilder app)
    {
        var reset = app.MapGroup("/api/auth/password-reset").WithTags("Passwords");
        reset.MapPost("", Ask).Anonymous().Answers202().WithExample("""{"organization":"acme","email":"ada@example.com"}""");
        reset.MapPost("/confirm", Confirm).Anonymous().Answers204().WithExample(
            """{"token":"nbp.01936d5e-5a0f-7a11-8e2b-0c4d5e6f7081.01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50.bm90LWEtcmVhbC1zZWNyZXQtYnV0LTQzLWNoYXJhY3RlcnM","password":"correct horse battery"}""");
        app.MapPut("/api/user/password", Change).WithTags("Passwords").Needs("user:write").Answers204()
            .WithExample("""{"current":"correct horse battery","new":"another battery of horses"}""");
    }

    /// <summary>One answer, whoever is named: what is found out is found out after it.</summary>
    private static async Task<IResult> Ask(Body<AskForReset> body, RequestScope scope, PasswordResets resets, CancellationToken ct)
    {
        var wish = body.Value;
        var origin = scope.Origin(Actor.System("password-reset"), "");
        if (wish.Organization.Length <= LongestName && wish.Email.Length <= LongestName)
            await resets.Keep(wish.Organization, wish.Email, origin, ct);
        return Results.StatusCode(StatusCodes.Status202Accepted);
    }

    private static async Task<IResult> Confirm(
        Body<ConfirmReset> body, RequestScope scope, Node node, Passwords passwords, LockOut lockOut, LiveSessions live, Standings standings, PasswordResets resets,
        Answers answers, CancellationToken ct)
    {
        // What is no token at all is refused as one that nobody has.
        var token = ResetToken.Parse(body.Value.Token) ?? new ResetToken(Guid.Empty.ToString(), default, "");
        var actor = Actor.User(token.User.Value);
        var journal = scope.JournalFor(token.Tenant, actor);
        var account = (await journal.Load(token.User, ct)).State;
        IReadOnlyList<Step> with = [];
        var hash = "";
        if (scope.Replay is null)
        {
            // Before anything is hashed: a guess costs its sender more than us.
            User.Decide(account, new ResetPassword(token.Hash, ""), new Context(journal.Now(), actor));
            if (await standings.Organization(token.Tenant) is { } stopped) throw stopped;
            hash = await passwords.Hash(await Judged(body.Value.Password, node, journal, account, ct), ct);
            with = [.. LiveSessions.Ending(await live.Of(token.Tenant, actor, except: null, ct), SessionEnd.PasswordReset), .. lockOut.Free(account.EmailKey)];
            await resets.Notify(journal, token.User, account, ct);
        }
        // Last of the commit, so that its position is the commit's.
        var reset = new Step<User>(token.User, new ResetPassword(token.Hash, hash));
        await journal.Commit([.. with, reset], ct);
        if (scope.Replay is null) await live.EndRest(scope.JournalBeside(token.Tenant, actor, actor.Subject), actor, except: null, SessionEnd.PasswordReset, CancellationToken.None);
        return answers.Gone(reset.Outcome);
    }

    private static async Task<IResult> Change(
        Body<PasswordChange> body, RequestScope scope, Caller caller, Node node, Journal journal, Passwords passwords, LockOut lockOut, LiveSessions live, PasswordResets resets,
        Answers answers, CancellationToken ct)
    {
        if (scope.Replay is not null) return answers.Gone(await journal.Handle(caller.User, new ChangePassword("", ""), ct));
        var (wish, account) = (body.Value, (await journal.Load(caller.User, ct)).State);
        // Who has stolen a session must not guess faster here than at the sign-in.
        using var attempt = await lockOut.Begin(caller.Tenant, account.EmailKey, ct);
        if (await passwords.Verify(account.PasswordHash, wish.Current, ct) == Verdict.Wrong)
        {
            await attempt.Fail(scope, Streams.Of(caller.User));
            throw Problem.At("current", "password.current_wrong", "The current password is wrong.");
        }
        var hash = await passwords.Hash(await Judged(wish.New, node, journal, account, ct), ct);
        var change = new Step<User>(caller.User, new ChangePassword(account.PasswordHash, hash, caller.Session));
        var others = LiveSessions.Ending(await live.Of(caller.Tenant, caller.Actor, caller.Session, ct), SessionEnd.PasswordChanged);
        await resets.Notify(journal, caller.User, account, ct);
        await journal.Commit([.. others, .. attempt.Cleared(), change], ct);
        await live.EndRest(scope.JournalBeside(caller.Tenant, caller.Actor, caller.Actor.Subject), caller.Actor, caller.Session, SessionEnd.PasswordChanged, CancellationToken.None);
        return answers.Gone(change.Outcome);
    }

    /// <summary>The password, unless it is what everybody knows of the account.</summary>
    private static async Task<Password> Judged(Password password, Node node, Journal journal, User account, CancellationToken ct)
    {
        var organization = (await journal.Load(Id<Organization>.Parse(journal.Tenant), ct)).State;
        var email = account.Email is { } known && Email.TryParse(await node.Open(journal.Tenant, known, ct), out var address) ? Password.KnownOf(address) : [];
        return password.Unlike([organization.Name?.Value, organization.Slug?.Value, .. email]);
    }
}
