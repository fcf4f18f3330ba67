using System.Text.Json;
using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Domain;
using Nubabel.Projections.Audit;
using Nubabel.Store;

namespace Nubabel.Api.Audit;

/// <summary>An entry of the audit trail as it is answered.</summary>
/// <param name="Object">The stream id of what it happened to.</param>
/// <param name="Before">The values that <paramref name="After"/>'s members had before, where they had any.</param>
/// <param name="Summary">What happened, in an English sentence.</param>
/// <param name="ActorName">What <paramref name="Actor"/> is called now; absent where there is no name, or it is erased.</param>
/// <param name="ObjectName">What <paramref name="Object"/> is called now.</param>
public sealed record AuditEntry(
    Guid Id, long Position, DateTimeOffset At, string? Actor, string Action, string Object, string Outcome, string? Reason, Personal? Ip, Personal? UserAgent, string? RequestId,
    string? TraceId, JsonElement? Before, JsonElement? After, string? Summary = null, string? ActorName = null, string? ObjectName = null);

/// <summary>The audit trail: one's own, or with <c>audit:read</c> the organization's.</summary>
public static class AuditApi
{
    private const string Example = """
        {"summary":"Ada Lovelace renamed the device “phone” to “pocket”","actorName":"Ada Lovelace","objectName":"pocket",
        "id":"01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e56","position":42,"at":"2026-11-21T08:15:30.123456Z","actor":"user:01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","action":"device.renamed",
        "object":"device-01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e55","outcome":"succeeded","ip":"203.0.113.7","userAgent":"curl/8.5.0","requestId":"01936d5e-7c29-7000-8000-0123456789ab",
        "traceId":"4bf92f3577b34da6a3ce929d0e0e4736","before":{"name":"phone"},"after":{"name":"pocket"}}
        """;

    public static void MapAudit(this IEndpointRouteBuilder app)
    {
        app.MapGet("/api/audit-logs", List).WithTags("Audit").NeedsOr("audit:read-own", "audit:read").Paged<AuditEntry>().WithExample(response: $$"""{"items":[{{Example}}],"next":null}""");
        foreach (var form in Enum.GetValues<TrailForm>())
        {
            app.MapGet($"/api/audit-logs.{TrailExport.Ending(form)}", (HttpContext http, TrailQuery query, RequestScope scope, Freshness fresh, TrailExports exports, CancellationToken ct) =>
                    exports.Answer(http, scope, fresh, scope.Caller.Tenant, Allowed(query, scope.Caller), form, ct))
                .WithTags("Audit").NeedsOr("audit:read-own", "audit:read").WithName($"auditExport{form}").Produces<AuditEntry>(StatusCodes.Status200OK, TrailExport.TypeOf(form)).WithExample(response: Example).DisableRequestTimeout();
        }
    }

    private static async Task<IResult> List(Paging page, TrailQuery query, RequestScope scope, Node node, Freshness fresh, CancellationToken ct)
    {
        var allowed = Allowed(query, scope.Caller);
        await fresh.Of(AuditTrail.Name, ct);
        return page.Answer(await TrailSearch.Page(scope.Reader, node.Reader(scope.Caller.Tenant), allowed, page, node.Time, ct));
    }

    /// <summary>Without <c>audit:read</c> one asks for what one did oneself.</summary>
    private static TrailQuery Allowed(TrailQuery query, Caller caller)
    {
        var own = caller.Actor.ToString();
        if (caller.May("audit:read")) return query;
        if (query.Filter.Actor is { } actor && actor != own) throw PermissionDenied.Of("audit:read");
        return query with { Filter = query.Filter with { Actor = own } };
    }

    internal static AuditEntry Show(AuditTrail.Entry e) => new(
        e.Row.Id, e.Position, e.Row.At, e.Row.Actor, e.Row.Action, e.Row.Object, e.Row.Outcome, e.Row.Reason, e.Row.Ip, e.Row.UserAgent, e.Row.RequestId, e.Row.TraceId, e.Before, e.After);
}
