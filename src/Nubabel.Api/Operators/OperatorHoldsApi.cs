using System.Text.Json;
using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Api.LegalHolds;
using Nubabel.Domain;
using Nubabel.Domain.LegalHolds;
using Nubabel.Domain.Organizations;
using Nubabel.Domain.Users;
using Nubabel.Projections;
using Nubabel.Projections.LegalHolds;
using Nubabel.Store;

namespace Nubabel.Api.Operators;

/// <summary>A legal hold of an operator.</summary>
/// <param name="OrganizationId">In which organization.</param>
/// <param name="UserId">Whose data is held; absent for all of the organization's.</param>
public sealed record WantedOperatorHold(Id<Organization> OrganizationId, Reason Reason, Id<User>? UserId = null)
{
    // A record prints its members; a reason may name somebody and must not be in a log.
    public override string ToString() => $"(legal hold in {OrganizationId})";
}

/// <summary>
/// The legal holds of all organizations. One that an operator places is an event of that organization, so that its own audit trail shows it, and only an operator
/// releases it.
/// </summary>
public static class OperatorHoldsApi
{
    private const string Read = "platform:legal-holds", Write = "platform:legal-holds-write";

    private const string Example = """
        {"id":"01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e55","reason":"order of the court","status":"active","placedAt":"2026-11-21T08:15:30.123456Z","placedBy":"operator:01936d5e-5a10-7c44-8f0e-6b1d2c3a4f51",
        "byOperator":true,"organizationId":"01936d5e-5a0f-7a11-8e2b-0c4d5e6f7081"}
        """;

    public static void MapOperatorHolds(this IEndpointRouteBuilder app)
    {
        var holds = app.MapGroup("/api/admin/legal-holds").WithTags("Legal holds");
        holds.MapGet("", List).Needs(Read).Paged<LegalHoldRow>().WithExample(response: $$"""{"items":[{{Example}}],"next":null}""");
        holds.MapPost("", Place).Needs(Write).Answers201<LegalHoldRow>().WithExample("""{"organizationId":"01936d5e-5a0f-7a11-8e2b-0c4d5e6f7081","reason":"order of the court"}""", Example);
        holds.MapGet("/{id}", Get).Needs(Read).Answers200<LegalHoldRow>().WithExample(response: Example);
        holds.MapPut("/{id}/release", Release).Needs(Write).Answers200<LegalHoldRow>().WithExample("""{"reason":"the court has lifted it"}""", Example);
    }

    private static async Task<IResult> List(Paging page, string? organizationId, string? status, string? userId, RequestScope scope, Node node, Freshness fresh, CancellationToken ct)
    {
        if (organizationId is not null && !Id<Organization>.TryParse(organizationId, null, out _)) throw Problem.At(nameof(organizationId), "query.invalid", "An organization's id is a lower-case UUID.");
        var filter = HoldSearch.Of(status, userId);
        await fresh.Of(LegalHoldList.Name, ct);
        var entries = await LegalHoldList.OfAll(node.Everyones, organizationId, filter, page.After, page.Limit, ct);
        // Each row opens with the keys of whose it is.
        var opened = new Dictionary<LegalHoldList.Entry, ReadOnlyMemory<byte>>();
        foreach (var group in entries.GroupBy(e => e.Tenant))
        {
            var rows = await scope.ReaderOf(group.Key).Open([.. group.Select(e => (ReadOnlyMemory<byte>)Json(e.Row, e.Tenant))], ct);
            foreach (var (entry, row) in group.Zip(rows)) opened[entry] = row;
        }
        return page.Answer(Page.Cut(entries, page.Limit, e => opened[e], e => e.Place));
    }

    private static async Task<IResult> Place(Body<WantedOperatorHold> body, RequestScope scope, HoldActs acts, Answers answers, CancellationToken ct)
    {
        var (wish, tenant) = (body.Value, body.Value.OrganizationId.ToString());
        var journal = scope.JournalFor(tenant, scope.Caller.Actor);
        if (scope.Replay is null && (await journal.Load(wish.OrganizationId, ct)).Version == 0) throw new Refused(RefusalKind.Missing, "organization.missing", "There is no such organization.");
        var hold = await acts.Place(journal, new WantedLegalHold(wish.Reason, wish.UserId), byOperator: true, ct);
        return await answers.Created(hold, Row(hold, tenant), $"/api/admin/legal-holds/{hold.Id}", ct, scope.ReaderOf(tenant));
    }

    private static async Task<IResult> Get(Id<LegalHold> id, HttpContext http, RequestScope scope, Node node, Answers answers, CancellationToken ct)
    {
        var journal = await JournalOf(id, scope, node, ct);
        var hold = await journal.Load(id, ct);
        return await answers.Found(http, hold, Row(hold, journal.Tenant), LegalHold.Missing(), ct, scope.ReaderOf(journal.Tenant));
    }

    private static async Task<IResult> Release(
        Id<LegalHold> id, Body<LegalHoldRelease> body, HttpRequest request, RequestScope scope, Node node, HoldActs acts, Answers answers, CancellationToken ct)
    {
        var journal = await JournalOf(id, scope, node, ct);
        var hold = await acts.Release(journal, id, body.Value, byOperator: true, ETags.IfMatch(request), ct);
        return await answers.Changed(hold, Row(hold, journal.Tenant), ct, scope.ReaderOf(journal.Tenant));
    }

    /// <summary>Nobody but the hold says whose it is. It is found as soon as it is placed, however far the list is.</summary>
    private static async Task<Journal> JournalOf(Id<LegalHold> id, RequestScope scope, Node node, CancellationToken ct) =>
        scope.JournalFor(await LegalHoldList.TenantOf(node.Everyones, id, ct) ?? throw LegalHold.Missing(), scope.Caller.Actor);

    private static LegalHoldRow? Row(Outcome<LegalHold> hold, string tenant) => HoldSearch.Row(hold) is { } row ? row with { OrganizationId = tenant } : null;

    private static byte[] Json(LegalHoldRow row, string tenant) => JsonSerializer.SerializeToUtf8Bytes(row with { OrganizationId = tenant }, StoredJson.Options);
}
