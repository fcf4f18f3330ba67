using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Store;

namespace Nubabel.Api.Operations;

/// <summary>The processes that serve this database, as operators see them.</summary>
public static class NodesApi
{
    public static void MapNodes(this IEndpointRouteBuilder app) =>
        app.MapGet("/api/admin/nodes", All).WithTags("Operations").Needs("platform:projections").Answers200<Listed<NodeStatus>>().WithExample(response: """
            {"items":[{"name":"nubabel web-1:7-3f9a","started":"2026-03-01T08:00:00Z","seen":"2026-03-01T09:30:00.25Z","silentSeconds":0.25,"alive":true,
            "owns":["devices:All","sessions:All"],"runs":["audit:All","devices:All","sessions:All"]}]}
            """);

    private static async Task<IResult> All(ProjectionDaemon daemon, CancellationToken ct) =>
        Results.Json(new Listed<NodeStatus>(await daemon.Nodes(ct)), Json.Options);
}
