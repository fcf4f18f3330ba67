using System.Text.Json.Serialization;
using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Domain;
using Nubabel.Domain.Organizations;
using Nubabel.Projections;
using Nubabel.Projections.Organizations;
using Nubabel.Store;

namespace Nubabel.Api.Organizations;

/// <summary>Why an organization is suspended.</summary>
public sealed record Suspension(Reason? Reason = null);

/// <summary>When an organization is to be closed for good, and why. Without a time: after the grace time, or when it was to be closed already.</summary>
public sealed record Closure(DateTimeOffset? ClosesAt = null, Reason? Reason = null);

/// <summary>What an operator changes of an organization; what is left out stays as it is.</summary>
public sealed record TenantChange(Plan? Plan = null)
{
    /// <summary>All of its limits; null for the platform's in everything.</summary>
    public OrganizationLimits? Limits
    {
        get;
        init => (field, NamesLimits) = (value, true);
    }

    // Only a member that stands in the body is set, a null too.
    [JsonIgnore]
    internal bool NamesLimits { get; private init; }

    internal ChangeTerms Command => new(Plan, NamesLimits ? Limits ?? OrganizationLimits.None : null);
}

/// <summary>
/// Organizations as operators see and change them. What an operator does to an organization is an event of that organization, so that its own audit
/// trail shows it.
/// </summary>
public static class TenantsApi
{
    private const string Read = "platform:tenants-read", Write = "platform:tenants-write";

    private const string Example = """
        {"id":"01936d5e-5a0f-7a11-8e2b-0c4d5e6f7081","name":"Acme","plan":"team","slug":"acme","limits":{"members":500},"status":"suspended","foundedAt":"2026-11-21T08:14:00Z",
        "suspendedAt":"2026-12-01T09:00:00Z","suspensionReason":"unpaid since October"}
        """;

    public static void MapTenants(this IEndpointRouteBuilder app)
    {
        var tenants = app.MapGroup("/api/admin/tenants").WithTags("Tenants");
        tenants.MapGet("", List).Needs(Read).Paged<OrganizationRow>().WithExample(response: $$"""{"items":[{{Example}}],"next":null}""");
        tenants.MapGet("/{id}", Get).Needs(Read).Answers200<OrganizationRow>().WithExample(response: Example);
        tenants.MapPatch("/{id}", Change).Needs(Write).Answers200<OrganizationRow>().WithExample("""{"plan":"team","limits":{"members":500}}""", Example);
        tenants.MapPut("/{id}/suspension", Suspend).Needs(Write).Answers200<OrganizationRow>().WithExample("""{"reason":"unpaid since October"}""", Example);
        tenants.MapDelete("/{id}/suspension", Reactivate).Needs(Write).Answers204();
        tenants.MapPut("/{id}/closure", Close).Needs(Write).Answers200<OrganizationRow>().WithExample("""{"closesAt":"2027-01-31T00:00:00Z","reason":"contract ended"}""", Example);
        tenants.MapDelete("/{id}/closure", Keep).Needs(Write).Answers204();
    }

    private static async Task<IResult> List(Paging page, Reader db, Freshness fresh, CancellationToken ct, string? q = null, string? status = null, string? plan = null)
    {
        await fresh.Of(OrganizationList.Name, ct);
        return page.Answer(await OrganizationList.Search(db, new OrganizationList.Filter(q, StatusOf(status), plan), page.After, page.Limit, ct));
    }

    private static async Task<IResult> Get(Id<Organization> id, At at, HttpContext http, RequestScope scope, TimeProvider time, Answers answers, CancellationToken ct)
    {
        var organization = await JournalOf(id, scope).Load(id, ct);
        return await answers.Found(http, organization, at, shown => Row(shown)?.At(at.Moment(shown, time)), OrganizationsApi.Missing(), ct);
    }

    private static async Task<IResult> Change(Id<Organization> id, Body<TenantChange> body, HttpRequest request, RequestScope scope, Answers answers, CancellationToken ct) =>
        await Changed(await JournalOf(id, scope).Handle(id, body.Value.Command, ct, ETags.IfMatch(request)), answers, ct);

    private static async Task<IResult> Suspend(Id<Organization> id, Body<Suspension>? body, HttpRequest request, RequestScope scope, Answers answers, CancellationToken ct)
    {
        var reason = body?.Value.Reason;
        return await Changed(await JournalOf(id, scope, reason).Handle(id, new SuspendOrganization(reason), ct, ETags.IfMatch(request)), answers, ct);
    }

    private static async Task<IResult> Reactivate(Id<Organization> id, HttpRequest request, RequestScope scope, Answers answers, CancellationToken ct) =>
        answers.Gone(await JournalOf(id, scope).Handle(id, new ReactivateOrganization(), ct, ETags.IfMatch(request)));

    private static async Task<IResult> Close(
        Id<Organization> id, Body<Closure>? body, HttpRequest request, RequestScope scope, Settings settings, Answers answers, CancellationToken ct)
    {
        var wish = body?.Value ?? new Closure();
        var journal = JournalOf(id, scope, wish.Reason);
        // Without a time the day that is settled stays, so that the request may be repeated.
        var at = wish.ClosesAt ?? (await journal.Load(id, ct)).State.ClosesAt ?? journal.Now() + settings.ClosureGrace;
        return await Changed(await journal.Handle(id, new ScheduleClosure(at, wish.Reason, ByOperator: true), ct, ETags.IfMatch(request)), answers, ct);
    }

    private static async Task<IResult> Keep(Id<Organization> id, HttpRequest request, RequestScope scope, Answers answers, CancellationToken ct) =>
        answers.Gone(await JournalOf(id, scope).Handle(id, new CancelClosure(ByOperator: true), ct, ETags.IfMatch(request)));

    private static Journal JournalOf(Id<Organization> id, RequestScope scope, Reason? reason = null) => scope.JournalFor(id.ToString(), scope.Caller.Actor, reason);

    private static Task<IResult> Changed(Outcome<Organization> organization, Answers answers, CancellationToken ct) => answers.Changed(organization, Row(organization), ct);

    private static OrganizationRow? Row(Outcome<Organization> organization) => organization.Row<OrganizationRow>();

    private static OrganizationStatus? StatusOf(string? text) => text switch
    {
        null => null,
        "active" => OrganizationStatus.Active,
        "suspended" => OrganizationStatus.Suspended,
        "closed" => OrganizationStatus.Closed,
        _ => throw Problem.At("status", "query.invalid", "One of: active, suspended, closed."),
    };
}
