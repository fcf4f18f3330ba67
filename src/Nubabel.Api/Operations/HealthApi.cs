using Nubabel.Api.Host;

namespace Nubabel.Api.Operations;

/// <summary>One part of the system, as a load balancer and an operator see it.</summary>
/// <param name="Depth">Messages that are not done; an estimate where there are many.</param>
public sealed record Component(string Status, string? Detail = null, long? Lag = null, double? LagSeconds = null, long? Depth = null);

/// <summary>The state of this node.</summary>
public sealed record Health(string Status, string Service, string Version, IReadOnlyDictionary<string, Component> Components, DateTimeOffset Timestamp);

/// <summary>
/// Health as load balancers need it: live while the process runs; ready while it can do its work. Healthy and degraded are 200, unhealthy is 503.
/// </summary>
public static class HealthApi
{
    public static void MapHealth(this IEndpointRouteBuilder app)
    {
        app.MapGet("/health/live", (TimeProvider time) => Readiness.Told("healthy", [], time))
            .WithTags("Health").Anonymous().WithoutRateLimit().Answers200<Health>();
        app.MapGet("/health/ready", Ready).WithTags("Health").Anonymous().WithoutRateLimit().Answers200<Health>();
        app.MapGet("/health", Ready).WithTags("Health").Anonymous().WithoutRateLimit().Answers200<Health>();
    }

    private static async Task<IResult> Ready(HttpContext context, Readiness readiness, CancellationToken ct)
    {
        var health = await readiness.Look().WaitAsync(ct);
        context.Response.Headers.CacheControl = "no-store";
        return Results.Json(health, Json.Options, statusCode: health.Status == "unhealthy" ? StatusCodes.Status503ServiceUnavailable : StatusCodes.Status200OK);
    }
}
