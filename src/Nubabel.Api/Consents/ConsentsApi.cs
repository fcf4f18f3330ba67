using System.Globalization;
using System.Text.Json;
using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Domain;
using Nubabel.Domain.Consents;
using Nubabel.Domain.Users;
using Nubabel.Projections;
using Nubabel.Projections.Audit;
using Nubabel.Projections.Consents;
using Nubabel.Projections.Members;
using Nubabel.Store;

namespace Nubabel.Api.Consents;

/// <summary>What an organization uses personal data for, and who has agreed.</summary>
public static class ConsentsApi
{
    /// <summary>Purposes of an organization, retired ones included. Nobody decides on more.</summary>
    public const int MostPurposes = 200;

    private const string Words = """
        "title":"Our newsletter","text":"Once a month we write to you about what is new. You can end that at any time.","lawfulBasis":"consent"
        """;

    private const string Example = """
        {"key":"newsletter","text":"Once a month we write to you about what is new. You can end that at any time.","title":"Our newsletter","status":"active","required":false,
        "textHash":"0f3d9a1c5be27f8840f6f0a3c1d5f1a9e4c8b2767d0e9f3a5b6c7d8e9f0a1b2c","declaredAt":"2026-11-21T08:15:30.123456Z","lawfulBasis":"consent","textVersion":1}
        """;

    private const string Change = """
        {"version":1,"at":"2026-11-21T08:20:11.004210Z","actor":"user:01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","action":"purpose.requirement_set","change":{"required":true},"requestId":"0199a0d4-7c1e"}
        """;

    private const string Decision = """
        {"state":"given","userId":"01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","channel":"settings-page","givenAt":"2026-11-21T08:15:30.123456Z","purpose":"newsletter",
        "textHash":"0f3d9a1c5be27f8840f6f0a3c1d5f1a9e4c8b2767d0e9f3a5b6c7d8e9f0a1b2c","changedAt":"2026-11-21T08:15:30.123456Z","textVersion":1}
        """;

    public static void MapConsents(this IEndpointRouteBuilder app)
    {
        var purposes = app.MapGroup("/api/consent-purposes").WithTags("Consents");
        purposes.MapGet("", List).Needs("consents:read").Paged<PurposeRow>().WithExample(response: $$"""{"items":[{{Example}}],"next":null}""");
        purposes.MapPost("", Declare).Needs("consents:write").Answers201<PurposeRow>().WithExample($$"""{"key":"newsletter",{{Words}}}""", Example);
        purposes.MapGet("/{key}", Get).Needs("consents:read").Answers200<PurposeRow>().WithExample(response: Example);
        purposes.MapPatch("/{key}", Patch).Needs("consents:write").Answers200<PurposeRow>().WithExample($$"""{{{Words}}}""", Example);
        purposes.MapDelete("/{key}", Retire).Needs("consents:write").Answers204();
        purposes.MapGet("/{key}/history", History).Needs("consents:read").Paged<PurposeChange>().WithExample(response: $$"""{"items":[{{Change}}],"next":null}""");
        purposes.MapGet("/{key}/counts", Counts).Needs("consents:read").Answers200<ConsentCounts>()
            .WithExample(response: """{"purpose":"newsletter","textVersion":2,"given":40,"outdated":12,"withdrawn":3,"undecided":7}""");

        var consents = app.MapGroup("/api/consents").WithTags("Consents");
        consents.MapGet("", Decisions).Needs("consents:read").Paged<ConsentRow>().WithExample(response: $$"""{"items":[{{Decision}}],"next":null}""");
        consents.MapGet("/{userId}/{purpose}", OfUser).Needs("consents:read").Answers200<ConsentView>().WithExample(response: ConsentView.Example);
        consents.MapGet("/{userId}/{purpose}/history", ProofOf).Needs("consents:read").Paged<ConsentEntry>().WithExample(response: ConsentAnswers.History);
    }

    private static async Task<IResult> List(Paging page, bool? retired, Reader db, Freshness fresh, CancellationToken ct)
    {
        await fresh.Of(PurposeList.Name, ct);
        return page.Answer(await PurposeList.Of(db, retired ?? false, page.After, page.Limit, ct));
    }

    private static async Task<IResult> Declare(Body<DeclarePurpose> body, RequestScope scope, Reader db, Answers answers, CancellationToken ct)
    {
        // A bound against mistakes and not to the very one: those who declare at the same moment may get past it together.
        if (scope.Replay is null && (await PurposeList.All(db, ct)).Count >= MostPurposes) throw new Problem("purpose.limit", $"An organization has at most {MostPurposes} purposes, retired ones included.");
        var purpose = await scope.Journal.Create(Streams.Named<Purpose>(body.Value.Key.Value), body.Value, ct);
        return await answers.Created(purpose, Row(purpose), $"/api/consent-purposes/{body.Value.Key}", ct);
    }

