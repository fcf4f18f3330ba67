using System.Globalization;
using System.Text.Json;
using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Domain;
using Nubabel.Domain.Flags;
using Nubabel.Domain.Organizations;
using Nubabel.Projections;
using Nubabel.Projections.Audit;
using Nubabel.Projections.Flags;
using Nubabel.Store;

namespace Nubabel.Api.Flags;

/// <summary>A rule as an operator writes it.</summary>
/// <param name="Id">Of a rule that stays what it was; a rule without one gets a new one.</param>
public sealed record WantedRule(FlagRuleType Type, IReadOnlyList<Id<Organization>>? Organizations = null, Percentage? Percentage = null, Id<FlagRule>? Id = null)
{
    internal FlagRule With(Id<FlagRule> id) => new(id, Type, Organizations, Percentage);
}

/// <summary>A flag's rules in their order.</summary>
public sealed record WantedRules(IReadOnlyList<WantedRule> Rules);

/// <summary>The flags as operators set them.</summary>
public static class FlagAdminApi
{
    private const string Rule = """{"type":"percentage","percentage":12.5}""";

    private const string Example = """
        {"key":"dark-mode","rules":[{"id":"01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e55","type":"percentage","percentage":12.5}],"status":"active","enabled":true,"changedAt":"2026-11-21T08:20:11.004210Z","createdAt":"2026-11-21T08:15:30.123456Z","overrides":[],"description":"The dark theme"}
        """;

    private const string Change = """
        {"version":2,"at":"2026-11-21T08:20:11.004210Z","actor":"operator:01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","action":"flag.enabled","change":{},"requestId":"0199a0d4-7c1e"}
        """;

    private const string Evaluated = """
        {"key":"dark-mode","from":"2026-10-23","to":"2026-11-21","enabled":4,"disabled":27,"lastEvaluatedAt":"2026-11-21T08:20:11.004210Z","days":[{"day":"2026-11-21","enabled":4,"disabled":27}],
        "organizations":[{"organizationId":"01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","enabled":4,"disabled":27,"lastEvaluatedAt":"2026-11-21T08:20:11.004210Z"}],"isComplete":true}
        """;

    /// <summary>Days of evaluations that are shown where none are named.</summary>
    private const int DaysShown = 30;

    public static void MapFlagAdmin(this IEndpointRouteBuilder app)
    {
        var flags = app.MapGroup("/admin/feature-flags").WithTags("Flags");
        flags.MapGet("", List).Needs("platform:flags-read").Paged<FlagRow>().WithExample(response: $$"""{"items":[{{Example}}],"next":null}""");
        flags.MapPost("", Create).Needs("platform:flags-write").Answers201<FlagRow>().WithExample("""{"key":"dark-mode","description":"The dark theme","enabled":false}""", Example);
        flags.MapGet("/{key}", Get).Needs("platform:flags-read").Answers200<FlagRow>().WithExample(response: Example);
        flags.MapPatch("/{key}", Patch).Needs("platform:flags-write").Answers200<FlagRow>().WithExample("""{"enabled":true}""", Example);
        flags.MapDelete("/{key}", Archive).Needs("platform:flags-write").Answers204();
        flags.MapGet("/{key}/history", History).Needs("platform:flags-read").Paged<FlagChange>().WithExample(response: $$"""{"items":[{{Change}}],"next":null}""");
        flags.MapGet("/{key}/evaluations", Evaluations).Needs("platform:flags-read").Answers200<FlagEvaluations>().WithExample(response: Evaluated);
        flags.MapPost("/{key}/rules", AddRule).Needs("platform:flags-write").Answers201<FlagRow>().WithExample(Rule, Example);
        flags.MapPut("/{key}/rules", ReplaceRules).Needs("platform:flags-write").Answers200<FlagRow>().WithExample($$"""{"rules":[{{Rule}}]}""", Example);
        flags.MapDelete("/{key}/rules/{id}", RemoveRule).Needs("platform:flags-write").Answers204();
        flags.MapPost("/{key}/overrides", SetOverride).Needs("platform:flags-write").Answers201<FlagRow>()
            .WithExample("""{"organizationId":"01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","enabled":true}""", Example);
        flags.MapDelete("/{key}/overrides/{organizationId}", RemoveOverride).Needs("platform:flags-write").Answers204();
    }

    private static async Task<IResult> List(Paging page, bool? archived, Reader db, Freshness fresh, CancellationToken ct)
    {
        await fresh.Of(FlagList.Name, ct);
        return page.Answer(await FlagList.Of(db, archived ?? false, page.After, page.Limit, ct));
    }

    private static async Task<IResult> Create(Body<CreateFlag> body, Journal journal, Answers answers, CancellationToken ct)
    {
        var flag = await journal.Create(StreamOf(body.Value.Key.Value), body.Value, ct);
        return await answers.Created(flag, Row(flag), PathOf(body.Value.Key.Value), ct);
    }

    private static async Task<IResult> Get(string key, At at, HttpContext http, Journal journal, Answers answers, CancellationToken ct)
    {
        var flag = await journal.Load(StreamOf(key), ct);
        return await answers.Found(http, flag, at, Row, Missing(), ct);
    }

