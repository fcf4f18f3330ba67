using System.Text.Json;
using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Domain;
using Nubabel.Domain.Organizations;
using Nubabel.Domain.Users;
using Nubabel.Projections;
using Nubabel.Projections.Members;
using Nubabel.Store;

namespace Nubabel.Api.Members;

/// <summary>Why an account is taken out of use.</summary>
public sealed record MemberSuspension(Reason? Reason = null);

/// <summary>The accounts of the caller's organization: who they are, what they may do, and how a membership ends.</summary>
public static class MembersApi
{
    /// <summary>How often a change is decided anew because the account has changed meanwhile.</summary>
    private const int Attempts = 12;

    private const string Owners = "owners:write", Admins = "admins:write";

    private const string Example = """
        {"id":"01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","name":"Ada Lovelace","role":"owner","email":"ada@example.com","status":"active","joinedAt":"2026-11-21T08:14:00Z"}
        """;

    private const string SuspendedExample = """
        {"id":"01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","name":"Ada Lovelace","role":"member","email":"ada@example.com","status":"suspended","joinedAt":"2026-11-21T08:14:00Z"}
        """;

    public static void MapMembers(this IEndpointRouteBuilder app)
    {
        var members = app.MapGroup("/api/members").WithTags("Members");
        members.MapGet("", List).Needs("members:read").Paged<MemberRow>().WithExample(response: $$"""{"items":[{{Example}}],"next":null}""");
        members.MapGet("/{userId}", Get).Needs("members:read").Answers200<MemberRow>().WithExample(response: Example);
        members.MapPut("/{userId}/role", PutRole).Needs("members:write").Answers200<MemberRow>().WithExample("""{"role":"owner"}""", Example);
        members.MapPut("/{userId}/suspension", Suspend).Needs("members:write").Answers200<MemberRow>().WithExample("""{"reason":"on leave"}""", SuspendedExample);
        members.MapDelete("/{userId}/suspension", Reinstate).Needs("members:write").Answers204();
        members.MapDelete("/{userId}", End).Needs("members:write", onOneself: "user:write").Answers204();
    }

    private static async Task<IResult> List(Paging page, string? role, string? status, Reader db, Freshness fresh, CancellationToken ct)
    {
        var ofRole = Word(nameof(role), role, Enum.GetValues<Role>());
        var ofStatus = Word(nameof(status), status, UserStatus.Active, UserStatus.Suspended);
        await fresh.Of(MemberList.Name, ct);
        return page.Answer(await MemberList.Of(db, ofRole, ofStatus, page.After, page.Limit, ct));
    }

    private static async Task<IResult> Get(Id<User> userId, At at, HttpContext http, Journal journal, Answers answers, CancellationToken ct)
    {
        var user = await journal.Load(userId, ct);
        return await answers.Found(http, user, at, Row, Missing(), ct);
    }

    private static async Task<IResult> PutRole(
        Id<User> userId, Body<ChangeRole> body, HttpRequest request, RequestScope scope, Answers answers, CancellationToken ct)
    {
        var role = body.Value.Role;
        if (role == Role.Admin && !scope.Caller.May(Admins)) throw PermissionDenied.Of(Admins);
        var user = await Commit(userId, request, scope, member => new(new Change(body.Value, member.Role == Role.Owner || role == Role.Owner,
            member.Role != Role.Owner && role == Role.Owner && member.Status == UserStatus.Active ? new AddOwner(userId)
            : member.Role == Role.Owner && role != Role.Owner ? new RemoveOwner(userId)
            : null)), ct);
        return await answers.Changed(user, Row(user), ct);
    }

    private static async Task<IResult> Suspend(
        Id<User> userId, Body<MemberSuspension>? body, HttpRequest request, RequestScope scope, Node node, Answers answers, CancellationToken ct)
    {
        // Nobody could take it back but others, and it is never what was meant.
        if (IsOneself(userId, scope.Caller)) throw new Refused(RefusalKind.Conflict, "user.own_suspension", "Nobody suspends the own account.");
        var user = await Commit(userId, request, scope, async member => new Change(
            new SuspendUser(await Why(node, scope, userId, body?.Value.Reason, ct)), member.Role == Role.Owner, member.Role == Role.Owner ? new RemoveOwner(userId) : null), ct);
        return await answers.Changed(user, Row(user), ct);
    }

