using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Domain;
using Nubabel.Domain.Projections;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Projections;

/// <summary>How a rebuild is wanted.</summary>
/// <param name="Force">It is published also with keys parked that were not parked before; one that is held for them is published as it is.</param>
public sealed record RebuildWish(bool Force = false);

/// <summary>
/// Builds read models anew. The answer does not wait: the work is done beside requests, by this process or by another one, and goes on when the process dies
/// that does it. Readers see what they saw until the new table is whole.
/// </summary>
public static class RebuildApi
{
    private const string Read = "platform:projections", Write = "platform:projections-write";

    private const string Example = """
        {"name":"devices","version":1,"kind":"same","state":"running","phase":"loading","forced":false,"done":0.42,"events":210000,"rate":182000,"secondsLeft":1.6,"position":0,"mark":500000,
        "partitions":1024,"partitionsDone":0,"parkedKeys":0,"startedAt":"2026-11-21T08:14:00Z","startedBy":"operator:01936d5e-5a0f-7a11-8e2b-0c4d5e6f7081","node":"nubabel api-1:1-4f2a",
        "endedAt":null,"error":null,"hasEnded":false}
        """;

    public static void MapRebuilds(this IEndpointRouteBuilder app)
    {
        var rebuild = app.MapGroup("/api/admin/projections/{name}/rebuild").WithTags("Operations");
        rebuild.MapPost("", Start).Needs(Write).Produces<RebuildStatus>(StatusCodes.Status202Accepted).WithExample("""{"force":false}""", Example);
        rebuild.MapGet("", Status).Needs(Read).Answers200<RebuildStatus>().WithExample(response: Example);
        rebuild.MapDelete("", Cancel).Needs(Write).Answers204();
    }

    private static async Task<IResult> Start(string name, Body<RebuildWish>? body, HttpContext http, RequestScope scope, Node node, ProjectionDaemon daemon, CancellationToken ct)
    {
        Known(name);
        var status = await daemon.Rebuilds.Status(name, ct);
        // A repeated request orders nothing a second time.
        if (scope.Replay is null)
        {
            // How the one before ended is said before the row is that of another one.
            if (status is { HasEnded: true }) await RebuildEvents.Say(node, status, ct);
            try
            {
                status = await daemon.Rebuilds.Order(name, body?.Value.Force ?? false, scope.Caller.Actor.ToString(), ct);
            }
            catch (RebuildRunning running)
            {
                throw new Problem("projection.rebuilding", running.Message);
            }
        }
        await RebuildEvents.Started(scope.Journal, status!, ct);
        http.Response.Headers.Location = $"/api/admin/projections/{name}/rebuild";
        return Results.Json(status, Json.Options, statusCode: StatusCodes.Status202Accepted);
    }

    private static async Task<IResult> Status(string name, ProjectionDaemon daemon, CancellationToken ct)
    {
        Known(name);
        return Results.Json(await daemon.Rebuilds.Status(name, ct) ?? throw Missing(), Json.Options);
    }

    private static async Task<IResult> Cancel(string name, RequestScope scope, ProjectionDaemon daemon, CancellationToken ct)
    {
        Known(name);
        if (scope.Replay is null && !await daemon.Rebuilds.Cancel(name, ct)) throw Missing();
        await RebuildEvents.Ended(scope.Journal, (await daemon.Rebuilds.Status(name, ct))!, ct);
        return Results.NoContent();
    }

    private static void Known(string name)
    {
        if (ReadModels.All.Find(name) is null) throw new Problem("projection.missing", "There is no read model of this name; what is no read model has no table to rebuild.");
    }

    private static Problem Missing() => new("projection.not_rebuilding", "There is no rebuild of it.");
}
