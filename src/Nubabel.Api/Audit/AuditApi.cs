using System.Text.Json;
using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
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
        app.MapGet("/api/audit-logs", List).WithTags("Audit").NeedsOr("audit:read-own", "audit:read").Paged<AuditEntry>()
            .WithExample(response: """
                {"items":[{"id":"01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e56","position":42,"at":"2026-11-21T08:15:30.123456Z","actor":"user:01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","action":"device.renamed",
                "object":"device-01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e55","outcome":"succeeded","ip":"203.0.113.7","userAgent":"curl/8.5.0","requestId":"01936d5e-7c29-7000-8000-0123456789ab",
                "traceId":"4bf92f3577b34da6a3ce929d0e0e4736","before":{"name":"phone"},"after":{"name":"pocket"}}],"next":null}
                """);

    private static async Task<IResult> List(
        Paging page, Caller caller, Reader db, Freshness fresh, CancellationToken ct,
        string? actor = null, string? action = null, string? @object = null, string? from = null, string? to = null, string? outcome = null)
    {
        var own = caller.Actor.ToString();
        if (!caller.May("audit:read"))
        {
            if (actor is not null && actor != own) throw PermissionDenied.Of("audit:read");
            actor = own;
        }
        await fresh.Of(AuditTrail.Name, ct);
        var entries = await AuditTrail.Search(db, new AuditTrail.Filter(actor, action, @object, Time(nameof(from), from), Time(nameof(to), to), Outcome(outcome)), page.After, page.Limit, ct);
        return page.Answer(await Page.Open(db, entries, page.Limit, Show, entry => entry.Place, ct));
    }

    internal static string? Outcome(string? text) =>
        text is null || AuditTrail.Outcomes.Contains(text) ? text : throw Problem.At("outcome", "query.invalid", $"An outcome is one of {string.Join(", ", AuditTrail.Outcomes)}.");

    internal static DateTimeOffset? Time(string name, string? text) =>
        text is null ? null
        : StrictTimes.TryParse(text, out var time) ? time
        : throw Problem.At(name, "query.invalid", "A time is RFC 3339 with an offset, as in 2026-01-31T12:00:00Z.");

    internal static AuditEntry Show(AuditTrail.Entry e) => new(
        e.Row.Id, e.Position, e.Row.At, e.Row.Actor, e.Row.Action, e.Row.Object, e.Row.Outcome, e.Row.Reason, e.Row.Ip, e.Row.UserAgent, e.Row.RequestId, e.Row.TraceId, e.Before, e.After);
}
