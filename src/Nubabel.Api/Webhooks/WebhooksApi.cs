using System.Text.Json;
using Microsoft.AspNetCore.Http.Metadata;
using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;

namespace Nubabel.Api.Webhooks;

/// <summary>Where providers send their webhooks. Who knows the secret is let in, and nobody else: no route here knows a session or a key.</summary>
public static class WebhooksApi
{
    private const string Example = """{"id":"5f0c6c0e-1f3b-8a52-9d7c-3a4b5c6d7e8f"}""";

    public static void MapWebhooks(this IEndpointRouteBuilder app)
    {
        var webhooks = app.MapGroup("/api/webhooks").WithTags("Webhooks");
        Said(webhooks.MapPost("/{provider}", Receive), "A webhook of a provider of the platform.");
        Said(webhooks.MapPost("/{provider}/{address}", ReceiveFor), "A webhook of an organization's source, at the path that `/api/webhook-sources` shows.");
    }

    private static void Said(RouteHandlerBuilder route, string what) => route.Anonymous().SignedByProvider().Answers200<TakenWebhook>()
        .WithDescription($"{what} The body is whatever the provider sends; the headers that sign it are those of its preset. Any repetition is answered like the first.")
        .WithExample("""{"id":"evt_7","type":"invoice.paid"}""", Example)
        .WithMetadata(new AcceptsMetadata(["*/*"], typeof(JsonElement), isOptional: true));

    private static Task<IResult> Receive(string provider, HttpContext http, RequestScope scope, Intake intake, CancellationToken ct) => intake.Take(http, scope, provider, null, ct);

    private static Task<IResult> ReceiveFor(string provider, string address, HttpContext http, RequestScope scope, Intake intake, CancellationToken ct) =>
        intake.Take(http, scope, provider, address, ct);
}
