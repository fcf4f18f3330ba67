using System.Globalization;
using System.Text.Json;
using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Domain;
using Nubabel.Domain.Projections;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Projections;

/// <summary>What is folded once more: one key, or all that are parked.</summary>
public sealed record ParkedRetry(string? Tenant = null, string? Key = null, bool All = false);

/// <summary>An event that is passed over from now on, in rebuilds too.</summary>
public sealed record ParkedSkip(string Tenant, string Key, long Position, Reason Reason);

/// <summary>How the projection stands after a retry or a skip.</summary>
/// <param name="ParkedKeys">The keys that wait now.</param>
/// <param name="Parked">The key in question, where it is still parked, with its new error.</param>
public sealed record ParkedOutcome(long ParkedKeys, ParkedKey? Parked = null);

/// <summary>Keys that wait behind an event which could not be folded, and what operators do about them.</summary>
public static class ParkedApi
{
    private const string Address = "\"tenant\":\"01936d5e-5a0f-7a11-8e2b-0c4d5e6f7081\",\"key\":\"device-01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e55\"";

    private const string Example = $$"""
        {{{Address}},"position":4711,"events":3,"error":"JsonException: The JSON value could not be converted.","since":"2026-11-21T08:20:11.00421Z","attempts":2}
        """;

    public static void MapParked(this IEndpointRouteBuilder app)
    {
        var parked = app.MapGroup("/api/admin/projections/{name}/parked").WithTags("Projections");
        parked.MapGet("", List).Needs(ProjectionsApi.Read).Paged<ParkedKey>().WithExample(response: $$"""{"items":[{{Example}}],"next":null}""");
        parked.MapPost("/retry", Retry).Needs(ProjectionsApi.Write).Answers200<ParkedOutcome>().Answers202()
            .WithExample($$"""{{{Address}}}""", $$"""{"parkedKeys":1,"parked":{{Example}}}""");
        parked.MapPost("/skip", Skip).Needs(ProjectionsApi.Write).Answers200<ParkedOutcome>().Answers202()
            .WithExample($$"""{{{Address}},"position":4711,"reason":"a foreign writer's test"}""", """{"parkedKeys":0}""");
    }

    private static async Task<IResult> List(string name, Paging page, ProjectionActs acts, CancellationToken ct)
    {
        var after = page.After is [var position] ? long.Parse(position, CultureInfo.InvariantCulture) : 0;
        var keys = await acts.Parked(acts.Named(name), after, page.Limit + 1, ct);
        return page.Answer(Page.Cut(keys, page.Limit, key => JsonSerializer.SerializeToUtf8Bytes(key, Json.Options), key => [key.Position.ToString(CultureInfo.InvariantCulture)]));
    }

    private static async Task<IResult> Retry(string name, Body<ParkedRetry> body, Journal journal, ProjectionActs acts, CancellationToken ct)
    {
        var (projection, wish) = (acts.Named(name), body.Value);
        if (wish.All ? wish.Tenant is not null || wish.Key is not null : wish.Tenant is null || wish.Key is null)
            throw Problem.At(wish.All ? "all" : "key", "projection.retry_invalid", "Either tenant and key, or all.");
        return await Answer(projection, await acts.Retry(projection, journal, wish.Tenant, wish.Key, ct), acts, ct);
    }

    private static async Task<IResult> Skip(string name, Body<ParkedSkip> body, RequestScope scope, ProjectionActs acts, CancellationToken ct)
    {
        var (projection, wish) = (acts.Named(name), body.Value);
        var skip = new SkipEvent(projection.Version, wish.Tenant, wish.Key, wish.Position, wish.Reason);
        return await Answer(projection, await acts.Skip(projection, scope.JournalFor(Node.Platform, scope.Caller.Actor, wish.Reason), skip, ct), acts, ct);
    }

    /// <summary>202 where it goes on behind the answer.</summary>
    private static async Task<IResult> Answer(Projection projection, (bool Done, ParkedKey? Parked) after, ProjectionActs acts, CancellationToken ct)
    {
        var outcome = new ParkedOutcome((await acts.Status(projection, ct)).ParkedKeys, after.Parked);
        return Results.Json(outcome, Json.Options, statusCode: after.Done ? StatusCodes.Status200OK : StatusCodes.Status202Accepted);
    }
}
