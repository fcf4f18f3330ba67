using Nubabel.Api.Host;
using Nubabel.Store;

namespace Nubabel.Api.Operations;

/// <summary>What operators see of the schema.</summary>
public static class AdminApi
{
    public static void MapAdmin(this IEndpointRouteBuilder app) =>
        app.MapGroup("/api/admin").WithTags("Operations").MapGet("/migrations", AllMigrations).Needs("platform:migrations").Answers200<Listed<MigrationStatus>>();

    private static async Task<IResult> AllMigrations(Node node, CancellationToken ct) =>
        Results.Json(new Listed<MigrationStatus>(await Migrations.Status(node.Database.Api, ct)), Json.Options);
}
