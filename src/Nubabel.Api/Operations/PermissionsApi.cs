using System.Security.Cryptography;
using System.Text.Json;
using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;

namespace Nubabel.Api.Operations;

/// <summary>The table of roles and permissions as it is served.</summary>
/// <param name="Roles">The roles that the permissions name.</param>
public sealed record PermissionTable(IReadOnlyList<Permission> Permissions, IReadOnlyList<string> Roles);

/// <summary>The table of roles and permissions. It is the same for everybody and no secret, so it is open.</summary>
public static class PermissionsApi
{
    private static readonly byte[] Table = JsonSerializer.SerializeToUtf8Bytes(new PermissionTable(Permissions.All, [.. Permissions.Roles]), Json.Options);
    private static readonly string Tag = $"\"{Convert.ToHexStringLower(SHA256.HashData(Table))[..16]}\"";

    public static void MapPermissions(this IEndpointRouteBuilder app) =>
        app.MapGet("/api/permissions", Get).WithTags("Permissions").Anonymous().Answers200<PermissionTable>().WithExample(response: """
            {"permissions":[{"name":"devices:write","allows":"register and change the own devices","roles":["owner","admin","member"],"forKeys":false}],
            "roles":["owner","admin","member","viewer","operator"]}
            """);

    private static IResult Get(HttpContext http)
    {
        // It changes with a new version of the server only.
        http.Response.Headers.CacheControl = "public, max-age=300";
        return ETags.IsKnown(http, Tag) ? Results.StatusCode(StatusCodes.Status304NotModified) : Results.Bytes(Table, "application/json");
    }
}
