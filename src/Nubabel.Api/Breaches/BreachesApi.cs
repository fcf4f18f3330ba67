using System.Globalization;
using System.Text.Json;
using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Domain;
using Nubabel.Domain.Breaches;
using Nubabel.Projections;
using Nubabel.Projections.Audit;
using Nubabel.Projections.Breaches;
using Nubabel.Store;

namespace Nubabel.Api.Breaches;

/// <summary>A breach as an operator writes it down.</summary>
public sealed record WantedBreach(
    Phrase Title, Prose Description, DateTimeOffset AwareAt, IReadOnlyList<BreachKind> Kinds, DateTimeOffset? OccurredFrom = null, DateTimeOffset? OccurredTo = null, Phrase? Source = null)
{
    // A record prints its members; people may be named.
    public override string ToString() => "(breach)";
}

/// <summary>What is null stays as it is.</summary>
public sealed record BreachAmendment(
    Phrase? Title = null, Prose? Description = null, DateTimeOffset? AwareAt = null, IReadOnlyList<BreachKind>? Kinds = null, DateTimeOffset? OccurredFrom = null, DateTimeOffset? OccurredTo = null,
    Phrase? Source = null)
{
    public override string ToString() => "(amendment)";
}

/// <summary>One event of a breach, as its history shows it.</summary>
public sealed record BreachChange(long Version, DateTimeOffset At, string? Actor, string Action, JsonElement? Change, string? RequestId);

/// <summary>The register of personal data breaches (GDPR articles 33 and 34), which operators keep.</summary>
public static class BreachesApi
{
    internal const string Read = "platform:breaches", Write = "platform:breaches-write";

    private const string Wanted = """
        {"title":"A backup was readable by anybody","description":"The bucket of the nightly backups was open from Monday on.","awareAt":"2026-11-21T08:15:00Z","kinds":["confidentiality"],
        "occurredFrom":"2026-11-16T22:00:00Z","source":"monitoring"}
        """;

    private const string Assessed = """
        {"risk":"high","reason":"Addresses and names could be read.","dataCategories":["names","e-mail addresses"],"peopleCategories":["users"],"approximatePeople":1200,
        "consequences":"Unwanted mail, attempts to get passwords.","measures":"The bucket is closed."}
        """;

    private const string Worded = """
        {"subject":"Your address may have been read","whatHappened":"A copy of our data could be read by anybody from Monday to Saturday.","consequences":"You may get unwanted mail.",
        "measures":"The copy cannot be read any more.","contact":"privacy@example.com","advice":"Do not open links in mail that you do not expect."}
        """;

    private const string Reported = """
        {"authority":"The data protection authority","reportedAt":"2026-11-22T10:00:00Z","isComplete":false,"reference":"2026/4711"}
        """;

    private const string Change = """
        {"version":2,"at":"2026-11-21T09:02:11Z","actor":"operator:01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","action":"breach.people_exempted","change":{"ground":"unintelligible","reason":"The copy is encrypted."},"requestId":"0199a0d4-7c1e"}
        """;

