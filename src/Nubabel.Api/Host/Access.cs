namespace Nubabel.Api.Host;

/// <summary>What an endpoint asks of its caller. Every endpoint carries one; a test walks them all.</summary>
/// <param name="Permission">Null: anybody, signed in or not.</param>
/// <param name="EvenEnded">A session that has ended counts too: for ending it, which may be repeated.</param>
/// <param name="OnOneself">Asked instead where the path's <c>userId</c> is the caller's own: one may leave without being allowed to remove others.</param>
/// <param name="Or">A wider permission that lets in as well.</param>
public sealed record Access(string? Permission, bool EvenEnded = false, string? OnOneself = null, string? Or = null)
{
    /// <summary>Whose tokens count here.</summary>
    public Realm Realm => Permission?.StartsWith("platform:", StringComparison.Ordinal) == true ? Realm.Platform : Realm.Organization;

    /// <summary>What this caller needs for this path; null where anybody may.</summary>
    public string? Of(Caller caller, RouteValueDictionary path) =>
        OnOneself is not null && !caller.IsKey && caller.Realm == Realm && path["userId"] is string user && user == caller.Id.ToString("D") ? OnOneself
        : Or is not null && caller.May(Or) ? Or
        : Permission;
}

/// <summary>A route that no rate limit keeps away from: a load balancer must always hear how a node is.</summary>
public sealed record Unlimited;

/// <summary>
/// A route whose caller shows a signature of the body instead of a credential: it is metered by who signs, once that is certain, and an <c>Idempotency-Key</c>, which is not
/// signed, means nothing to it.
/// </summary>
public sealed record SignedRoute;

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

    /// <summary>The caller must have this permission, or, where the path's <c>userId</c> is the own, the other.</summary>
    public static TBuilder Needs<TBuilder>(this TBuilder route, string permission, string onOneself) where TBuilder : IEndpointConventionBuilder =>
        route.WithMetadata(new Access(permission, OnOneself: onOneself));

    /// <summary>The caller must have this permission, or the wider one.</summary>
    public static TBuilder NeedsOr<TBuilder>(this TBuilder route, string permission, string wider) where TBuilder : IEndpointConventionBuilder => route.WithMetadata(new Access(permission, Or: wider));

    /// <summary>The caller must have been signed in; whether the session still lives does not matter.</summary>
    public static TBuilder NeedsEvenEnded<TBuilder>(this TBuilder route, string permission) where TBuilder : IEndpointConventionBuilder => route.WithMetadata(new Access(permission, EvenEnded: true));

    /// <summary>Never answered with 429, and never counted.</summary>
    public static TBuilder WithoutRateLimit<TBuilder>(this TBuilder route) where TBuilder : IEndpointConventionBuilder => route.WithMetadata(new Unlimited());

    /// <summary>The caller is whoever has signed the body.</summary>
    public static TBuilder SignedByProvider<TBuilder>(this TBuilder route) where TBuilder : IEndpointConventionBuilder => route.WithMetadata(new SignedRoute());

    /// <summary>Open to anybody.</summary>
    public static TBuilder Anonymous<TBuilder>(this TBuilder route) where TBuilder : IEndpointConventionBuilder => route.WithMetadata(new Access(null));
}
