using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Domain;
using Nubabel.Domain.Organizations;
using Nubabel.Projections;
using Nubabel.Projections.Audit;

namespace Nubabel.Api.Audit;

/// <summary>The audit trail for operators: the platform's own, or that of an organization they name.</summary>
public static class AuditAdminApi
{
    public static void MapAuditAdmin(this IEndpointRouteBuilder app) =>
        app.MapGet("/api/admin/audit-logs", List).WithTags("Audit").Needs("platform:audit").Paged<AuditEntry>()
            .WithExample(response: """
                {"items":[{"id":"01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e57","position":43,"at":"2026-12-01T09:00:00Z","actor":"operator:01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","action":"organization.suspended",
                "object":"organization-01936d5e-5a0f-7a11-8e2b-0c4d5e6f7081","outcome":"succeeded","reason":"unpaid since October","ip":"203.0.113.7","userAgent":"curl/8.5.0",
                "requestId":"01936d5e-7c29-7000-8000-0123456789ab","after":{"reason":"unpaid since October"}}],"next":null}
                """);

    private static async Task<IResult> List(
        Paging page, RequestScope scope, Standings standings, Freshness fresh, CancellationToken ct,
        string? organization = null, string? actor = null, string? action = null, string? @object = null, string? from = null, string? to = null, string? outcome = null)
    {
        var tenant = organization is null ? Node.Platform : await Existing(organization, standings);
        await fresh.Of(AuditTrail.Name, ct);
        // The organization's own reader: its trail holds values that only its keys open, and row-level security lets nothing else through.
        var db = scope.ReaderOf(tenant);
        var filter = new AuditTrail.Filter(actor, action, @object, AuditApi.Time(nameof(from), from), AuditApi.Time(nameof(to), to), AuditApi.Outcome(outcome));
        var entries = await AuditTrail.Search(db, filter, page.After, page.Limit, ct);
        return page.Answer(await Page.Open(db, entries, page.Limit, AuditApi.Show, entry => entry.Place, ct));
    }

    private static async Task<string> Existing(string organization, Standings standings) =>
        Id<Organization>.TryParse(organization, null, out var id) && (await standings.Of(organization, id)).Status != OrganizationStatus.None
            ? organization
            : throw StrictRoutes.Missing(Organization.Kind);
}
