using System.Text.Json;
using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Projections;
using Nubabel.Projections.Audit;
using Nubabel.Store;

namespace Nubabel.Api.Audit;

/// <summary>An entry of the audit trail as it is answered.</summary>
/// <param name="Object">The stream id of what it happened to.</param>
/// <param name="Before">The values that <paramref name="After"/>'s members had before, where they had any.</param>
public sealed record AuditEntry(
    Guid Id, long Position, DateTimeOffset At, string? Actor, string Action, string Object, string Outcome, string? Reason, Personal? Ip, Personal? UserAgent, string? RequestId,
    string? TraceId, JsonElement? Before, JsonElement? After);

/// <summary>The audit trail: one's own, or with <c>audit:read</c> the organization's.</summary>
public static class AuditApi
{
    public static void MapAudit(this IEndpointRouteBuilder app) =>
        app.MapGet("/api/audit-logs", List).WithTags("Audit").Needs("audit:read-own").Paged<AuditEntry>();

    private static async Task<IResult> List(
        Paging page, Caller caller, Reader db, Freshness fresh, CancellationToken ct,
        string? actor = null, string? action = null, string? @object = null, DateTimeOffset? from = null, DateTimeOffset? to = null)
    {
        var own = caller.Actor.ToString();
        if (!caller.May("audit:read"))
        {
            if (actor is not null && actor != own) throw PermissionDenied.Of("audit:read");
            actor = own;
        }
        await fresh.Of(AuditTrail.Name, ct);
        var entries = await AuditTrail.Search(db, new AuditTrail.Filter(actor, action, @object, from, to), page.After, page.Limit, ct);
        return page.Answer(await Page.Open(db, entries, page.Limit, Show, entry => entry.Place, ct));
    }

    private static AuditEntry Show(AuditTrail.Entry e) => new(
        e.Row.Id, e.Position, e.Row.At, e.Row.Actor, e.Row.Action, e.Row.Object, e.Row.Outcome, e.Row.Reason, e.Row.Ip, e.Row.UserAgent, e.Row.RequestId, e.Row.TraceId, e.Before, e.After);
}
