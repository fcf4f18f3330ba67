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
        webhooks.MapPost("/{provider}", Receive).Anonymous().SignedByProvider().Answers200<TakenWebhook>().WithExample(response: Example);
        webhooks.MapPost("/{provider}/{address}", ReceiveFor).Anonymous().SignedByProvider().Answers200<TakenWebhook>().WithExample(response: Example);
    }

    private static Task<IResult> Receive(string provider, HttpContext http, RequestScope scope, Intake intake, CancellationToken ct) => intake.Take(http, scope, provider, null, ct);

    private static Task<IResult> ReceiveFor(string provider, string address, HttpContext http, RequestScope scope, Intake intake, CancellationToken ct) =>
        intake.Take(http, scope, provider, address, ct);
}
