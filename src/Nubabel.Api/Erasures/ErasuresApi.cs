using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Domain;
using Nubabel.Domain.Erasures;
using Nubabel.Domain.Organizations;
using Nubabel.Domain.Users;
using Nubabel.Projections.Erasures;

namespace Nubabel.Api.Erasures;

/// <summary>Whom an operator erases, who was asked by other means.</summary>
public sealed record NewErasure(Id<Organization> OrganizationId, Id<User> UserId);

/// <summary>Erasures as operators see them, and the way for a person who cannot sign in.</summary>
public static class ErasuresApi
{
    private const string Example = """
        {"id":"01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","wish":"person","state":"completed","erased":{"keys":2,"files":1,"answers":0,"devices":2,"records":4,"messages":1,"sessions":9},
        "completedAt":"2026-11-21T08:14:01Z","requestedAt":"2026-11-21T08:14:00Z","organizationId":"01936d5e-5a0f-7a11-8e2b-0c4d5e6f7081"}
        """;

    public static void MapErasures(this IEndpointRouteBuilder app)
    {
        var erasures = app.MapGroup("/api/admin/erasures").WithTags("Erasures");
        erasures.MapGet("", List).Needs("platform:erasures").Paged<ErasureRow>().WithExample(response: $$"""{"items":[{{Example}}],"next":null}""");
        erasures.MapPost("", Erase).Needs("platform:erasures-write").Answers200<Receipt>().Produces<Receipt>(StatusCodes.Status202Accepted)
            .WithExample("""{"organizationId":"01936d5e-5a0f-7a11-8e2b-0c4d5e6f7081","userId":"01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50"}""", ErasureAnswers.Example);
    }

    private static async Task<IResult> List(Paging page, Node node, Freshness fresh, CancellationToken ct, string? organizationId = null, string? state = null)
    {
        Id<Organization>? organization = null;
        if (organizationId is not null)
            organization = Id<Organization>.TryParse(organizationId, null, out var id) ? id : throw Problem.At(nameof(organizationId), "query.invalid", "An organization's id is a lower-case UUID.");
        ErasureStatus? which = state switch
        {
            null => null,
            "requested" => ErasureStatus.Requested,
            "completed" => ErasureStatus.Completed,
            _ => throw Problem.At(nameof(state), "query.invalid", "One of: requested, completed."),
        };
        await fresh.Of(ErasureList.Name, ct);
        return page.Answer(await ErasureList.Search(node.Everyones, organization, which, page.After, page.Limit, ct));
    }

    private static async Task<IResult> Erase(Body<NewErasure> body, HttpContext http, RequestScope scope, Erasures erasures, ErasureAnswers answers, CancellationToken ct)
    {
        var (tenant, person) = (body.Value.OrganizationId.ToString(), body.Value.UserId);
        // The operator's own address is sealed under a subject of that organization's, as all that operators do there.
        var begun = await erasures.Begin(scope.JournalBeside(tenant, scope.Caller.Actor, scope.Caller.Actor.Subject), person, ErasureWish.Operator, ct);
        return await answers.Carried(begun, tenant, http, ct);
    }
}
