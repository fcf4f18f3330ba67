using System.Collections.Frozen;
using Nubabel.Domain.Users;

namespace Nubabel.Api.Host;

/// <summary>The one table of roles and permissions. Endpoints name permissions, never roles.</summary>
public static class Permissions
{
    private static readonly FrozenDictionary<string, FrozenSet<string>> ByRole = new Dictionary<string, string[]>
    {
        ["owner"] =
        [
            "user:read", "user:write", "sessions:read", "sessions:write", "organization:read", "organization:write",
            "devices:read", "devices:write", "flags:read", "audit:read", "audit:read-own",
        ],
        ["member"] =
        [
            "user:read", "user:write", "sessions:read", "sessions:write", "organization:read",
            "devices:read", "devices:write", "flags:read", "audit:read-own",
        ],
        ["operator"] = ["platform:flags-read", "platform:flags-write", "platform:migrations", "platform:projections", "platform:sessions"],
    }.ToFrozenDictionary(p => p.Key, p => p.Value.ToFrozenSet());

    public static IEnumerable<string> Roles => ByRole.Keys;

    /// <summary>A role as tokens and the table name it.</summary>
    public static string Name(Role role) => System.Text.Json.JsonNamingPolicy.CamelCase.ConvertName(role.ToString());

    public static FrozenSet<string> Of(string role) => ByRole.GetValueOrDefault(role, FrozenSet<string>.Empty);
}

/// <summary>What an endpoint asks of its caller. Every endpoint carries one; a test walks them all.</summary>
/// <param name="Permission">Null: anybody, signed in or not.</param>
/// <param name="EvenEnded">A session that has ended counts too: for ending it, which may be repeated.</param>
public sealed record Access(string? Permission, bool EvenEnded = false)
{
    /// <summary>Whose tokens count here.</summary>
    public Realm Realm => Permission?.StartsWith("platform:", StringComparison.Ordinal) == true ? Realm.Platform : Realm.Organization;
}

/// <summary>The caller is known and may not.</summary>
public static class PermissionDenied
{
    public static Problem Of(string required) => new("permission.denied", "The credential lacks the permission that the route needs.")
    {
        Members = new Dictionary<string, object?> { ["required"] = required },
    };
}

/// <summary>How routes say what they ask.</summary>
public static class AccessRoutes
{
    /// <summary>The caller must be signed in and have this permission.</summary>
    public static TBuilder Needs<TBuilder>(this TBuilder route, string permission) where TBuilder : IEndpointConventionBuilder => route.WithMetadata(new Access(permission));

    /// <summary>The caller must have been signed in; whether the session still lives does not matter.</summary>
    public static TBuilder NeedsEvenEnded<TBuilder>(this TBuilder route, string permission) where TBuilder : IEndpointConventionBuilder => route.WithMetadata(new Access(permission, EvenEnded: true));

    /// <summary>Open to anybody.</summary>
    public static TBuilder Anonymous<TBuilder>(this TBuilder route) where TBuilder : IEndpointConventionBuilder => route.WithMetadata(new Access(null));
}
