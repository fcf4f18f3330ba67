using System.Text.Json;
using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Api.Jobs;
using Nubabel.Api.Retention;
using Nubabel.Domain;
using Nubabel.Domain.Jobs;
using Nubabel.Domain.Organizations;
using Nubabel.Domain.Retention;
using Nubabel.Projections;
using Nubabel.Projections.Jobs;
using Nubabel.Projections.Retention;
using Nubabel.Store;

namespace Nubabel.Api.Operators;

/// <summary>A run that an operator wants.</summary>
/// <param name="DryRun">Nothing is removed; the answer says what would be.</param>
/// <param name="OrganizationId">In which organization; absent for the platform's own data.</param>
public sealed record WantedOperatorRun(bool DryRun, Id<Organization>? OrganizationId = null);

/// <summary>The periods that count where an organization has said nothing, and the runs of all organizations and of the platform's own data.</summary>
public static class OperatorRetentionApi
{
    private const string Read = "platform:retention", Write = "platform:retention-write";

    private const string PolicyExample = """
        {"category":"webhooks","holds":"What providers have sent","counted":"the receipt","does":"destroys keys","days":60,"source":"platform","inherited":60,"shortest":1,"longest":36500,"setBy":"organization"}
        """;

    private const string RunExample = """
        {"at":"2026-11-21T02:40:00.512Z","id":"01936d5e-7c2a-8b1e-9d3f-2f6a1c0b4e55","held":0,"state":"completed","failed":0,"begunAt":"2026-11-21T02:40:00.515Z","endedAt":"2026-11-21T02:40:01.2Z","removed":0,
        "trigger":"schedule","categories":[],"organizationId":"01936d5e-5a0f-7a11-8e2b-0c4d5e6f7081"}
        """;

    public static void MapOperatorRetention(this IEndpointRouteBuilder app)
    {
        var policies = app.MapGroup("/api/admin/retention-policies").WithTags("Retention");
        policies.MapGet("", Policies).Needs(Read).Answers200<Listed<PolicyView>>().WithExample(response: $$"""{"items":[{{PolicyExample}}]}""");
        policies.MapGet("/{category}", Policy).Needs(Read).Answers200<PolicyView>().WithExample(response: PolicyExample);
        policies.MapPut("/{category}", Set).Needs(Write).Answers200<PolicyView>().WithExample("""{"days":60}""", PolicyExample);
        policies.MapDelete("/{category}", Clear).Needs(Write).Answers204();

        var runs = app.MapGroup("/api/admin/retention-runs").WithTags("Retention");
        runs.MapGet("", Runs).Needs(Read).Paged<RetentionRunRow>().WithExample(response: $$"""{"items":[{{RunExample}}],"next":null}""");
        runs.MapPost("", Start).Needs(Write).Answers200<RetentionPreview>().Produces<JobView>(StatusCodes.Status202Accepted)
            .WithExample("""{"dryRun":true,"organizationId":"01936d5e-5a0f-7a11-8e2b-0c4d5e6f7081"}""", """{"at":"2026-11-21T08:15:30.123456Z","removed":0,"held":0,"categories":[]}""");
    }

    /// <summary>As they are for the platform's own data, or for an organization.</summary>
    private static async Task<IResult> Policies(string? organizationId, RetentionPolicies policies, Freshness fresh, CancellationToken ct)
    {
        await fresh.OfLog(ct);
        return Results.Json(new Listed<PolicyView>([.. (await policies.Of(TenantOf(organizationId) ?? Node.Platform, ct)).Select(PolicyView.Of)]), Json.Options);
    }

    private static async Task<IResult> Policy(string category, HttpContext http, Caller caller, Journal journal, PolicyActs acts, CancellationToken ct) =>
        await acts.Found(http, journal, acts.Known(category, caller.Realm), ct);

    private static async Task<IResult> Set(string category, Body<WantedPeriod> body, HttpRequest request, Caller caller, Journal journal, PolicyActs acts, CancellationToken ct) =>
        await acts.Set(journal, acts.Known(category, caller.Realm), body.Value.Days, ETags.IfMatch(request), ct);

    private static async Task<IResult> Clear(string category, HttpRequest request, Caller caller, Journal journal, PolicyActs acts, CancellationToken ct) =>
        await acts.Clear(journal, acts.Known(category, caller.Realm), ETags.IfMatch(request), ct);

    private static async Task<IResult> Runs(Paging page, string? organizationId, Node node, Freshness fresh, CancellationToken ct)
    {
        var tenant = TenantOf(organizationId);
        await fresh.Of(RetentionRunList.Name, ct);
        var entries = await RetentionRunList.OfAll(node.Everyones, tenant, page.After, page.Limit, ct);
        return page.Answer(Page.Cut(entries, page.Limit, e => JsonSerializer.SerializeToUtf8Bytes(e.Row with { OrganizationId = e.Tenant == Node.Platform ? null : e.Tenant }, StoredJson.Options), e => e.Place));
    }

    private static async Task<IResult> Start(Body<WantedOperatorRun> body, RequestScope scope, Node node, RetentionSweep sweep, CancellationToken ct)
    {
        var tenant = body.Value.OrganizationId?.ToString() ?? Node.Platform;
        var journal = scope.JournalFor(tenant, scope.Caller.Actor);
        if (body.Value.OrganizationId is { } organization && (await node.Journal(tenant, journal.Origin).Load(organization, ct)).Version == 0)
            throw new Refused(RefusalKind.Missing, "organization.missing", "There is no such organization.");
        if (body.Value.DryRun)
        {
            var at = node.Time.GetUtcNow();
            var rows = await sweep.Preview(tenant, DueItems.By(node.Everyones, tenant), at, ct);
            return Results.Json(new RetentionPreview(at, rows.Sum(r => r.Removed), rows.Sum(r => r.Held), rows), StoredJson.Options);
        }
        var job = await RetentionRuns.Start(journal, scope.Ids.New<Job>(), RetentionTrigger.Person, ct);
        return new JobAnswer(StatusCodes.Status202Accepted, JobView.Of(job.Row<JobRow>()!, new JobStanding(null, false), body.Value.OrganizationId?.ToString()),
            $"/api/admin/jobs/{job.Id}", Host.Positions.Format(node.Database.Shard, job.Position));
    }

    private static string? TenantOf(string? organizationId) =>
        organizationId is null ? null
        : Id<Organization>.TryParse(organizationId, null, out _) ? organizationId
        : throw Problem.At(nameof(organizationId), "query.invalid", "An organization's id is a lower-case UUID.");
}
