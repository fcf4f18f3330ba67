using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Domain;
using Nubabel.Domain.Organizations;
using Nubabel.Projections.Audit;

namespace Nubabel.Api.Audit;

/// <summary>The audit trail for operators: the platform's own, or that of an organization they name.</summary>
public static class AuditAdminApi
{
    private const string Path = "/api/admin/audit-logs";

    private const string Example = """
        {"summary":"An operator suspended the organization because of “unpaid since October”","objectName":"Acme","id":"01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e57","position":43,"at":"2026-12-01T09:00:00Z",
        "actor":"operator:01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","action":"organization.suspended","object":"organization-01936d5e-5a0f-7a11-8e2b-0c4d5e6f7081","outcome":"succeeded",
        "reason":"unpaid since October","ip":"203.0.113.7","userAgent":"curl/8.5.0","requestId":"01936d5e-7c29-7000-8000-0123456789ab","after":{"reason":"unpaid since October"}}
        """;

    public static void MapAuditAdmin(this IEndpointRouteBuilder app)
    {
        app.MapGet(Path, List).WithTags("Audit").Needs("platform:audit").Paged<AuditEntry>().WithExample(response: $$"""{"items":[{{Example}}],"next":null}""");
        foreach (var form in Enum.GetValues<TrailForm>())
        {
            app.MapGet($"{Path}.{TrailExport.Ending(form)}", async (HttpContext http, TrailQuery query, RequestScope scope, Standings standings, Freshness fresh, TrailExports exports, CancellationToken ct, string? organization = null) =>
                    await exports.Answer(http, scope, fresh, await TenantOf(organization, standings), query, form, ct))
                .WithTags("Audit").Needs("platform:audit").WithName($"auditAdminExport{form}").Produces<AuditEntry>(StatusCodes.Status200OK, TrailExport.TypeOf(form)).WithExample(response: Example).DisableRequestTimeout();
        }
    }

    private static async Task<IResult> List(Paging page, TrailQuery query, RequestScope scope, Node node, Standings standings, Freshness fresh, CancellationToken ct, string? organization = null)
    {
        var tenant = await TenantOf(organization, standings);
        await fresh.Of(AuditTrail.Name, ct);
        // The organization's own reader: its trail holds values that only its keys open, and row-level security lets nothing else through.
        return page.Answer(await TrailSearch.Page(scope.ReaderOf(tenant), node.Reader(tenant), query, page, node.Time, ct));
    }

    private static async Task<string> TenantOf(string? organization, Standings standings) => organization is null ? Node.Platform : await Existing(organization, standings);

    private static async Task<string> Existing(string organization, Standings standings) =>
        Id<Organization>.TryParse(organization, null, out var id) && (await standings.Of(organization, id)).Status != OrganizationStatus.None
            ? organization
            : throw StrictRoutes.Missing(Organization.Kind);
}
