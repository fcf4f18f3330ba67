using System.Globalization;
using Microsoft.Extensions.Primitives;
using Microsoft.Net.Http.Headers;

namespace Nubabel.Api.Host;

/// <summary>Entity tags: the version of a resource's stream, strong and quoted. What a client once saw it can make its condition.</summary>
public static class ETags
{
    public static string Of(long version) => string.Create(CultureInfo.InvariantCulture, $"\"{version}\"");

    /// <summary>
    /// The caller's condition on the version it changes, null for none. <c>*</c> holds for whatever exists; a weak tag never does, since
    /// only the very version counts here.
    /// </summary>
    public static Func<long, bool>? IfMatch(HttpRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        if (request.Headers.IfMatch.Count == 0) return null;
        var tags = Parse(request.Headers.IfMatch, "If-Match");
        return version => version > 0 && tags.Any(t => t.Equals(EntityTagHeaderValue.Any) || (!t.IsWeak && t.Tag == Of(version)));
    }

    /// <summary>Sets the answer's <c>ETag</c>, and says whether the caller has just that already (304).</summary>
    public static bool IsKnown(HttpContext context, long version) => IsKnown(context, Of(version));

    /// <inheritdoc cref="IsKnown(HttpContext, long)"/>
    /// <param name="tag">A quoted strong tag, for what has no stream version.</param>
    public static bool IsKnown(HttpContext context, string tag)
    {
        ArgumentNullException.ThrowIfNull(context);
        context.Response.Headers.ETag = tag;
        var header = context.Request.Headers.IfNoneMatch;
        // Weak comparison (RFC 9110 §13.1.2): a cache between us may have weakened the tag.
        return header.Count > 0 && Parse(header, "If-None-Match").Any(t => t.Equals(EntityTagHeaderValue.Any) || t.Tag == tag);
    }

    /// <summary>The caller's condition on what has no stream version.</summary>
    /// <param name="tag">The quoted strong tag that it has now.</param>
    /// <exception cref="Problem">The condition names another one.</exception>
    public static void RequireMatch(HttpRequest request, string tag)
    {
        ArgumentNullException.ThrowIfNull(request);
        if (request.Headers.IfMatch.Count == 0 || Parse(request.Headers.IfMatch, "If-Match").Any(t => t.Equals(EntityTagHeaderValue.Any) || (!t.IsWeak && t.Tag == tag))) return;
        throw new Problem("resource.version_mismatch", "The resource has changed since; ETag shows the current version.") { Headers = new Dictionary<string, string> { ["ETag"] = tag } };
    }

    private static IList<EntityTagHeaderValue> Parse(StringValues header, string name) =>
        EntityTagHeaderValue.TryParseStrictList([.. header.OfType<string>()], out var tags) && tags.Count > 0 && (tags.Count == 1 || !tags.Contains(EntityTagHeaderValue.Any))
            ? tags
            : throw new Problem("etag.invalid", $"{name} is * or a list of quoted entity tags.");
}
