using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Domain;
using Nubabel.Domain.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Projections;

/// <summary>Why a projection is paused.</summary>
public sealed record PauseReason(Reason? Reason = null);

/// <summary>The projections as operators see them, and their pause.</summary>
public static class ProjectionsApi
{
    internal const string Read = "platform:projections", Write = "platform:projections-write";

    private const string Example = """
        {"name":"devices","version":1,"state":"paused","position":4711,"lag":3,"lagSeconds":2.5,"parkedKeys":0,"lastError":null,"owner":"nubabel web-1:12-3af0",
        "paused":{"since":"2026-11-21T08:20:11.00421Z","by":"operator:01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","reason":"its table is looked at"}}
        """;

    public static void MapProjections(this IEndpointRouteBuilder app)
    {
        var projections = app.MapGroup("/api/admin/projections").WithTags("Projections");
        projections.MapGet("", All).Needs(Read).Answers200<DaemonStatus>()
            .WithExample(response: $$"""{"mark":4714,"highestVisible":4714,"waiting":null,"alive":true,"errors":[],"projections":[{{Example}}]}""");
        projections.MapGet("/{name}", One).Needs(Read).Answers200<ProjectionStatus>().WithExample(response: Example);
        projections.MapPut("/{name}/pause", Pause).Needs(Write).Answers200<ProjectionStatus>().WithExample("""{"reason":"its table is looked at"}""", Example);
        projections.MapDelete("/{name}/pause", Resume).Needs(Write).Answers204();
    }

    private static async Task<IResult> All(ProjectionDaemon daemon, CancellationToken ct) => Results.Json(await daemon.Status(ct), Json.Options);

    private static async Task<IResult> One(string name, ProjectionActs acts, ProjectionDaemon daemon, CancellationToken ct)
    {
        var projection = acts.Named(name);
        return Results.Json((await daemon.Status(ct)).Projections.Single(p => p.Name == projection.Name), Json.Options);
    }

    /// <summary>It stops within a second on whichever node it runs, and stays so until it is resumed.</summary>
    private static async Task<IResult> Pause(string name, Body<PauseReason>? body, RequestScope scope, ProjectionActs acts, ProjectionDaemon daemon, Answers answers, CancellationToken ct)
    {
        var (projection, reason) = (acts.Named(name), body?.Value.Reason);
        var paused = await acts.Run(projection, scope.JournalFor(Node.Platform, scope.Caller.Actor, reason), new PauseProjection(projection.Version, reason), ct);
        return answers.Told((await daemon.Status(ct)).Projections.Single(p => p.Name == projection.Name), paused.Position);
    }

    private static async Task<IResult> Resume(string name, Journal journal, ProjectionActs acts, Answers answers, CancellationToken ct)
    {
        var projection = acts.Named(name);
        return answers.Gone(await acts.Run(projection, journal, new ResumeProjection(projection.Version), ct));
    }
}
