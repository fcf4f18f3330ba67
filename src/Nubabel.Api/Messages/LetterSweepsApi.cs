using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Domain;
using Nubabel.Domain.Messages;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Messages;

/// <summary>An act on many letters, and how far it is.</summary>
/// <param name="Expected">How many letters it was ordered for.</param>
/// <param name="Done">How many it has dealt with; others may have dealt with the rest.</param>
public sealed record LetterSweepShown(Id<LetterSweep> Id, SweepKind Kind, LetterSelection Selection, long Expected, long Done, bool HasEnded, DateTimeOffset OrderedAt, string? OrderedBy, Reason? Reason);

/// <summary>What an act on many letters leads to.</summary>
/// <param name="Count">How many letters are meant.</param>
/// <param name="Act">Absent of a dry run.</param>
public sealed record LetterActAnswer(long Count, LetterSweepShown? Act = null);

/// <summary>Acts on many dead letters: counted first where that is asked for, carried out piece by piece, and looked at while they run.</summary>
internal static class LetterSweepsApi
{
    private const string Example = """
        {"id":"01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e57","kind":"replay","selection":{"queue":"mail","cause":"NotCarried"},"expected":120,"done":120,"hasEnded":true,"orderedAt":"2026-11-21T09:00:00Z",
        "orderedBy":"operator:01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","reason":"the mail server is back"}
        """;

    public static void MapLetterSweeps(this IEndpointRouteBuilder app)
    {
        Map(app.MapGroup("/api/admin/dead-letters").WithTags("Messages"));
        Map(app.MapGroup("/api/admin/dlq").ExcludeFromDescription());
    }

    private static void Map(RouteGroupBuilder letters)
    {
        const string wish = """{"queue":"mail","cause":"NotCarried","reason":"the mail server is back"}""";
        const string answer = $$"""{"count":120,"act":{{Example}}}""";
        letters.MapPost("/replay", Replay).Needs(LetterViews.Write).Answers200<LetterActAnswer>().Answers202().WithExample(wish, answer);
        letters.MapPost("/discard", Discard).Needs(LetterViews.Write).Answers200<LetterActAnswer>().Answers202().WithExample(wish, answer.Replace("\"kind\":\"replay\"", "\"kind\":\"discard\"", StringComparison.Ordinal));
        letters.MapGet("/sweeps/{id}", Get).Needs(LetterViews.See).Answers200<LetterSweepShown>().WithExample(response: Example);
    }

    private static Task<IResult> Replay(Body<LettersWanted> body, RequestScope scope, LetterActs acts, HttpContext http, CancellationToken ct, string? dryRun = null) =>
        Act(SweepKind.Replay, body.Value, dryRun, scope, acts, http, ct);

    private static Task<IResult> Discard(Body<LettersWanted> body, RequestScope scope, LetterActs acts, HttpContext http, CancellationToken ct, string? dryRun = null) =>
        Act(SweepKind.Discard, body.Value, dryRun, scope, acts, http, ct);

    private static async Task<IResult> Get(Id<LetterSweep> id, Journal journal, LetterActs acts, CancellationToken ct) =>
        Results.Json(await Shown(await journal.Load(id, ct), acts, ct), Json.Options);

    /// <summary>200 where it is done, 202 where it goes on behind the answer.</summary>
    private static async Task<IResult> Act(SweepKind kind, LettersWanted wanted, string? dryRun, RequestScope scope, LetterActs acts, HttpContext http, CancellationToken ct)
    {
        var selection = wanted.Selection();
        if (kind is SweepKind.Discard && wanted.Reason is null) throw Problem.At("reason", "letter_sweep.reason_required", "Say why: it stands in the audit trail for good.");
        if (dryRun is not null and not ("true" or "false")) throw Problem.At("dryRun", "query.invalid", "true or false.");
        if (dryRun == "true") return Results.Json(new LetterActAnswer((await acts.Letters.Count(LetterActs.FilterOf(selection), ct)).Count), Json.Options);

        var ordered = await acts.Order(scope.Ids.New<LetterSweep>(), kind, selection, wanted.Reason, scope.JournalFor(Node.Platform, scope.Caller.Actor, wanted.Reason), ct);
        await acts.Begin(ordered.Id, scope.Origin(scope.Caller.Actor, scope.Caller.Actor.Subject), ct);
        var now = await Shown(await scope.JournalBeside(Node.Platform, scope.Caller.Actor, scope.Caller.Actor.Subject).Load(ordered.Id, ct), acts, ct);
        http.Response.Headers.Location = $"/api/admin/dead-letters/sweeps/{now.Id}";
        return Results.Json(new LetterActAnswer(now.Expected, now), Json.Options, statusCode: now.HasEnded ? StatusCodes.Status200OK : StatusCodes.Status202Accepted);
    }

    internal static async Task<LetterSweepShown> Shown(Outcome<LetterSweep> sweep, LetterActs acts, CancellationToken ct)
    {
        if (sweep.State.Started is not { } started) throw new Problem("letter_sweep.missing", "There is no such act.");
        var done = sweep.State.Done ?? (await acts.Letters.Progress(sweep.Id.Value, ct)).Done;
        var ordered = (await sweep.Events(ct))[0];
        return new LetterSweepShown(sweep.Id, started.Kind, started.Selection, started.Expected, done, sweep.State.Done is not null, ordered.At, ordered.Actor, started.Reason);
    }
}
