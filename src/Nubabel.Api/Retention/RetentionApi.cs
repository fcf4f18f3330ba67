using System.Text.Json;
using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Api.Jobs;
using Nubabel.Domain;
using Nubabel.Domain.Retention;
using Nubabel.Projections;
using Nubabel.Projections.Retention;
using Nubabel.Store;

namespace Nubabel.Api.Retention;

/// <summary>A period.</summary>
public sealed record WantedPeriod(int Days);

/// <summary>A run that is wanted.</summary>
/// <param name="DryRun">Nothing is removed; the answer says what would be.</param>
public sealed record WantedRetentionRun(bool DryRun);

/// <summary>What a run at that time would do.</summary>
/// <param name="Categories">Those in which something is due.</param>
public sealed record RetentionPreview(DateTimeOffset At, long Removed, long Held, IReadOnlyList<RetentionCategoryRow> Categories);

/// <summary>How long the caller's organization keeps what, and the runs that remove it.</summary>
public static class RetentionApi
{
    internal const string PolicyExample = """
        {"category":"webhooks","holds":"What providers have sent","counted":"the receipt","does":"destroys keys","days":30,"source":"organization","inherited":90,"shortest":1,"longest":36500,"setBy":"organization"}
        """;

    internal const string PreviewExample = """
        {"at":"2026-11-21T08:15:30.123456Z","removed":2,"held":1,"categories":[{"days":90,"from":"2026-08-01T10:00:00Z","held":1,"upTo":"2026-08-23T08:15:30.123456Z",
        "sample":["webhook-01936d5e-7c2a-8b1e-9d3f-2f6a1c0b4e55","webhook-01936d5e-7c2a-8b1e-9d3f-2f6a1c0b4e56"],
        "sha256":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","removed":2,"category":"webhooks"}]}
        """;

    internal const string RunExample = """
        {"at":"2026-11-21T02:40:00.512Z","id":"01936d5e-7c2a-8b1e-9d3f-2f6a1c0b4e55","held":1,"state":"completed","failed":0,"begunAt":"2026-11-21T02:40:00.515Z","endedAt":"2026-11-21T02:40:01.2Z","removed":2,
        "trigger":"schedule","categories":[{"days":90,"from":"2026-08-01T10:00:00Z","held":1,"upTo":"2026-08-23T02:40:00.512Z",
        "sha256":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","removed":2,"category":"webhooks"}]}
        """;

    public static void MapRetention(this IEndpointRouteBuilder app)
    {
        var policies = app.MapGroup("/api/retention-policies").WithTags("Retention");
        policies.MapGet("", Policies).Needs("retention:read").Answers200<Listed<PolicyView>>().WithExample(response: $$"""{"items":[{{PolicyExample}}]}""");
        policies.MapGet("/{category}", Policy).Needs("retention:read").Answers200<PolicyView>().WithExample(response: PolicyExample);
        policies.MapPut("/{category}", Set).Needs("retention:write").Answers200<PolicyView>().WithExample("""{"days":30}""", PolicyExample);
        policies.MapDelete("/{category}", Clear).Needs("retention:write").Answers204();

        var runs = app.MapGroup("/api/retention-runs").WithTags("Retention");
        runs.MapGet("", Runs).Needs("retention:read").Paged<RetentionRunRow>().WithExample(response: $$"""{"items":[{{RunExample}}],"next":null}""");
        runs.MapGet("/{id}", Run).Needs("retention:read").Answers200<RetentionRunRow>().WithExample(response: RunExample);
        runs.MapPost("", Start).Starts(RetentionRuns.Kind).Answers200<RetentionPreview>().WithExample("""{"dryRun":true}""", PreviewExample);
    }

    private static async Task<IResult> Policies(Caller caller, RetentionPolicies policies, Freshness fresh, CancellationToken ct)
    {
        await fresh.OfLog(ct);
        return Results.Json(new Listed<PolicyView>([.. (await policies.Of(caller.Tenant, ct)).Where(p => p.Category.Setter != PeriodSetter.Platform).Select(PolicyView.Of)]), Json.Options);
    }

    private static async Task<IResult> Policy(string category, HttpContext http, Caller caller, Journal journal, PolicyActs acts, CancellationToken ct) =>
        await acts.Found(http, journal, acts.Known(category, caller.Realm), ct);

    private static async Task<IResult> Set(string category, Body<WantedPeriod> body, HttpRequest request, Caller caller, Journal journal, PolicyActs acts, CancellationToken ct) =>
        await acts.Set(journal, acts.Known(category, caller.Realm), body.Value.Days, ETags.IfMatch(request), ct);

    private static async Task<IResult> Clear(string category, HttpRequest request, Caller caller, Journal journal, PolicyActs acts, CancellationToken ct) =>
        await acts.Clear(journal, acts.Known(category, caller.Realm), ETags.IfMatch(request), ct);

    private static async Task<IResult> Runs(Paging page, Reader db, Freshness fresh, CancellationToken ct)
    {
        await fresh.Of(RetentionRunList.Name, ct);
        return page.Answer(await RetentionRunList.Of(db, page.After, page.Limit, ct));
    }

    private static async Task<IResult> Run(Id<RetentionRun> id, HttpContext http, Journal journal, Answers answers, CancellationToken ct)
    {
        var run = await journal.Load(id, ct);
        return await answers.Found(http, run, run.Row<RetentionRunRow>(), RetentionRun.Missing(), ct);
    }

    private static async Task<IResult> Start(Body<WantedRetentionRun> body, Reader db, RetentionSweep sweep, JobStarts jobs, TimeProvider time, CancellationToken ct)
    {
        if (!body.Value.DryRun) return await jobs.Start(RetentionRuns.Kind, new RetentionOrder(RetentionTrigger.Person), ct);
        var at = time.GetUtcNow();
        return Results.Json(PreviewOf(at, await sweep.Preview(db.Tenant, DueItems.By(db), at, ct)), StoredJson.Options);
    }

    internal static RetentionPreview PreviewOf(DateTimeOffset at, IReadOnlyList<RetentionCategoryRow> rows) => new(at, rows.Sum(r => r.Removed), rows.Sum(r => r.Held), rows);
}