    private static async Task<IResult> Get(string key, At at, HttpContext http, Journal journal, Answers answers, CancellationToken ct) =>
        await answers.Found(http, await ConsentAnswers.Find(key, journal, ct), at, Row, Purpose.Missing(), ct);

    private static async Task<IResult> Patch(string key, Body<ChangePurpose> body, HttpRequest request, Journal journal, Answers answers, CancellationToken ct)
    {
        var changed = await journal.Handle(StreamOf(key), body.Value, ct, ETags.IfMatch(request));
        return await answers.Changed(changed, Row(changed), ct);
    }

    private static async Task<IResult> Retire(string key, HttpRequest request, Journal journal, Answers answers, CancellationToken ct) =>
        answers.Gone(await journal.Handle(StreamOf(key), new RetirePurpose(), ct, ETags.IfMatch(request)));

    /// <summary>The purpose's own stream, with all its texts, newest first.</summary>
    private static async Task<IResult> History(string key, Paging page, Journal journal, CancellationToken ct)
    {
        var before = page.After is [var version] ? long.Parse(version, CultureInfo.InvariantCulture) : long.MaxValue;
        var all = await ConsentAnswers.Find(key, journal, ct);
        var changes = (await all.Events(ct)).Where(e => e.Version < before).Reverse().Take(page.Limit + 1)
            .Select(e => new PurposeChange(e.Version, e.At, e.Actor, AuditTrail.ActionOf(e.Type, e.Stream),
                e.Data is null ? null : JsonSerializer.SerializeToElement(e.Data, e.Data.GetType(), StoredJson.Options), e.CorrelationId)).ToArray();
        return page.Answer(Page.Cut(
            changes, page.Limit, change => JsonSerializer.SerializeToUtf8Bytes(change, StoredJson.Options), change => [change.Version.ToString(CultureInfo.InvariantCulture)]));
    }

    private static async Task<IResult> Counts(string key, Reader db, Journal journal, Freshness fresh, CancellationToken ct)
    {
        await fresh.Of(ConsentList.Name, ct);
        var purpose = (await ConsentAnswers.Find(key, journal, ct)).State;
        return Results.Json(await ConsentList.Count(db, purpose.Key!, purpose.Text.Version, ct), Json.Options);
    }

    private static async Task<IResult> Decisions(Paging page, string? purpose, string? state, Id<User>? user, bool? former, Reader db, Freshness fresh, CancellationToken ct)
    {
        var ofPurpose = purpose is null ? null : PurposeKey.TryParse(purpose, out var key) ? key : throw Problem.At(nameof(purpose), "query.invalid", "It is a purpose's key.");
        var inState = StateOf(state);
        await fresh.Of(ConsentList.Name, ct);
        await fresh.Of(PurposeList.Name, ct);
        await fresh.Of(MemberList.Name, ct);
        var filter = new ConsentList.Filter(ofPurpose, inState, user, former ?? false);
        return page.Answer(await ConsentList.Of(db, filter, await PurposeList.All(db, ct), page.After, page.Limit, ct));
    }

    private static async Task<IResult> OfUser(Id<User> userId, string purpose, At at, HttpContext http, Journal journal, Answers answers, Freshness fresh, CancellationToken ct)
    {
        await Known(userId, journal, ct);
        return await ConsentAnswers.Show(purpose, userId, at, http, journal, answers, fresh, ct);
    }

    private static async Task<IResult> ProofOf(Id<User> userId, string purpose, Paging page, Journal journal, CancellationToken ct)
    {
        await Known(userId, journal, ct);
        return await ConsentAnswers.Entries(purpose, userId, page, journal, ct);
    }

    // Whoever was a member once: the proof is there for those who are gone, too.
    private static async Task Known(Id<User> user, Journal journal, CancellationToken ct)
    {
        if ((await journal.Load(user, ct)).Version == 0) throw new Refused(RefusalKind.Missing, "user.missing", "There is no such user.");
    }

    private static ConsentState? StateOf(string? text) => text switch
    {
        null => null,
        "given" => ConsentState.Given,
        "outdated" => ConsentState.Outdated,
        "withdrawn" => ConsentState.Withdrawn,
        _ => throw Problem.At("state", "query.invalid", "One of: given, outdated, withdrawn."),
    };

    // A key that none could be is the same 404 as one that is none.
    private static StreamName<Purpose> StreamOf(string key) => PurposeKey.TryParse(key, out _) ? Streams.Named<Purpose>(key) : throw Purpose.Missing();

    private static PurposeRow? Row(Outcome<Purpose> purpose) => purpose.Row<PurposeRow>();
}
