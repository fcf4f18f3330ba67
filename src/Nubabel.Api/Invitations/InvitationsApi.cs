using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Api.Host.Tokens;
using Nubabel.Domain;
using Nubabel.Domain.Invitations;
using Nubabel.Domain.Organizations;
using Nubabel.Domain.Sessions;
using Nubabel.Domain.Users;
using Nubabel.Projections;
using Nubabel.Projections.Invitations;
using Nubabel.Store;

namespace Nubabel.Api.Invitations;

/// <summary>Whom to invite, as what.</summary>
public sealed record NewInvitation(Email Email, Role Role)
{
    // A record prints its members; an address must not be in a log.
    public override string ToString() => "(new invitation)";
}

/// <summary>Makes an account of an invitation.</summary>
public sealed record Acceptance(string Token, PersonName Name, Password Password)
{
    // A record prints its members; these must not be in a log.
    public override string ToString() => "(acceptance)";
}

/// <summary>Invitations to the caller's organization, and the way in for who holds one.</summary>
public static class InvitationsApi
{
    private const string Subject = "invitation-";

    private const string Body = """
        "id":"01936d5e-6b3c-7e21-9a4d-1f2e3d4c5b6a","role":"member","email":"bob@example.com",
        """;

    private const string Times = """
        "expiresAt":"2026-11-28T08:14:00Z","invitedAt":"2026-11-21T08:14:00Z","invitedBy":"user:01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50"
        """;

    private const string Token = "nbi.01936d5e-5a0f-7a11-8e2b-0c4d5e6f7081.01936d5e-6b3c-7e21-9a4d-1f2e3d4c5b6a.bm90LWEtcmVhbC1zZWNyZXQtYnV0LTQzLWNoYXJhY3RlcnM";

    public static void MapInvitations(this IEndpointRouteBuilder app)
    {
        var invitations = app.MapGroup("/api/invitations").WithTags("Invitations");
        invitations.MapGet("", List).Needs("invitations:read").Paged<InvitationRow>().WithExample(response: $$"""{"items":[{{{Body}}{{Times}}}],"next":null}""");
        invitations.MapPost("", Invite).Needs("invitations:write").Answers201<InvitationRow>()
            .WithExample("""{"email":"bob@example.com","role":"member"}""", $$"""{{{Body}}"token":"{{Token}}",{{Times}}}""");
        invitations.MapGet("/{id}", Get).Needs("invitations:read").Answers200<InvitationRow>().WithExample(response: $$"""{{{Body}}{{Times}}}""");
        invitations.MapDelete("/{id}", Withdraw).Needs("invitations:write").Answers204();
        invitations.MapPost("/accept", Accept).Anonymous().Answers201<TokenAnswer>()
            .WithExample($$"""{"token":"{{Token}}","name":"Bob","password":"correct horse battery"}""", TokenAnswer.Example);
    }

    private static async Task<IResult> List(Paging page, Node node, Reader db, Freshness fresh, CancellationToken ct)
    {
        await fresh.Of(InvitationList.Name, ct);
        return page.Answer(await InvitationList.Open(db, node.Time.GetUtcNow(), page.After, page.Limit, ct));
    }

    private static async Task<IResult> Get(Id<Invitation> id, At at, HttpContext http, Journal journal, Answers answers, CancellationToken ct)
    {
        var invitation = await journal.Load(id, ct);
        return await answers.Found(http, invitation, at, Row, Missing(), ct);
    }

    private static async Task<IResult> Invite(
        Body<NewInvitation> body, RequestScope scope, Node node, Standings standings, SignIns signIns, InvitationTokens tokens, InvitationMail mail, Answers answers, CancellationToken ct)
    {
        var (wish, caller, journal) = (body.Value, scope.Caller, scope.Journal);
        var making = wish.Role switch { Role.Owner => "owners:write", Role.Admin => "admins:write", _ => "invitations:write" };
        if (!caller.May(making)) throw PermissionDenied.Of(making);
        var id = scope.Ids.New<Invitation>();
        var key = signIns.EmailKey(caller.Tenant, wish.Email);
        var token = tokens.Of(caller.Tenant, id);
        var email = await node.Seal(caller.Tenant, Streams.Of(id), wish.Email.Value, ct);
        var issued = new Step<Invitation>(id, new IssueInvitation(email, key, wish.Role, token.Hash, journal.Now().AddDays(Invitation.Days)), fresh: true);
        var steps = new List<Step> { issued };
        // A repeated request is answered from its record; what it once asked for need not be possible any more.
        if (scope.Replay is null)
        {
            if (await journal.Holder("email", key, ct) is not null) throw EmailTaken();
            if (await RunOut(journal, key, ct) is { } before) steps.Insert(0, new Step<Invitation>(before, new ExpireInvitation()));
            await MemberLimit.CheckInviting(node, standings, caller.Tenant, ct);
            await mail.Enclose(journal, id, wish, token, ct);
        }
        await journal.Commit(steps, ct);
        return await answers.Created(issued.Outcome, Row(issued.Outcome) is { } row ? row with { Token = token.Text } : null, $"/api/invitations/{id}", ct);
    }

