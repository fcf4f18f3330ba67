using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Domain;
using Nubabel.Domain.Users;
using Nubabel.Projections;
using Nubabel.Projections.Users;
using Nubabel.Store;

namespace Nubabel.Api.Users;

/// <summary>What a user may change of the own profile.</summary>
public sealed record ProfileChange(PersonName Name)
{
    // A record prints its members; a name must not be in a log.
    public override string ToString() => "(profile change)";
}

/// <summary>The account of the user who calls.</summary>
public static class UsersApi
{
    private const string Example = """
        {"id":"01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","name":"Ada Lovelace","role":"owner","email":"ada@example.com","status":"active","registeredAt":"2026-11-21T08:14:00Z"}
        """;

    public static void MapUsers(this IEndpointRouteBuilder app)
    {
        var user = app.MapGroup("/api/user").WithTags("User");
        user.MapGet("", Get).Needs("user:read").Answers200<UserProfile>().WithExample(response: Example);
        user.MapPatch("", Change).Needs("user:write").Answers200<UserProfile>().WithExample("""{"name":"Ada Lovelace"}""", Example);
    }

    private static async Task<IResult> Get(At at, HttpContext http, Caller caller, Journal journal, Answers answers, CancellationToken ct)
    {
        var loaded = await journal.Load(caller.User, ct);
        return await answers.Found(http, loaded, at, user => user.Row<UserProfile>(), Missing(), ct);
    }

    private static async Task<IResult> Change(Body<ProfileChange> body, HttpRequest request, Caller caller, Node node, Journal journal, Answers answers, CancellationToken ct)
    {
        var name = await node.Seal(caller.Tenant, Streams.Of(caller.User), body.Value.Name.Value, ct);
        var renamed = await journal.Handle(caller.User, new RenameUser(name), ct, ETags.IfMatch(request));
        return await answers.Changed(renamed, renamed.Row<UserProfile>(), ct);
    }

    private static Refused Missing() => new(RefusalKind.Missing, "user.missing", "There is no such user.");
}
