using System.Reflection;
using Nubabel.Api.Flags;
using Nubabel.Api.Host;
using Nubabel.Api.Host.Mail;
using Nubabel.Store;

namespace Nubabel.Api.Operations;

/// <summary>One part of the system, as a load balancer and an operator see it.</summary>
public sealed record Component(string Status, string? Detail = null, long? Lag = null, double? LagSeconds = null);

/// <summary>The state of this node.</summary>
public sealed record Health(string Status, string Service, string Version, IReadOnlyDictionary<string, Component> Components, DateTimeOffset Timestamp);

/// <summary>
/// Health as load balancers need it: live while the process runs; ready while it can do its work. A part that is slow or optional degrades (200), only what
/// makes requests fail is unhealthy (503).
/// </summary>
public static class HealthApi
{
    /// <summary>From this lag on a read model counts as degraded.</summary>
    private const double LagSeconds = 5;

    private static readonly TimeSpan TailSilence = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan ProbeLimit = TimeSpan.FromSeconds(3);
    private static readonly string Version = typeof(HealthApi).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "0";

    public static void MapHealth(this IEndpointRouteBuilder app)
    {
        app.MapGet("/health/live", (TimeProvider time) => new Health("healthy", "nubabel-backend", Version, new Dictionary<string, Component>(), time.GetUtcNow()))
            .WithTags("Health").Anonymous().WithoutRateLimit().Answers200<Health>();
        app.MapGet("/health/ready", Ready).WithTags("Health").Anonymous().WithoutRateLimit().Answers200<Health>();
        app.MapGet("/health", Ready).WithTags("Health").Anonymous().WithoutRateLimit().Answers200<Health>();
    }

    private static async Task<IResult> Ready(HttpContext context, Node node, Settings settings, ProjectionDaemon daemon, Tail tail, RevokedSessions revoked, Evaluation flags, Post post, CancellationToken ct)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        limit.CancelAfter(ProbeLimit);
        var components = new Dictionary<string, Component>
        {
            ["database"] = await Database(node, limit.Token),
            ["projections"] = await Projections(daemon, settings.DaemonEnabled, limit.Token),
            ["liveTail"] = Tailing(tail, revoked.IsLoaded && flags.IsLoaded),
            ["mail"] = Mailing(post),
        };
        var worst = components.Values.Any(c => c.Status == "unhealthy") ? "unhealthy" : components.Values.Any(c => c.Status == "degraded") ? "degraded" : "healthy";
        context.Response.Headers.CacheControl = "no-store";
        var health = new Health(worst, "nubabel-backend", Version, components, node.Time.GetUtcNow());
        return Results.Json(health, Json.Options, statusCode: worst == "unhealthy" ? StatusCodes.Status503ServiceUnavailable : StatusCodes.Status200OK);
    }

    private static async Task<Component> Database(Node node, CancellationToken ct)
    {
        try
        {
            await using var command = node.Database.Api.CreateCommand("select 1");
            await command.ExecuteScalarAsync(ct);
            return new Component("healthy");
        }
        catch (Exception e) when (e is Npgsql.NpgsqlException or OperationCanceledException or TimeoutException)
        {
            return new Component("unhealthy", "The database does not answer.");
        }
    }

    private static async Task<Component> Projections(ProjectionDaemon daemon, bool enabled, CancellationToken ct)
    {
        DaemonStatus status;
        try
        {
            status = await daemon.Status(ct);
        }
        catch (Exception e) when (e is Npgsql.NpgsqlException or OperationCanceledException or TimeoutException)
        {
            return new Component("degraded", "The state of the read models cannot be read.");
        }
        var lag = status.Projections.Max(p => p.Lag);
        var seconds = status.Projections.Max(p => p.LagSeconds);
        string? detail = enabled && !status.Alive ? "A loop of this node's daemon has ended."
            : status.Waiting is { } gap ? $"The mark waits at {status.Mark} for an open transaction: {string.Join("; ", gap.Holders.Select(Named))}"
            : status.Projections.FirstOrDefault(p => p.State is ProjectionState.Stopped or ProjectionState.Parked or ProjectionState.Failing) is { } bad ? $"{bad.Name} is {bad.State.ToString().ToLowerInvariant()}."
            : seconds > LagSeconds ? "Read models are behind."
            : null;
        return new Component(detail is null ? "healthy" : "degraded", detail, lag, Math.Round(seconds, 3));
    }

    // What an operator needs to find the session, and nothing of what it does.
    private static string Named(Holder holder) =>
        holder.Pid is { } pid ? $"pid {pid} ({holder.ApplicationName ?? "no name"}), open for {holder.Age?.TotalSeconds ?? 0:0} s" : $"prepared transaction {holder.Gid}";

    private static Component Mailing(Post post) =>
        !post.IsConfigured ? new Component("degraded", "Mail is not configured: Mail__Host is not set.")
        : post.Fault is { } fault ? new Component("degraded", $"The last letter was not delivered: {fault}")
        : new Component("healthy");

    private static Component Tailing(Tail tail, bool loaded) =>
        !loaded ? new Component("unhealthy", "The live tail has not loaded yet.")
        : tail.Status is var status && (!status.Alive || status.SilentFor > TailSilence) ? new Component("degraded", "The live tail does not hear the log.")
        : new Component("healthy");
}
