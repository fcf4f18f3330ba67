using System.Globalization;
using System.Text.Json;
using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Domain;
using Nubabel.Domain.Messages;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Messages;

/// <summary>How a letter is replayed.</summary>
/// <param name="Body">Another body than it died with; the original is kept.</param>
public sealed record LetterReplay(JsonElement? Body = null, Reason? Reason = null);

/// <summary>Why a letter is not to be handled.</summary>
public sealed record LetterDiscard(Reason Reason);

/// <summary>Which letters are meant: by their ids, by what they have in common, or all.</summary>
/// <param name="All">Must be said where neither <paramref name="Ids"/> nor a filter is given.</param>
public sealed record LettersWanted(
    IReadOnlyList<Id<DeadLetterControl>>? Ids = null, string? Tenant = null, string? Queue = null, string? Type = null, string? Cause = null, DateTimeOffset? From = null, DateTimeOffset? To = null,
    bool All = false, Reason? Reason = null)
{
    /// <exception cref="Problem">It says nothing, or contradicts itself.</exception>
    internal LetterSelection Selection()
    {
        var selection = new LetterSelection(Ids is null ? null : [.. Ids.Distinct()], Tenant, Queue, Type, Cause, From, To);
        if (selection == new LetterSelection() != All)
            throw Problem.At(All ? "all" : "ids", "letter_sweep.selection_invalid", All ? "All, or which ones: not both." : "Which ones? Ids, a filter, or all.");
        return selection;
    }
}

/// <summary>Dead letters: operators see, replay, discard and export them. The same code serves the command line.</summary>
public static class DeadLettersApi
{
    private const string See = LetterViews.See, Write = LetterViews.Write;

    private const string Line = """
        {"id":"01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e55","tenant":"01936d5e-5a0f-7a11-8e2b-0c4d5e6f7081","queue":"mail","type":"letter","state":"dead","died":"2026-11-21T08:20:11.00421Z",
        "attempts":7,"cause":"NotCarried","error":"The mail server does not answer.","parks":false,"replays":0}
        """;

    private const string Whole = """
        {"id":"01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e55","tenant":"01936d5e-5a0f-7a11-8e2b-0c4d5e6f7081","queue":"mail","type":"letter","isKnown":true,"subject":"invitation-01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e56",
        "actor":"user:01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","correlationId":"01936d5e-7c29-7000-8000-0123456789ab","headers":{},"enqueued":"2026-11-21T06:31:07.11Z","died":"2026-11-21T08:20:11.00421Z",
        "attempts":[{"at":"2026-11-21T08:20:11.00421Z","ms":10012,"node":"nubabel web-1:7","cause":"NotCarried","error":"The mail server does not answer."}],"cause":"NotCarried",
        "error":"The mail server does not answer.","parks":false,"state":"dead","replays":0,"body":{"letter":{"$p":1,"s":"invitation-01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e56","c":"…"}},
        "expiresAt":"2027-02-19T08:20:11.00421Z"}
        """;

    private const string Statistics = """
        {"dead":3,"replayed":40,"discarded":1,"oldestSeconds":5400,"byQueue":[{"name":"mail","letters":3}],"byType":[{"name":"letter","letters":3}],"byCause":[{"name":"NotCarried","letters":3}],
        "byAge":[{"name":"1h","letters":1},{"name":"1d","letters":2},{"name":"7d","letters":0},{"name":"30d","letters":0},{"name":"older","letters":0}],
        "perDay":[{"day":"2026-11-21","died":3,"replayed":40,"discarded":1}]}
        """;

    public static void MapDeadLetters(this IEndpointRouteBuilder app)
    {
        Map(app.MapGroup("/api/admin/dead-letters").WithTags("Messages"));
        // The name that other systems have for it; documented once.
        Map(app.MapGroup("/api/admin/dlq").ExcludeFromDescription());
    }