    public static void MapBreaches(this IEndpointRouteBuilder app)
    {
        var breaches = app.MapGroup("/api/admin/breaches").WithTags("Breaches");
        breaches.MapGet("", List).Needs(Read).Paged<BreachView>().WithExample(response: $$"""{"items":[{{BreachView.Example}}],"next":null}""");
        breaches.MapPost("", Record).Needs(Write).Answers201<BreachView>().WithExample(Wanted, BreachView.Example);
        breaches.MapGet("/{id}", Get).Needs(Read).Answers200<BreachView>().WithExample(response: BreachView.Example);
        breaches.MapPatch("/{id}", Amend).Needs(Write).Answers200<BreachView>().WithExample("""{"occurredTo":"2026-11-21T08:20:00Z"}""", BreachView.Example);
        breaches.MapGet("/{id}/history", History).Needs(Read).Paged<BreachChange>().WithExample(response: $$"""{"items":[{{Change}}],"next":null}""");
        breaches.MapPut("/{id}/assessment", Assess).Needs(Write).Answers200<BreachView>().WithExample(Assessed, BreachView.Example);
        breaches.MapPut("/{id}/affected", SetScope).Needs(Write).Answers200<BreachView>().WithExample("""{"allUsersOf":["01936d5e-5a0f-7a11-8e2b-0c4d5e6f7081"]}""", BreachView.Example);
        breaches.MapPost("/{id}/authority-reports", Report).Needs(Write).Answers200<BreachView>().WithExample(Reported, BreachView.Example);
        breaches.MapPut("/{id}/notices/{audience}", SetWording).Needs(Write).Answers200<BreachView>().WithExample(Worded, BreachView.Example);
        breaches.MapPut("/{id}/exemption", Exempt).Needs(Write).Answers200<BreachView>().WithExample("""{"ground":"unintelligible","reason":"The copy is encrypted."}""", BreachView.Example);
        breaches.MapPut("/{id}/closure", Close).Needs(Write).Answers200<BreachView>().WithExample("""{"reason":"A duplicate of another entry."}""", BreachView.Example);
        breaches.MapDelete("/{id}/closure", Reopen).Needs(Write).Answers204();
    }

    private static async Task<IResult> List(Paging page, string? status, string? risk, Reader db, Freshness fresh, TimeProvider time, CancellationToken ct)
    {
        var filter = new BreachList.Filter(Word(nameof(status), status, BreachStatus.Open, BreachStatus.Closed), Word(nameof(risk), risk, Enum.GetValues<BreachRisk>()));
        await fresh.Of(BreachList.Name, ct);
        var now = time.GetUtcNow();
        return page.Answer(await BreachList.Of(db, filter, row => BreachView.Of(row, now), page.After, page.Limit, ct));
    }

    private static async Task<IResult> Record(Body<WantedBreach> body, RequestScope scope, Node node, Answers answers, CancellationToken ct)
    {
        var (wish, id) = (body.Value, scope.Ids.New<Breach>());
        var facts = new BreachFacts(wish.Title, await Sealed(node, id, wish.Description, ct), Whole(wish.AwareAt), wish.Kinds, Whole(wish.OccurredFrom), Whole(wish.OccurredTo), wish.Source);
        var breach = await scope.Journal.Create(id, new RecordBreach(facts), ct);
        return await answers.Created(breach, BreachView.Of(breach, scope.Journal.Now()), $"/api/admin/breaches/{id}", ct);
    }

    private static async Task<IResult> Get(Id<Breach> id, At at, HttpContext http, Journal journal, TimeProvider time, Answers answers, CancellationToken ct) =>
        await answers.Found(http, await journal.Load(id, ct), at, shown => BreachView.Of(shown, at.Moment(shown, time)), Breach.Missing(), ct);

    private static async Task<IResult> Amend(Id<Breach> id, Body<BreachAmendment> body, HttpRequest request, Node node, Journal journal, Answers answers, CancellationToken ct)
    {
        var wish = body.Value;
        if ((await journal.Load(id, ct)).Version == 0) throw Breach.Missing();
        var described = wish.Description is { } text ? await Sealed(node, id, text, ct) : null;
        var command = new AmendBreach(wish.Title, described, Whole(wish.AwareAt), wish.Kinds, Whole(wish.OccurredFrom), Whole(wish.OccurredTo), wish.Source);
        return await Changed(id, command, request, journal, answers, ct);
    }

    private static Task<IResult> Assess(Id<Breach> id, Body<BreachAssessment> body, HttpRequest request, Journal journal, Answers answers, CancellationToken ct) =>
        Changed(id, new AssessBreach(body.Value), request, journal, answers, ct);

    private static Task<IResult> SetScope(Id<Breach> id, Body<BreachScope> body, HttpRequest request, Journal journal, Answers answers, CancellationToken ct) =>
        Changed(id, new SetBreachScope(body.Value), request, journal, answers, ct);

