using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Domain;
using Nubabel.Domain.LegalHolds;
using Nubabel.Projections;
using Nubabel.Projections.LegalHolds;
using Nubabel.Store;

namespace Nubabel.Api.LegalHolds;

/// <summary>The legal holds of the caller's organization.</summary>
public static class LegalHoldsApi
{
    private const string Members = """
        "id":"01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e55","reason":"proceedings 4 O 17/26","status":"active","userId":"01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","placedAt":"2026-11-21T08:15:30.123456Z",
        "placedBy":"user:01936d5e-5a10-7c44-8f0e-6b1d2c3a4f51","byOperator":false
        """;

    internal const string Example = $$"""{{{Members}}}""";

    internal const string Placing = """{"reason":"proceedings 4 O 17/26","userId":"01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50"}""";
    internal const string Releasing = """{"reason":"settled"}""";

    internal const string Released = """
        {"id":"01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e55","reason":"proceedings 4 O 17/26","status":"released","userId":"01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","placedAt":"2026-11-21T08:15:30.123456Z",
        "placedBy":"user:01936d5e-5a10-7c44-8f0e-6b1d2c3a4f51","byOperator":false,"releasedAt":"2027-02-01T10:00:00Z","releasedBy":"user:01936d5e-5a10-7c44-8f0e-6b1d2c3a4f51","releaseReason":"settled"}
        """;

    public static void MapLegalHolds(this IEndpointRouteBuilder app)
    {
        var holds = app.MapGroup("/api/legal-holds").WithTags("Legal holds");
        holds.MapGet("", List).Needs("legal-holds:read").Paged<LegalHoldRow>().WithExample(response: $$"""{"items":[{{Example}}],"next":null}""");
        holds.MapPost("", Place).Needs("legal-holds:write").Answers201<LegalHoldRow>().WithExample(Placing, Example);
        holds.MapGet("/{id}", Get).Needs("legal-holds:read").Answers200<LegalHoldRow>().WithExample(response: Example);
        holds.MapPut("/{id}/release", Release).Needs("legal-holds:write").Answers200<LegalHoldRow>().WithExample(Releasing, Released);
    }

    private static async Task<IResult> List(Paging page, string? status, string? userId, Reader db, Freshness fresh, CancellationToken ct)
    {
        var filter = HoldSearch.Of(status, userId);
        await fresh.Of(LegalHoldList.Name, ct);
        return page.Answer(await LegalHoldList.Of(db, filter, page.After, page.Limit, ct));
    }

    private static async Task<IResult> Place(Body<WantedLegalHold> body, Journal journal, HoldActs acts, Answers answers, CancellationToken ct)
    {
        var hold = await acts.Place(journal, body.Value, byOperator: false, ct);
        return await answers.Created(hold, HoldSearch.Row(hold), $"/api/legal-holds/{hold.Id}", ct);
    }

    private static async Task<IResult> Get(Id<LegalHold> id, At at, HttpContext http, Journal journal, Answers answers, CancellationToken ct) =>
        await answers.Found(http, await journal.Load(id, ct), at, HoldSearch.Row, LegalHold.Missing(), ct);

    private static async Task<IResult> Release(Id<LegalHold> id, Body<LegalHoldRelease> body, HttpRequest request, Journal journal, HoldActs acts, Answers answers, CancellationToken ct)
    {
        var hold = await acts.Release(journal, id, body.Value, byOperator: false, ETags.IfMatch(request), ct);
        return await answers.Changed(hold, HoldSearch.Row(hold), ct);
    }
}
