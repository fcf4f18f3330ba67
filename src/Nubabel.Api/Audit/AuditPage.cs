using System.Reflection;
using Nubabel.Api.Host;

namespace Nubabel.Api.Audit;

/// <summary>
/// The audit trail for people, <c>/audit</c>: a page with its own script and style, which talks to the API like any other client. It holds nothing itself, so anybody may load it.
/// </summary>
internal static class AuditPage
{
    public const string Path = "/audit";

    // Nothing in line, nothing from elsewhere, and no text that becomes markup.
    private const string Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

    /// <summary>The page's scripts: <c>audit.js</c> is loaded by the page, and each by those that need it.</summary>
    internal static IReadOnlyList<string> Scripts { get; } = ["audit.js", "api.js", "chain.js", "download.js", "entries.js", "page.js", "proof.js", "search.js"];

    private static readonly Dictionary<string, Asset> Assets = new(
    [
        new(Path, Asset.Of("audit.html", "text/html; charset=utf-8")),
        new(Path + "/audit.css", Asset.Of("audit.css", "text/css; charset=utf-8")),
        new(Path + "/icon.svg", Asset.Of("icon.svg", "image/svg+xml")),
        .. Scripts.Select(name => KeyValuePair.Create($"{Path}/{name}", Asset.Of(name, "text/javascript; charset=utf-8"))),
    ], StringComparer.Ordinal);

    public static void UseAuditPage(this IApplicationBuilder app) => app.Use((context, next) =>
        (HttpMethods.IsGet(context.Request.Method) || HttpMethods.IsHead(context.Request.Method)) && Assets.TryGetValue(context.Request.Path.Value ?? "", out var asset) ? asset.Answer(context) : next(context));

    private sealed record Asset(byte[] Bytes, string Type, string Tag)
    {
        public static Asset Of(string name, string type)
        {
            using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream($"Nubabel.Api.Audit.Page.{name}") ?? throw new InvalidOperationException($"{name} is not in the build.");
            var bytes = new byte[stream.Length];
            stream.ReadExactly(bytes);
            // A build has one, and what is in it changes with nothing else.
            return new Asset(bytes, type, $"\"{Assembly.GetExecutingAssembly().ManifestModule.ModuleVersionId:N}\"");
        }

        public async Task Answer(HttpContext context)
        {
            var response = context.Response;
            response.Headers.ContentSecurityPolicy = Policy;
            response.Headers["Cross-Origin-Opener-Policy"] = "same-origin";
            response.Headers.ETag = Tag;
            response.Headers.CacheControl = "no-cache";
            if (ETags.IsKnown(context, Tag))
            {
                response.StatusCode = StatusCodes.Status304NotModified;
                return;
            }
            (response.ContentType, response.ContentLength) = (Type, Bytes.Length);
            if (!HttpMethods.IsHead(context.Request.Method)) await response.Body.WriteAsync(Bytes, context.RequestAborted);
        }
    }
}
