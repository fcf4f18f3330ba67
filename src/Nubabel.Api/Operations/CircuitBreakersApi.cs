using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Projections.Consumers;

namespace Nubabel.Api.Operations;

/// <summary>Circuit breakers, for operators: what has failed last and is called no more for a while. They are the same on all nodes.</summary>
public static class CircuitBreakersApi
{
    /// <summary>So many are shown; open ones come first.</summary>
    private const int Most = 200;

    public static void MapCircuitBreakers(this IEndpointRouteBuilder app) =>
        app.MapGet("/api/admin/circuit-breakers", List).WithTags("Operations").Needs("platform:circuit-breakers").Answers200<Listed<CircuitBreakerRow>>().WithExample(response: """
            {"items":[{"organization":"01936d5e-5a0f-7a11-8e2b-0c4d5e6f7081","name":"consumer-01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e55","state":"open","failures":7,
            "since":"2026-11-21T08:15:30.123456Z","last":"2026-11-21T08:20:11.004210Z","until":"2026-11-21T08:21:13.51Z","error":"timeout"}]}
            """);

    private static async Task<IResult> List(Node node, CancellationToken ct) => Results.Json(new Listed<CircuitBreakerRow>(await CircuitBreakers.All(node.Everyones, Most, ct)), Json.Options);
}