    private static async Task<IResult> Reinstate(Id<User> userId, HttpRequest request, RequestScope scope, Answers answers, CancellationToken ct) =>
        answers.Gone(await Commit(userId, request, scope, member => new(new Change(
            new ReinstateUser(), member.Role == Role.Owner, member.Role == Role.Owner ? new AddOwner(userId) : null)), ct));

    /// <summary>On oneself this is leaving, which everybody may; on others it is removal.</summary>
    private static async Task<IResult> End(Id<User> userId, string? reason, HttpRequest request, RequestScope scope, Node node, Answers answers, CancellationToken ct)
    {
        var why = reason is null ? null : Reason.Parse(reason);
        var leaves = IsOneself(userId, scope.Caller);
        return answers.Gone(await Commit(userId, request, scope, async member => new Change(
            leaves ? new LeaveOrganization() : new RemoveUser(await Why(node, scope, userId, why, ct)), !leaves && member.Role == Role.Owner, member.Role == Role.Owner ? new RemoveOwner(userId) : null), ct));
    }

    /// <summary>A reason about a person is the person's: sealed under the account's key. Asked for once the account is known to be there, so that no key is made for nobody.</summary>
    private static async ValueTask<Personal?> Why(Node node, RequestScope scope, Id<User> user, Reason? reason, CancellationToken ct) =>
        reason is null ? null : await node.Seal(scope.Caller.Tenant, Streams.Of(user), reason.Value, ct);

    /// <summary>What is to happen to an account.</summary>
    /// <param name="TouchesOwner">Whether it makes, demotes, stops or removes an owner.</param>
    /// <param name="OfOrganization">What the organization's set of owners gains or loses by it.</param>
    private sealed record Change(Command<User> OfUser, bool TouchesOwner, Command<Organization>? OfOrganization);

    /// <summary>
    /// Carries out a change that depends on what the account is now: on exactly the version that it was decided on, so that nobody is made an owner or
    /// ceases to be one in between. The organization's own rule, never to be without an owner, is decided in the same commit.
    /// </summary>
    private static async Task<Outcome<User>> Commit(Id<User> id, HttpRequest request, RequestScope scope, Func<User, ValueTask<Change>> decide, CancellationToken ct)
    {
        var (caller, journal) = (scope.Caller, scope.Journal);
        // A repeated request is answered from its record, whatever the account has become since.
        if (scope.Replay is not null) return await journal.Handle(id, (await decide(User.Initial)).OfUser, ct);
        var condition = ETags.IfMatch(request);
        for (var attempt = 1; ; attempt++)
        {
            var member = await journal.Load(id, ct);
            if (member.State.Status is not (UserStatus.Active or UserStatus.Suspended)) throw Missing();
            var change = await decide(member.State);
            if (change.TouchesOwner && !caller.May(Owners)) throw PermissionDenied.Of(Owners);
            if (condition?.Invoke(member.Version) == false) throw new VersionMismatch(member.Version);
            var ofUser = new Step<User>(id, change.OfUser, matches: version => version == member.Version);
            try
            {
                await journal.Commit(change.OfOrganization is { } also ? [new Step<Organization>(Id<Organization>.Parse(caller.Tenant), also), ofUser] : [ofUser], ct);
                return ofUser.Outcome;
            }
            catch (VersionMismatch) when (attempt < Attempts)
            {
                // The account has changed since it was loaded: look again.
            }
        }
    }

    private static bool IsOneself(Id<User> id, Caller caller) => !caller.IsKey && caller.User == id;

    private static T? Word<T>(string name, string? text, params T[] allowed) where T : struct, Enum
    {
        if (text is null) return null;
        foreach (var value in allowed)
            if (JsonNamingPolicy.CamelCase.ConvertName(value.ToString()) == text) return value;
        throw Problem.At(name, "query.invalid", $"One of: {string.Join(", ", allowed.Select(v => JsonNamingPolicy.CamelCase.ConvertName(v.ToString())))}.");
    }

    private static MemberRow? Row(Outcome<User> user) => user.Row<MemberRow>();

    private static Refused Missing() => new(RefusalKind.Missing, "user.missing", "There is no such user.");
}
