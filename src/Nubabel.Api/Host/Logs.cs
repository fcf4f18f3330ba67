using System.Diagnostics;
using Microsoft.Extensions.Configuration.Memory;
using Microsoft.Extensions.Logging.Console;

namespace Nubabel.Api.Host;

/// <summary>Where log entries go, and the one entry that every request leaves.</summary>
public static partial class Logs
{
    private const string ServiceName = "nubabel-backend";
    private const string Unknown = "(unknown)";

    internal static void AddLogs(this WebApplicationBuilder builder, Settings settings)
    {
        // First in line, so that anybody's configuration comes after it. ASP.NET Core's own request entries hold query strings.
        builder.Configuration.Sources.Insert(0, new MemoryConfigurationSource
        {
            InitialData = new Dictionary<string, string?>
            {
                ["Logging:LogLevel:Default"] = "Information",
                ["Logging:LogLevel:Microsoft.AspNetCore"] = "Warning",
                ["Logging:LogLevel:Npgsql"] = "Warning",
                // A start that fails is told in one line by the command; the host would add its stack.
                ["Logging:LogLevel:Microsoft.Extensions.Hosting.Internal.Host"] = "Critical",
            },
        });
        var form = settings.IsDevelopment ? LogLinesForm.Text : LogLinesForm.Json;
        var service = builder.Configuration["OTEL_SERVICE_NAME"] ?? ServiceName;
        builder.Services.AddHttpContextAccessor();
        // The builder comes with a console of its own, and each line would be written twice.
        foreach (var console in builder.Services.Where(s => s.ImplementationType == typeof(ConsoleLoggerProvider)).ToArray()) builder.Services.Remove(console);
        builder.Services.AddSingleton<ILoggerProvider>(sp => new LogOutput(
            new LogLines(sp.GetRequiredService<IHttpContextAccessor>(), sp.GetService<TimeProvider>() ?? TimeProvider.System, form, service), Console.OpenStandardOutput()));
        builder.Logging.AddConfiguration(builder.Configuration.GetSection("Logging"));
    }

    /// <summary>One entry per request, when it has ended. It names the route and not the URL, whose query may hold anything.</summary>
    internal static IApplicationBuilder UseAccessLog(this IApplicationBuilder app)
    {
        var log = app.ApplicationServices.GetRequiredService<ILoggerFactory>().CreateLogger("Nubabel.Access");
        return app.Use(async (context, next) =>
        {
            var begin = Stopwatch.GetTimestamp();
            try
            {
                await next(context);
            }
            finally
            {
                var milliseconds = Math.Round(Stopwatch.GetElapsedTime(begin).TotalMilliseconds, 2);
                var (route, path) = Named(context);
                // Behind a route's pattern may stand anything that somebody typed; what was found is an id.
                if (context.Response.StatusCode >= StatusCodes.Status400BadRequest) path = route;
                Answered(log, context.Request.Method, route, path, context.Response.StatusCode, milliseconds);
            }
        });
    }

    /// <summary>The route's pattern and, of a known route, the path: its variable parts are ids and keys. An unknown path may be anything.</summary>
    private static (string Route, string Path) Named(HttpContext context) =>
        context.GetEndpoint() is RouteEndpoint endpoint && endpoint.RoutePattern.RawText is { } pattern ? ("/" + pattern.Trim('/'), context.Request.Path.Value ?? "/") : (Unknown, Unknown);

    [LoggerMessage(3, LogLevel.Information, "{Method} {Path} {Status} in {LatencyMs} ms ({Route})", EventName = "request")]
    private static partial void Answered(ILogger log, string method, string route, string path, int status, double latencyMs);
}
