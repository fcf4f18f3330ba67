using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Api.Host.Tokens;
using Nubabel.Domain;
using Nubabel.Domain.Sessions;
using Nubabel.Domain.Users;
using Nubabel.Projections;
using Nubabel.Projections.Sessions;
using Nubabel.Store;
using Positions = Nubabel.Api.Host.Positions;

namespace Nubabel.Api.Sessions;

/// <summary>A sign-in to an organization, named by slug or id. The address and the password are compared, not judged: what cannot be one is wrong.</summary>
public sealed record SignIn(string Organization, string Email, string Password)
{
    // A record prints its members; these must not be in a log.
    public override string ToString() => "(sign-in)";
}

/// <summary>The refresh of a session; the member is named as RFC 6749 §6 does.</summary>
public sealed record Refresh([property: System.Text.Json.Serialization.JsonPropertyName("refresh_token")] string RefreshToken)
{
    /// <summary>For the document.</summary>
    internal const string Example = """
        {"refresh_token":"nbr.01936d5e-5a0f-7a11-8e2b-0c4d5e6f7081.01936d5e-5a11-7d55-9a1f-7c2e3d4b5a60.0.bm90LWEtcmVhbC1zZWNyZXQtYnV0LTQzLWNoYXJhY3RlcnM"}
        """;

    public override string ToString() => "(refresh)";
}

/// <summary>Sign-in, refresh, sign-out, and the sessions of the user who calls.</summary>
public static class SessionsApi
{
    private const string Example = """
        {"items":[{"id":"01936d5e-5a11-7d55-9a1f-7c2e3d4b5a60","ip":"203.0.113.7","endsAt":"2027-02-19T08:14:00Z","holder":"user:01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","current":true,
        "openedAt":"2026-11-21T08:14:00Z","expiresAt":"2026-12-21T08:14:00Z","userAgent":"curl/8.5.0","refreshedAt":"2026-11-21T08:14:00Z"}],"next":null}
        """;

    public static void MapSessions(this IEndpointRouteBuilder app)
    {
        var auth = app.MapGroup("/api/auth").WithTags("Sessions");
        auth.MapPost("/sign-in", SignIn).Anonymous().Answers200<TokenAnswer>().WithExample("""{"organization":"acme","email":"ada@example.com","password":"correct horse battery"}""", TokenAnswer.Example);
        auth.MapPost("/refresh", Refresh).Anonymous().Answers200<TokenAnswer>().WithExample(Sessions.Refresh.Example, TokenAnswer.Example);
        auth.MapPost("/sign-out", SignOut).NeedsEvenEnded("sessions:write").Answers204();
        var sessions = app.MapGroup("/api/sessions").WithTags("Sessions");
        sessions.MapGet("", List).Needs("sessions:read").Paged<SessionRow>().WithExample(response: Example);
        sessions.MapDelete("/{id}", Revoke).Needs("sessions:write").Answers204();
        sessions.MapPost("/revoke-others", RevokeOthers).Needs("sessions:write").Answers200<RevokedOthers>().WithExample(response: """{"revoked":2}""");
        app.MapGet("/.well-known/jwks.json", (SigningKeys keys, CancellationToken ct) => keys.Published(ct)).WithTags("Sessions").Anonymous().Answers200<JwkSet>();
    }

    private static async Task<IResult> SignIn(
        Body<SignIn> body, RequestScope scope, Node node, Passwords passwords, LockOut lockOut, Standings standings, SignIns signIns, Chores chores, CancellationToken ct)
    {
        var (wish, ids) = (body.Value, scope.Ids);
        var known = await node.Directory.Find(wish.Organization, ct);
        // Whatever is missing, the same is done: count the failures, look the address up somewhere, load an account, hash a password. So the time tells nothing.
        // Of an unknown organization they count by the name as it was typed, because a known one is found by no other spelling either.
        using var attempt = known is null
            ? await lockOut.Begin(Node.Platform, signIns.AddressKey($"organization {wish.Organization}", wish.Email), ct)
            : await lockOut.Begin(known.Organization, signIns.AddressKey(known.Organization, wish.Email), ct);
        var tenant = known?.Organization ?? Guid.CreateVersion7(node.Time.GetUtcNow()).ToString();
        var reader = node.Journal(tenant, new Origin("system:sign-in"));
        var holder = await reader.Holder("email", signIns.AddressKey(tenant, wish.Email), ct);
        var user = Id<User>.TryParse(holder?["user-".Length..], null, out var found) ? found : ids.New<User>();
        var account = (await reader.Load(user, ct)).State;
        var verdict = await passwords.Verify(account.Status is UserStatus.Active or UserStatus.Suspended ? account.PasswordHash : null, wish.Password, ct);
        if (verdict == Verdict.Wrong || known is null)
        {
            await attempt.Fail(scope, holder);
            throw Failed();
        }
        // Only whoever knows the password is told that the organization or the account is suspended; of an organization that is closed nobody is told.
        if (await standings.Organization(tenant) is { } stopped) throw Stopped(stopped) ?? Failed();
        if (account.Status == UserStatus.Suspended) throw Suspended();
        if (known.State == "reserved") await node.Directory.Confirm(tenant, ct);
        var caller = new Caller(Realm.Organization, tenant, user.Value, ids.New<Session>(), Permissions.Name(account.Role));
        var answer = await signIns.SignIn(scope, caller, ct, account.PasswordNumber, attempt.Cleared());
        // The password may have been changed, or the account stopped, since it was read; whoever ended its sessions then did not see this one.
        if (!(await reader.Load(user, ct)).State.Admits(caller.Session, account.PasswordNumber))
        {
            await scope.JournalBeside(tenant, caller.Actor, caller.Actor.Subject).Handle(caller.Session, new RevokeSession(SessionEnd.PasswordChanged), CancellationToken.None);
            throw Failed();
        }
        if (verdict == Verdict.RightButCheap) chores.Add("re-hash of a password", later => Rehash(node, passwords, tenant, user, account.PasswordHash, wish.Password, later));
        return answer;
    }