    /// <summary>The invitation of this address that has run out and still holds its place; ids grow with time, so its stream gives the place up first.</summary>
    private static async Task<Id<Invitation>?> RunOut(Journal journal, string emailKey, CancellationToken ct)
    {
        if (!Id<Invitation>.TryParse((await journal.Holder("invitation", emailKey, ct))?[Subject.Length..], null, out var id)) return null;
        return (await journal.Load(id, ct)).State.ExpiresAt <= journal.Now() ? id : null;
    }

    private static async Task<IResult> Withdraw(Id<Invitation> id, HttpRequest request, RequestScope scope, Journal journal, Answers answers, CancellationToken ct)
    {
        var withdrawn = await journal.Handle(id, new WithdrawInvitation(), ct, ETags.IfMatch(request));
        if (withdrawn.Appended == 0 && scope.Replay is null) throw Missing();
        return answers.Gone(withdrawn);
    }

    /// <summary>
    /// The account, its first session and the end of the invitation are one commit, so that of any number of uses of a token one makes an account. Who acts is
    /// the user who comes of it.
    /// </summary>
    private static async Task<IResult> Accept(
        Body<Acceptance> body, RequestScope scope, Node node, Standings standings, Passwords passwords, SignIns signIns, CancellationToken ct)
    {
        var wish = body.Value;
        var (token, invitation) = await Good(wish.Token, node, ct);
        var tenant = token.Tenant;
        if (await standings.Organization(tenant) is { } closed) throw closed;
        await MemberLimit.CheckAccepting(node, standings, tenant, ct);
        // The address was the invitation's; from now on it is the user's, under the user's own key.
        var email = await node.Open(tenant, invitation.Email!, ct) ?? throw Invitation.TokenInvalid();
        var organization = await standings.Of(tenant, Id<Organization>.Parse(tenant));
        wish.Password.Unlike([organization.Name?.Value, organization.Slug?.Value, .. Email.TryParse(email, out var address) ? Password.KnownOf(address) : []]);
        Id<User> user = scope.Ids.New<User>();
        var caller = new Caller(Realm.Organization, tenant, user.Value, scope.Ids.New<Session>(), Permissions.Name(invitation.Role));
        var hash = await passwords.Hash(wish.Password, ct);
        var journal = scope.JournalFor(tenant, caller.Actor);
        var (open, answer) = await signIns.Prepare(journal, scope, caller, ct);
        var subject = Streams.Of(user);
        var register = new RegisterUser(
            await node.Seal(tenant, subject, email, ct), invitation.EmailKey, await node.Seal(tenant, subject, wish.Name.Value, ct), hash, invitation.Role);
        var registered = new Step<User>(user, register, fresh: true);
        var opened = new Step<Session>(caller.Session, open, fresh: true);
        List<Step> steps = [new Step<Invitation>(token.Invitation, new AcceptInvitation(token.Hash, user)), registered, opened];
        if (invitation.Role == Role.Owner) steps.Add(new Step<Organization>(Id<Organization>.Parse(tenant), new AddOwner(user)));
        try
        {
            await journal.Commit(steps, ct);
        }
        catch (Refused taken) when (taken.Code == "user.email_taken")
        {
            // Who was faster with this token has the address too; the token, not the address, is why this one is refused.
            await Good(wish.Token, node, ct);
            throw;
        }
        return signIns.Answer(StatusCodes.Status201Created, answer, Math.Max(registered.Outcome.Position, opened.Outcome.Position));
    }

    /// <summary>The invitation that this token opens; looked at before a password is hashed, so that a wrong one costs nothing.</summary>
    private static async Task<(InvitationToken Token, Invitation Invitation)> Good(string text, Node node, CancellationToken ct)
    {
        if (InvitationTokens.Parse(text) is not { } token) throw Invitation.TokenInvalid();
        var journal = node.Journal(token.Tenant, new Origin("system:invitation"));
        var invitation = (await journal.Load(token.Invitation, ct)).State;
        return invitation.IsGood(token.Hash, journal.Now()) ? (token, invitation) : throw Invitation.TokenInvalid();
    }

    private static InvitationRow? Row(Outcome<Invitation> invitation) => invitation.Row<InvitationRow>();

    private static Refused EmailTaken() => new(RefusalKind.Conflict, "user.email_taken", "A member has this address.", "email");
    private static Refused Missing() => new(RefusalKind.Missing, "invitation.missing", "There is no such invitation.");
}
