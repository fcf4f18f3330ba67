using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Api.Host.Tokens;
using Nubabel.Domain;
using Nubabel.Domain.Organizations;
using Nubabel.Domain.Sessions;
using Nubabel.Domain.Users;
using Nubabel.Projections;
using Nubabel.Projections.Organizations;
using Nubabel.Store;

namespace Nubabel.Api.Organizations;

/// <summary>What a sign-up names of its organization.</summary>
public sealed record NewOrganization(OrganizationName Name, Slug Slug);

/// <summary>Founds an organization with its first owner.</summary>
public sealed record SignUp(NewOrganization Organization, Email Email, Password Password, PersonName Name)
{
    // A record prints its members; these must not be in a log.
    public override string ToString() => "(sign-up)";
}

/// <summary>An owner's wish to close the organization for good, with the password once more: what ends everything is not left to a screen that was not locked.</summary>
public sealed record CloseWish(string Password, Reason? Reason = null)
{
    public override string ToString() => "(closure)";
}

/// <summary>Sign-up, and the organization of the caller.</summary>
public static class OrganizationsApi
{
    private const string SlugMember = "organization.slug";

    private const string Example = """
        {"id":"01936d5e-5a0f-7a11-8e2b-0c4d5e6f7081","name":"Acme","slug":"acme","status":"active","foundedAt":"2026-11-21T08:14:00Z","plan":"team","limits":{"members":500}}
        """;

    private const string Closing = """
        {"id":"01936d5e-5a0f-7a11-8e2b-0c4d5e6f7081","name":"Acme","slug":"acme","status":"active","foundedAt":"2026-11-21T08:14:00Z","closesAt":"2026-12-21T08:14:00Z"}
        """;

    public static void MapOrganizations(this IEndpointRouteBuilder app)
    {
        app.MapPost("/api/signup", SignUp).WithTags("Organizations").Anonymous().Answers201<TokenAnswer>()
            .WithExample("""{"organization":{"name":"Acme","slug":"acme"},"email":"ada@example.com","password":"correct horse battery","name":"Ada Lovelace"}""", TokenAnswer.Example);
        var organization = app.MapGroup("/api/organization").WithTags("Organizations");
        organization.MapGet("", Get).Needs("organization:read").Answers200<OrganizationProfile>().WithExample(response: Example);
        organization.MapPut("/closure", Close).Needs("organization:close").Answers200<OrganizationProfile>().WithExample("""{"password":"correct horse battery","reason":"we move on"}""", Closing);
        organization.MapDelete("/closure", Keep).Needs("organization:close").Answers204();
        organization.MapPatch("", Rename).Needs("organization:write").Answers200<OrganizationProfile>().WithExample("""{"name":"Acme"}""", Example);
    }

    private static async Task<IResult> SignUp(
        Body<SignUp> body, RequestScope scope, Node node, Settings settings, Passwords passwords, SignIns signIns, CancellationToken ct)
    {
        if (settings.SignupMode == SignupMode.Closed) throw new Problem("signup.closed", "Organizations are made by an operator here.");
        var (wish, ids) = (body.Value, scope.Ids);
        wish.Password.Unlike([wish.Organization.Name.Value, wish.Organization.Slug.Value, .. Password.KnownOf(wish.Email)]);
        Id<Organization> organization = ids.New<Organization>();
        Id<User> user = ids.New<User>();
        Id<Session> session = ids.New<Session>();
        var tenant = organization.ToString();
        var hash = await passwords.Hash(wish.Password, ct);
        var journal = scope.JournalFor(tenant, Actor.User(user.Value));
        var caller = new Caller(Realm.Organization, tenant, user.Value, session, "owner");
        var (open, answer) = await signIns.Prepare(journal, scope, caller, ct);
        var register = new RegisterUser(
            await node.Seal(tenant, Streams.Of(user), wish.Email.Value, ct), signIns.EmailKey(tenant, wish.Email), await node.Seal(tenant, Streams.Of(user), wish.Name.Value, ct), hash, Role.Owner);
        // Reserved last of all, so that what fails before it holds no slug.
        if (await node.Shards.Place(wish.Organization.Slug.Value, tenant, shard: null, ct) is null)
            throw SlugTaken();
        var registered = new Step<User>(user, register, fresh: true);
        var opened = new Step<Session>(session, open, fresh: true);
        await journal.Commit([new Step<Organization>(organization, new FoundOrganization(wish.Organization.Name, wish.Organization.Slug, user), fresh: true), registered, opened], ct);
        // A crash before this line leaves a reservation, which sign-in accepts and confirms.
        if (!await node.Directory.Confirm(tenant, ct)) throw SlugTaken();
        return signIns.Answer(StatusCodes.Status201Created, answer, Math.Max(registered.Outcome.Position, opened.Outcome.Position));
    }

    private static async Task<IResult> Get(At at, HttpContext http, Caller caller, Journal journal, Answers answers, CancellationToken ct)
    {
        var loaded = await journal.Load(Own(caller), ct);
        return await answers.Found(http, loaded, at, organization => organization.Row<OrganizationProfile>(), Missing(), ct);
    }

    private static async Task<IResult> Rename(Body<RenameOrganization> body, HttpRequest request, Caller caller, Journal journal, Answers answers, CancellationToken ct)
    {
        var renamed = await journal.Handle(Own(caller), body.Value, ct, ETags.IfMatch(request));
        return await answers.Changed(renamed, renamed.Row<OrganizationProfile>(), ct);
    }

    private static async Task<IResult> Close(
        Body<CloseWish> body, HttpRequest request, RequestScope scope, Passwords passwords, LockOut lockOut, Settings settings, Answers answers, CancellationToken ct)
    {
        var (wish, caller) = (body.Value, scope.Caller);
        var journal = scope.JournalFor(caller.Tenant, caller.Actor, wish.Reason);
        // A repeated request has been believed once, with this same body.
        if (scope.Replay is null)
        {
            var account = (await journal.Load(caller.User, ct)).State;
            // Who has stolen a session must not guess faster here than at the sign-in.
            using var attempt = await lockOut.Begin(caller.Tenant, account.EmailKey, ct);
            if (await passwords.Verify(account.PasswordHash, wish.Password, ct) == Verdict.Wrong)
            {
                await attempt.Fail(scope, Streams.Of(caller.User));
                throw Problem.At("password", "password.current_wrong", "This is not your password.");
            }
        }
        var closing = await journal.Handle(Own(caller), new ScheduleClosure(journal.Now() + settings.ClosureGrace, wish.Reason), ct, ETags.IfMatch(request));
        return await answers.Changed(closing, closing.Row<OrganizationProfile>(), ct);
    }

    private static async Task<IResult> Keep(HttpRequest request, Caller caller, Journal journal, Answers answers, CancellationToken ct) =>
        answers.Gone(await journal.Handle(Own(caller), new CancelClosure(), ct, ETags.IfMatch(request)));

    private static Problem SlugTaken() => Problem.At(SlugMember, "organization.slug_taken", "Another organization has this slug.");

    private static Id<Organization> Own(Caller caller) => Id<Organization>.Parse(caller.Tenant);

    internal static Refused Missing() => new(RefusalKind.Missing, "organization.missing", "There is no such organization.");
}
