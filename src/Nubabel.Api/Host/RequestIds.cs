using Microsoft.Extensions.Primitives;

namespace Nubabel.Api.Host;

/// <summary>
/// Every request has an id: the caller's <c>X-Request-ID</c> or a new UUIDv7. It is echoed on every answer, stands in every problem and
/// log line, and goes on events as their correlation id. (<c>traceparent</c> is continued by ASP.NET Core itself.)
/// </summary>
public static class RequestIds
{
    public const string Header = "X-Request-ID";
    private const int LongestId = 128;

    internal static IApplicationBuilder UseRequestIds(this IApplicationBuilder app) => app.Use((context, next) =>
    {
        context.TraceIdentifier = Take(context.Request.Headers[Header]) ?? Guid.CreateVersion7().ToString("D");
        // On starting, because a problem clears what was set before; and so for every header that all answers have.
        context.Response.OnStarting(static state =>
        {
            var http = (HttpContext)state;
            http.Response.Headers[Header] = http.TraceIdentifier;
            return Task.CompletedTask;
        }, context);
        return next(context);
    });

    /// <summary>The caller's id if it is one: 1 to 128 visible ASCII characters, once. Anything else could forge log lines.</summary>
    internal static string? Take(StringValues header) =>
        header is [{ Length: > 0 and <= LongestId } id] && !id.AsSpan().ContainsAnyExceptInRange('!', '~') ? id : null;
}