    private static Task<IResult> Report(Id<Breach> id, Body<ReportBreach> body, HttpRequest request, Journal journal, Answers answers, CancellationToken ct) =>
        Changed(id, body.Value with { ReportedAt = Whole(body.Value.ReportedAt) }, request, journal, answers, ct);

    private static Task<IResult> SetWording(Id<Breach> id, string audience, Body<NoticeText> body, HttpRequest request, Journal journal, Answers answers, CancellationToken ct) =>
        Changed(id, new WordBreach(AudienceOf(audience), body.Value), request, journal, answers, ct);

    private static Task<IResult> Exempt(Id<Breach> id, Body<ExemptPeople> body, HttpRequest request, Journal journal, Answers answers, CancellationToken ct) =>
        Changed(id, body.Value, request, journal, answers, ct);

    private static Task<IResult> Close(Id<Breach> id, Body<CloseBreach>? body, HttpRequest request, Journal journal, Answers answers, CancellationToken ct) =>
        Changed(id, body?.Value ?? new CloseBreach(), request, journal, answers, ct);

    private static async Task<IResult> Reopen(Id<Breach> id, HttpRequest request, Journal journal, Answers answers, CancellationToken ct) =>
        answers.Gone(await journal.Handle(id, new ReopenBreach(), ct, ETags.IfMatch(request)));

    /// <summary>The breach's own stream, newest first: the documentation of Art. 33(5).</summary>
    private static async Task<IResult> History(Id<Breach> id, Paging page, Reader db, Journal journal, CancellationToken ct)
    {
        var before = page.After is [var version] ? long.Parse(version, CultureInfo.InvariantCulture) : long.MaxValue;
        var all = await journal.Load(id, ct);
        if (all.Version == 0) throw Breach.Missing();
        var changes = (await all.Events(ct)).Where(e => e.Version < before).Reverse().Take(page.Limit + 1).Select(ChangeOf).ToArray();
        return page.Answer(await Page.Open(db, changes, page.Limit, change => change, change => [change.Version.ToString(CultureInfo.InvariantCulture)], ct));
    }

    internal static BreachChange ChangeOf(Recorded e) => new(
        e.Version, e.At, e.Actor, AuditTrail.ActionOf(e.Type, e.Stream), e.Data is null ? null : JsonSerializer.SerializeToElement(e.Data, e.Data.GetType(), StoredJson.Options), e.CorrelationId);

    private static async Task<IResult> Changed(Id<Breach> id, Command<Breach> command, HttpRequest request, Journal journal, Answers answers, CancellationToken ct)
    {
        var changed = await journal.Handle(id, command, ct, ETags.IfMatch(request));
        return await answers.Changed(changed, BreachView.Of(changed, journal.Now()), ct);
    }

    private static ValueTask<Personal> Sealed(Node node, Id<Breach> id, Prose text, CancellationToken ct) => node.Seal(Node.Platform, Streams.Of(id), text.Value, ct);

    // In UTC and in whole microseconds, as PostgreSQL keeps times, so that the same wish is the same fact.
    private static DateTimeOffset Whole(DateTimeOffset time) => new(time.UtcTicks - time.UtcTicks % TimeSpan.TicksPerMicrosecond, TimeSpan.Zero);
    private static DateTimeOffset? Whole(DateTimeOffset? time) => time is { } t ? Whole(t) : null;

    private static BreachAudience AudienceOf(string text) => text switch
    {
        "tenants" => BreachAudience.Tenants,
        "people" => BreachAudience.People,
        _ => throw new Refused(RefusalKind.Invalid, "breach.audience_invalid", "One of: tenants, people.", "audience"),
    };

    internal static T? Word<T>(string name, string? text, params T[] allowed) where T : struct, Enum
    {
        if (text is null) return null;
        foreach (var value in allowed)
            if (JsonNamingPolicy.CamelCase.ConvertName(value.ToString()) == text) return value;
        throw Problem.At(name, "query.invalid", $"One of: {string.Join(", ", allowed.Select(v => JsonNamingPolicy.CamelCase.ConvertName(v.ToString())))}.");
    }
}
