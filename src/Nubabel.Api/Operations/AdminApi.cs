using Nubabel.Api.Host;
using Nubabel.Store;

namespace Nubabel.Api.Operations;

/// <summary>What operators see of the schema and the projections.</summary>
public static class AdminApi
{
    public static void MapAdmin(this IEndpointRouteBuilder app)
    {
        var admin = app.MapGroup("/api/admin").WithTags("Operations");
        admin.MapGet("/migrations", AllMigrations).Needs("platform:migrations").Answers200<Items<MigrationStatus>>();
        admin.MapGet("/projections", AllProjections).Needs("platform:projections").Answers200<DaemonStatus>();
        admin.MapGet("/projections/{name}", OneProjection).Needs("platform:projections").Answers200<ProjectionStatus>();
    }

    /// <summary>A whole list.</summary>
    public sealed record Items<T>(IReadOnlyList<T> All)
    {
        [System.Text.Json.Serialization.JsonPropertyName("items")]
        public IReadOnlyList<T> All { get; } = All;
    }

    private static async Task<IResult> AllMigrations(Node node, CancellationToken ct) =>
        Results.Json(new Items<MigrationStatus>(await Migrations.Status(node.Database.Api, ct)), Json.Options);

    private static async Task<IResult> AllProjections(ProjectionDaemon daemon, CancellationToken ct) => Results.Json(await daemon.Status(ct), Json.Options);

    private static async Task<IResult> OneProjection(string name, ProjectionDaemon daemon, CancellationToken ct) =>
        (await daemon.Status(ct)).Projections.FirstOrDefault(p => p.Name == name) is { } projection
            ? Results.Json(projection, Json.Options)
            : throw new Problem("projection.missing", "There is no such projection.");
}