    private static void Map(RouteGroupBuilder letters)
    {
        letters.MapGet("", List).Needs(See).Paged<DeadLetterLine>().WithExample(response: $$"""{"items":[{{Line}}],"next":null}""");
        letters.MapGet("/statistics", Counted).Needs(See).Answers200<DeadLetterStatistics>().WithExample(response: Statistics);
        letters.MapGet("/export", LetterExport.Stream).Needs(See).Produces<DeadLetterShown>(StatusCodes.Status200OK, LetterExport.MediaType).WithExample(response: Whole).DisableRequestTimeout();
        letters.MapGet("/{id}", Get).Needs(See).Answers200<DeadLetterShown>().WithExample(response: Whole);
        letters.MapPost("/{id}/replay", Replay).Needs(Write).Answers200<DeadLetterLine>()
            .WithExample("""{"reason":"the mail server is back"}""", Line.Replace("\"dead\"", "\"replayed\"", StringComparison.Ordinal));
        letters.MapPost("/{id}/discard", Discard).Needs(Write).Answers200<DeadLetterLine>()
            .WithExample("""{"reason":"the account is gone"}""", Line.Replace("\"dead\"", "\"discarded\"", StringComparison.Ordinal));
    }

    private static async Task<IResult> List(
        Paging page, LetterActs acts, CancellationToken ct,
        string? tenant = null, string? queue = null, string? type = null, string? cause = null, string? state = null, string? from = null, string? to = null)
    {
        (DateTimeOffset, Guid)? after = page.After is [var died, var id] ? (DateTimeOffset.Parse(died, CultureInfo.InvariantCulture), Guid.Parse(id)) : null;
        var lines = await acts.Letters.List(LetterViews.FilterOf(tenant, queue, type, cause, from, to, state), after, page.Limit + 1, ct);
        return page.Answer(Page.Cut(lines, page.Limit, line => JsonSerializer.SerializeToUtf8Bytes(line, Json.Options), line => [line.Died.ToString("O", CultureInfo.InvariantCulture), line.Id.ToString()]));
    }

    private static async Task<IResult> Counted(
        LetterActs acts, CancellationToken ct,
        string? tenant = null, string? queue = null, string? type = null, string? cause = null, string? from = null, string? to = null, string? days = null)
    {
        const int most = 366;
        var back = days is null ? 30 : int.TryParse(days, NumberStyles.None, CultureInfo.InvariantCulture, out var n) && n is >= 1 and <= most ? n : throw Problem.At("days", "query.invalid", $"1 to {most} days.");
        return Results.Json(await acts.Letters.Statistics(LetterViews.FilterOf(tenant, queue, type, cause, from, to), back, ct), Json.Options);
    }

    private static async Task<IResult> Get(Id<DeadLetterControl> id, Journal journal, RequestScope scope, Node node, Settings settings, LetterActs acts, CancellationToken ct, string? personal = null)
    {
        var opens = LetterViews.Opens(personal, scope.Caller);
        var letter = await acts.Read(id.Value, opens, journal, ct);
        return Results.Bytes(await LetterViews.Render(letter, opens ? scope.ReaderOf(letter.Tenant) : null, node, settings, ct), "application/json");
    }

    private static async Task<IResult> Replay(Id<DeadLetterControl> id, Body<LetterReplay>? body, RequestScope scope, LetterActs acts, Answers answers, CancellationToken ct)
    {
        var wish = body?.Value ?? new LetterReplay();
        var (letter, position) = await acts.Replay(id.Value, wish.Body, wish.Reason, scope.JournalFor(Node.Platform, scope.Caller.Actor, wish.Reason), ct);
        return answers.Told(LetterViews.LineOf(letter), position);
    }

    private static async Task<IResult> Discard(Id<DeadLetterControl> id, Body<LetterDiscard> body, RequestScope scope, LetterActs acts, Answers answers, CancellationToken ct)
    {
        var reason = body.Value.Reason;
        var (letter, position) = await acts.Discard(id.Value, reason, scope.JournalFor(Node.Platform, scope.Caller.Actor, reason), ct);
        return answers.Told(LetterViews.LineOf(letter), position);
    }
}
