using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Primitives;
using Nubabel.Domain;

namespace Nubabel.Api.Host;

/// <summary>Query parameters that an endpoint reads by hand; those of its handler's own parameters need no mention.</summary>
public sealed record QueryNames(IReadOnlyList<string> Names);

/// <summary>
/// Checks path and query against what the endpoint declares before it runs: an unknown query parameter is 400 (a typing error in a filter
/// must not widen the answer), and a malformed id is the same 404 as an unknown one. It stands behind the check of credentials, so that
/// nobody learns anything about a route by asking badly.
/// </summary>
public static class StrictRoutes
{
    // Endpoints live as long as the application; the table follows them.
    private static readonly ConditionalWeakTable<Endpoint, Shape> Shapes = [];

    public static IApplicationBuilder UseStrictRoutes(this IApplicationBuilder app) => app.Use((context, next) =>
    {
        if (context.GetEndpoint() is RouteEndpoint endpoint && Shapes.GetValue(endpoint, e => new Shape((RouteEndpoint)e)) is { IsOurs: true } shape)
            shape.Check(context);
        return next(context);
    });

    public static TBuilder WithQuery<TBuilder>(this TBuilder route, params string[] names) where TBuilder : IEndpointConventionBuilder =>
        route.WithMetadata(new QueryNames(names));

    /// <summary>The code with which a slice says that something is not there: <c>device.missing</c>.</summary>
    internal static Refused Missing(string kind) =>
        new(RefusalKind.Missing, kind.Replace('-', '_') + ".missing", $"There is no such {kind.Replace('-', ' ')}.");

    private sealed class Shape
    {
        private readonly HashSet<string> query;
        private readonly HashSet<string> lists;
        private readonly (string Name, string Kind)[] ids;

        public Shape(RouteEndpoint endpoint)
        {
            // A handler written as a method; what the framework maps itself (a file, a page) has none and is left alone.
            IsOurs = endpoint.Metadata.GetMetadata<System.Reflection.MethodInfo>() is not null;
            var inPath = endpoint.RoutePattern.Parameters.Select(p => p.Name).ToHashSet(StringComparer.OrdinalIgnoreCase);
            var parameters = endpoint.Metadata.OfType<IParameterBindingMetadata>().ToArray();
            var inQuery = parameters.Where(p => !inPath.Contains(p.Name) && IsQuery(p)).ToArray();
            query = inQuery.Select(QueryName).Concat(endpoint.Metadata.OfType<QueryNames>().SelectMany(q => q.Names)).ToHashSet(StringComparer.Ordinal);
            lists = inQuery.Where(p => p.ParameterInfo.ParameterType.IsArray || p.ParameterInfo.ParameterType == typeof(StringValues)).Select(QueryName).ToHashSet(StringComparer.Ordinal);
            ids = [.. parameters.Where(p => inPath.Contains(p.Name) && KindOf(p.ParameterInfo.ParameterType) is not null).Select(p => (p.Name, KindOf(p.ParameterInfo.ParameterType)!))];
        }

        public bool IsOurs { get; }

        public void Check(HttpContext context)
        {
            foreach (var (name, kind) in ids)
                if (context.Request.RouteValues[name] is string text && !Id<object>.TryParse(text, null, out _)) throw Missing(kind);
            foreach (var (name, values) in context.Request.Query)
            {
                if (!query.Contains(name)) throw Problem.At(Bounded(name), "query.unknown", "The route does not know this query parameter.");
                if (name != "cursor" && values.Any(value => value?.Contains('\0', StringComparison.Ordinal) == true)) throw Problem.At(name, "query.invalid", "The parameter holds U+0000.");
                if (values.Count > 1 && !lists.Contains(name)) throw Problem.At(name, "query.invalid", "The parameter stands more than once.");
            }
        }

        private static string Bounded(string name) => name.Length <= JsonScan.LongestField ? name : name[..JsonScan.LongestField] + "…";

        private static string QueryName(IParameterBindingMetadata p) =>
            p.ParameterInfo.GetCustomAttributes(true).OfType<IFromQueryMetadata>().FirstOrDefault()?.Name ?? p.Name;

        private static bool IsQuery(IParameterBindingMetadata p)
        {
            var attributes = p.ParameterInfo.GetCustomAttributes(true);
            if (attributes.OfType<IFromQueryMetadata>().Any()) return true;
            if (attributes.Any(a => a is IFromHeaderMetadata or IFromServiceMetadata or IFromBodyMetadata or IFromRouteMetadata or IFromFormMetadata) || p.HasBindAsync) return false;
            var type = p.ParameterInfo.ParameterType;
            return p.HasTryParse || type == typeof(string) || type == typeof(string[]) || type == typeof(StringValues);
        }

        /// <summary>The kind of aggregate that an id parameter names.</summary>
        private static string? KindOf(Type type) => type.IsGenericType && type.GetGenericTypeDefinition() == typeof(Id<>)
            ? (string?)type.GetGenericArguments()[0].GetProperty("Kind")?.GetValue(null) ?? "resource"
            : null;
    }
}
