using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Http.Timeouts;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Nubabel.Api.Host;

/// <summary>
/// The bounds of URL, headers and time. Kestrel's own stand above ours, since it says less and closes the connection: it is
/// the wall, this is the fence with the sign on it.
/// </summary>
public static class Bounds
{
    private const int KestrelFactor = 4;
    private const int MostHeaders = 250;

    internal static void Configure(KestrelServerOptions kestrel, Limits limits)
    {
        kestrel.AddServerHeader = false;
        kestrel.Limits.MaxRequestBodySize = limits.BodyBytes + 1;
        kestrel.Limits.MaxRequestLineSize = limits.UrlBytes * KestrelFactor;
        kestrel.Limits.MaxRequestHeadersTotalSize = limits.HeaderBytes * KestrelFactor;
        kestrel.Limits.MaxRequestHeaderCount = MostHeaders;
        // A buffer smaller than the line it must hold is refused at the start.
        kestrel.Limits.MaxRequestBufferSize = Math.Max(kestrel.Limits.MaxRequestBufferSize ?? 0, limits.UrlBytes * KestrelFactor);
    }

    /// <summary>Ends a request after its time. A stream opts out by <c>DisableRequestTimeout()</c>.</summary>
    internal static void Configure(RequestTimeoutOptions timeouts, Limits limits) => timeouts.DefaultPolicy = new RequestTimeoutPolicy
    {
        Timeout = TimeSpan.FromSeconds(limits.RequestSeconds),
        TimeoutStatusCode = StatusCodes.Status504GatewayTimeout,
        WriteTimeoutResponse = context => Problems.Write(context, new Problem("request.timeout", $"The request ran longer than {limits.RequestSeconds} s.")),
    };

    internal static IApplicationBuilder UseBounds(this IApplicationBuilder app, Limits limits) => app.Use((context, next) =>
    {
        var target = context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        if (target.Length > limits.UrlBytes) throw new Problem("request.url_too_long", $"Path and query are longer than {limits.UrlBytes} bytes.");
        if (Size(context.Request.Headers) > limits.HeaderBytes)
            throw new Problem("request.headers_too_large", $"The headers together are larger than {limits.HeaderBytes} bytes.");
        return next(context);
    });

    /// <summary>As they came over the wire in HTTP/1.1: each line with its colon, space and line end.</summary>
    private static int Size(IHeaderDictionary headers)
    {
        const int around = 4;
        var bytes = 0;
        foreach (var (name, values) in headers)
            foreach (var value in values)
                bytes += name.Length + (value?.Length ?? 0) + around;
        return bytes;
    }
}
