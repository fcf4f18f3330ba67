namespace Nubabel.Api.Host;

/// <summary>Headers that keep a browser from doing more with an answer than reading it. Set only where an endpoint has not said otherwise.</summary>
public static class SecurityHeaders
{
    private const string NothingAllowed = "default-src 'none'; frame-ancestors 'none'";

    internal static IApplicationBuilder UseSecurityHeaders(this IApplicationBuilder app) => app.Use((context, next) =>
    {
        context.Response.OnStarting(static state =>
        {
            Apply((HttpContext)state);
            return Task.CompletedTask;
        }, context);
        return next(context);
    });

    private static void Apply(HttpContext context)
    {
        var headers = context.Response.Headers;
        headers.XContentTypeOptions = "nosniff";
        headers.XFrameOptions = "DENY";
        headers["Referrer-Policy"] = "no-referrer";
        headers["Cross-Origin-Resource-Policy"] = "same-origin";
        if (headers.ContentSecurityPolicy.Count == 0) headers.ContentSecurityPolicy = NothingAllowed;
        // What has a version may be kept and asked about again (304); anything else may hold secrets and is kept nowhere.
        if (headers.CacheControl.Count == 0) headers.CacheControl = headers.ETag.Count > 0 ? "private, no-cache" : "no-store";
        if (context.Request.IsHttps) headers.StrictTransportSecurity = "max-age=31536000; includeSubDomains";
    }
}
