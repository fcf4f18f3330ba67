using System.Collections.Frozen;
using Microsoft.Net.Http.Headers;

namespace Nubabel.Api.Host;

/// <summary>
/// Which web pages may call. Without an <c>Origin</c> or from the server's own, always; from <c>http://localhost:*</c> in Development; then
/// as <c>Cors:Origins</c> says; anything else is refused outright (403), so that a page cannot even cause an effect it may not read.
/// </summary>
internal sealed class Cors(IReadOnlyList<string> origins, bool development)
{
    private const string Methods = "GET, HEAD, POST, PUT, PATCH, DELETE";
    private const string MaxAgeSeconds = "600";

    private const string RequestHeaders =
        "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Nubabel-Min-Position, Nubabel-Purpose, X-Api-Key, X-Request-ID, traceparent, tracestate";

    private const string AnswerHeaders = "ETag, Location, Nubabel-Position, X-Request-ID, Retry-After, RateLimit, RateLimit-Policy, Link";

    private readonly FrozenSet<string> allowed = origins.ToFrozenSet(StringComparer.OrdinalIgnoreCase);

    public Task Invoke(HttpContext context, RequestDelegate next)
    {
        var origin = context.Request.Headers.Origin;
        if (origin.Count == 0) return next(context);
        if (origin is not [{ Length: > 0 } only] || !MayCall(only, context.Request))
            throw new Problem("cors.origin_refused", "Calls from this web origin are not allowed.") { Headers = new Dictionary<string, string> { [HeaderNames.Vary] = HeaderNames.Origin } };
        context.Response.OnStarting(static state =>
        {
            var (http, origin) = ((HttpContext, string))state;
            http.Response.Headers.AccessControlAllowOrigin = origin;
            http.Response.Headers.AccessControlExposeHeaders = AnswerHeaders;
            http.Response.Headers.Append(HeaderNames.Vary, HeaderNames.Origin);
            return Task.CompletedTask;
        }, (context, only));
        return IsPreflight(context.Request) ? Preflight(context.Response) : next(context);
    }

    private bool MayCall(string origin, HttpRequest request) =>
        origin.Equals($"{request.Scheme}://{request.Host}", StringComparison.OrdinalIgnoreCase) || (development && IsLocal(origin)) || allowed.Contains(origin);

    private static bool IsLocal(string origin) => Uri.TryCreate(origin, UriKind.Absolute, out var uri)
        && uri is { Scheme: "http", Host: "localhost", AbsolutePath: "/", Query: "", Fragment: "", UserInfo: "" };

    private static bool IsPreflight(HttpRequest request) =>
        HttpMethods.IsOptions(request.Method) && request.Headers.AccessControlRequestMethod.Count > 0;

    private static Task Preflight(HttpResponse response)
    {
        response.StatusCode = StatusCodes.Status204NoContent;
        response.Headers.AccessControlAllowMethods = Methods;
        response.Headers.AccessControlAllowHeaders = RequestHeaders;
        response.Headers.AccessControlMaxAge = MaxAgeSeconds;
        return Task.CompletedTask;
    }
}