    private static async Task<IResult> Patch(string key, Body<ChangeFlag> body, HttpRequest request, Journal journal, Answers answers, CancellationToken ct) =>
        await Changed(await journal.Handle(StreamOf(key), body.Value, ct, ETags.IfMatch(request)), answers, ct);

    private static async Task<IResult> Archive(string key, HttpRequest request, Journal journal, Answers answers, CancellationToken ct) =>
        answers.Gone(await journal.Handle(StreamOf(key), new ArchiveFlag(), ct, ETags.IfMatch(request)));

    /// <summary>The flag's own stream, newest first.</summary>
    private static async Task<IResult> History(string key, Paging page, Journal journal, CancellationToken ct)
    {
        var before = page.After is [var version] ? long.Parse(version, CultureInfo.InvariantCulture) : long.MaxValue;
        var all = await journal.Load(StreamOf(key), ct);
        if (all.State.Status == FlagStatus.None) throw Missing();
        var changes = (await all.Events(ct)).Where(e => e.Version < before).Reverse().Take(page.Limit + 1)
            .Select(e => new FlagChange(e.Version, e.At, e.Actor, AuditTrail.ActionOf(e.Type, e.Stream),
                e.Data is null ? null : JsonSerializer.SerializeToElement(e.Data, StoredJson.Options), e.CorrelationId)).ToArray();
        return page.Answer(Page.Cut(
            changes, page.Limit, change => JsonSerializer.SerializeToUtf8Bytes(change, StoredJson.Options), change => [change.Version.ToString(CultureInfo.InvariantCulture)]));
    }

    /// <summary>How often the flag is asked for: what tells a flag that is in use from one that can go.</summary>
    private static async Task<IResult> Evaluations(
        string key, Node node, Journal journal, CancellationToken ct, Id<Organization>? organization = null, string? from = null, string? to = null)
    {
        if ((await journal.Load(StreamOf(key), ct)).State.Key is not { } known) throw Missing();
        var last = Day(nameof(to), to) ?? DateOnly.FromDateTime(node.Time.GetUtcNow().UtcDateTime);
        var first = Day(nameof(from), from) ?? last.AddDays(1 - DaysShown);
        return Results.Json(await FlagCounts.Of(node.Everyones, known, organization, first, last, ct), Json.Options);
    }

    private static DateOnly? Day(string name, string? text) =>
        text is null ? null
        : DateOnly.TryParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out var day) && day.Year is > 1 and < 9999 ? day
        : throw Problem.At(name, "query.invalid", "A day is written as 2026-01-31.");

    private static async Task<IResult> AddRule(string key, Body<WantedRule> body, HttpRequest request, Ids ids, Journal journal, Answers answers, CancellationToken ct)
    {
        var rule = body.Value.With(body.Value.Id ?? ids.New<FlagRule>());
        var flag = await journal.Handle(StreamOf(key), new AddFlagRule(rule), ct, ETags.IfMatch(request));
        return await answers.Created(flag, Row(flag), $"{PathOf(key)}/rules/{rule.Id}", ct);
    }

    private static async Task<IResult> ReplaceRules(string key, Body<WantedRules> body, HttpRequest request, Ids ids, Journal journal, Answers answers, CancellationToken ct)
    {
        var rules = body.Value.Rules.Select(rule => rule.With(rule.Id ?? ids.New<FlagRule>())).ToArray();
        return await Changed(await journal.Handle(StreamOf(key), new ReplaceFlagRules(rules), ct, ETags.IfMatch(request)), answers, ct);
    }

    private static async Task<IResult> RemoveRule(string key, string id, HttpRequest request, Journal journal, Answers answers, CancellationToken ct) =>
        // A malformed id is an unknown one; none has the empty id.
        answers.Gone(await journal.Handle(StreamOf(key), new RemoveFlagRule(Id<FlagRule>.TryParse(id, null, out var rule) ? rule : default), ct, ETags.IfMatch(request)));

    private static async Task<IResult> SetOverride(string key, Body<SetFlagOverride> body, HttpRequest request, Journal journal, Answers answers, CancellationToken ct)
    {
        var flag = await journal.Handle(StreamOf(key), body.Value, ct, ETags.IfMatch(request));
        return await answers.Created(flag, Row(flag), $"{PathOf(key)}/overrides/{body.Value.OrganizationId}", ct);
    }

    private static async Task<IResult> RemoveOverride(string key, string organizationId, HttpRequest request, Journal journal, Answers answers, CancellationToken ct) =>
        answers.Gone(await journal.Handle(
            StreamOf(key), new RemoveFlagOverride(Id<Organization>.TryParse(organizationId, null, out var organization) ? organization : default), ct, ETags.IfMatch(request)));

    private static Task<IResult> Changed(Outcome<Flag> flag, Answers answers, CancellationToken ct) => answers.Changed(flag, Row(flag), ct);

    private static FlagRow? Row(Outcome<Flag> flag) => flag.Row<FlagRow>();

    // A key that none could be is the same 404 as one that is none.
    private static StreamName<Flag> StreamOf(string key) => FlagKey.TryParse(key, out _) ? Streams.Named<Flag>(key) : throw Missing();

    private static string PathOf(string key) => $"/admin/feature-flags/{key}";

    private static Refused Missing() => new(RefusalKind.Missing, "flag.missing", "There is no such flag.");
}