    /// <summary>The same password at today's cost. After the answer, and dropped where it fails: the next sign-in tries again.</summary>
    private static async Task Rehash(Node node, Passwords passwords, string tenant, Id<User> user, string was, string password, CancellationToken ct)
    {
        var hash = await passwords.HashAgain(password, ct);
        await node.Journal(tenant, new Origin(Actor.User(user.Value).ToString())).Handle(user, new RehashPassword(was, hash), ct);
    }

    internal static async Task<IResult> Refresh(Body<Refresh> body, RequestScope scope, Refreshes refreshes, CancellationToken ct) =>
        await refreshes.Handle(body.Value.RefreshToken, Realm.Organization, scope, ct);

    private static async Task<IResult> SignOut(Caller caller, Journal journal, Answers answers, CancellationToken ct) =>
        answers.Gone(await journal.Handle(caller.Session, new RevokeSession(SessionEnd.SignedOut), ct));

    private static async Task<IResult> List(Paging page, Caller caller, Node node, Reader db, Freshness fresh, CancellationToken ct)
    {
        await fresh.Of(SessionList.Name, ct);
        var rows = await SessionList.LiveOf(db, caller.Actor, node.Time.GetUtcNow(), page.After, page.Limit, ct);
        return page.Answer(await Page.Open(db, rows, page.Limit, row => row with { Current = row.Id == caller.Session }, SessionList.Place, ct));
    }

    private static async Task<IResult> Revoke(Id<Session> id, RequestScope scope, Journal journal, Answers answers, CancellationToken ct)
    {
        var revoked = await journal.Handle(id, new RevokeSession(SessionEnd.Revoked), ct);
        if (revoked.Appended == 0 && scope.Replay is null) throw Missing();
        return answers.Gone(revoked);
    }

    /// <summary>How many sessions were ended.</summary>
    public sealed record RevokedOthers(int Revoked);

    private static async Task<IResult> RevokeOthers(Caller caller, RequestScope scope, LiveSessions live, Journal journal, Answers answers, CancellationToken ct)
    {
        // A repeated request ends what the first one ended, and nobody who has signed in since.
        var others = scope.Replay is { } first ? SessionList.Named(first.Versions.Keys) : (IEnumerable<Id<Session>>)await live.Of(caller.Tenant, caller.Actor, caller.Session, ct);
        var steps = LiveSessions.Ending(others, SessionEnd.Revoked);
        // Together, so that an idempotency key covers all of them or none.
        await journal.Commit(steps, ct);
        return answers.Told(new RevokedOthers(steps.Count), steps.Select(s => s.Outcome.Position).DefaultIfEmpty().Max());
    }

    private static Problem Suspended() => new("user.suspended", "The account is suspended.")
    {
        Members = new Dictionary<string, object?> { ["error"] = "access_denied" },
    };

    /// <summary>That the organization is suspended, for whoever has shown to belong to it; null where it is gone for good.</summary>
    internal static Problem? Stopped(Problem why) => why.Code != "organization.suspended" ? null : new Problem(why.Code, why.Detail)
    {
        Members = new Dictionary<string, object?> { ["error"] = "access_denied" },
    };

    private static Problem Failed() => new("sign_in.failed", "The organization, the e-mail address or the password is wrong.")
    {
        Members = new Dictionary<string, object?> { ["error"] = "invalid_grant" },
    };

    private static Refused Missing() => new(RefusalKind.Missing, "session.missing", "There is no such session.");
}
