using System.Diagnostics;
using Microsoft.AspNetCore.HttpOverrides;
using Nubabel.Api.Audit;
using Nubabel.Api.Host.OpenApi;

namespace Nubabel.Api.Host;

/// <summary>What is true for every request, in the order it becomes true. Program.cs adds credentials and routes below it.</summary>
public static class Edge
{
    public static WebApplicationBuilder AddEdge(this WebApplicationBuilder builder, Settings settings)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(settings);
        builder.Services.AddSingleton(settings);
        builder.AddLogs(settings);
        builder.Services.AddDocument();
        builder.WebHost.ConfigureKestrel(kestrel => Bounds.Configure(kestrel, settings.Limits));
        builder.Services.AddRequestTimeouts(timeouts => Bounds.Configure(timeouts, settings.Limits));
        builder.Services.ConfigureHttpJsonOptions(json => Json.Configure(json.SerializerOptions));
        // In every environment alike: a parameter that cannot be read is thrown, so that it is answered with a problem like all else.
        builder.Services.Configure<RouteHandlerOptions>(routes => routes.ThrowOnBadRequest = true);
        return builder;
    }

    public static WebApplication UseEdge(this WebApplication app)
    {
        ArgumentNullException.ThrowIfNull(app);
        var settings = app.Services.GetRequiredService<Settings>();
        var broken = BrokenRequests.Answer(app.Services.GetRequiredService<DiagnosticListener>());
        app.Lifetime.ApplicationStopped.Register(broken.Dispose);
        app.UseRequestIds();
        UseTrustedProxies(app, settings);
        app.UseAccessLog();
        app.UseSecurityHeaders();
        app.UseProblems();
        app.UseBounds(settings.Limits);
        app.Use(new Cors(settings.CorsOrigins, settings.IsDevelopment).Invoke);
        app.UseDocumentPage();
        app.UseAuditPage();
        app.Use(HeadLikeGet);
        app.UseRouting();
        app.UseRequestTimeouts();
        return app;
    }

    private static readonly object Headed = new();

    /// <summary>Nobody gets a body: what counts reads, or is dear to make, need not be done. The method itself says GET behind the edge.</summary>
    public static bool IsHead(HttpContext context) => context.Items.ContainsKey(Headed);

    // Whatever answers GET answers HEAD (RFC 9110 §9.3.2). The server itself still knows the method and sends no body.
    private static async Task HeadLikeGet(HttpContext context, RequestDelegate next)
    {
        if (!HttpMethods.IsHead(context.Request.Method))
        {
            await next(context);
            return;
        }
        context.Request.Method = HttpMethods.Get;
        context.Items[Headed] = true;
        try
        {
            await next(context);
        }
        finally
        {
            context.Request.Method = HttpMethods.Head;
        }
    }

    /// <summary>The caller's address and scheme as a proxy tells them, believed only from the networks that are named.</summary>
    private static void UseTrustedProxies(WebApplication app, Settings settings)
    {
        if (settings.TrustedNetworks.Count == 0) return;
        var options = new ForwardedHeadersOptions { ForwardedHeaders = ForwardedHeaders.XForwardedFor | ForwardedHeaders.XForwardedProto, ForwardLimit = null };
        options.KnownProxies.Clear();
        options.KnownIPNetworks.Clear();
        foreach (var network in settings.TrustedNetworks) options.KnownIPNetworks.Add(network);
        app.UseForwardedHeaders(options);
    }
}
