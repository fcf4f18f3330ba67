using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;

namespace Nubabel.Api.Host.OpenApi;

/// <summary>The contract as OpenAPI 3.1, made from the endpoints themselves, and the page to try it.</summary>
public static class Document
{
    private const string Name = "v1";
    private const string PagePath = "/docs";

    // The page's own scripts and styles come from here; the library sets styles in line. It may talk to this server only.
    private const string PagePolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
        + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    internal static void AddDocument(this IServiceCollection services) => services.AddOpenApi(Name, options =>
    {
        options.OpenApiVersion = OpenApiSpecVersion.OpenApi3_1;
        options.CreateSchemaReferenceId = Schemas.ReferenceId;
        options.AddSchemaTransformer(Schemas.Transform);
        options.AddOperationTransformer(Operations.Transform);
        options.AddDocumentTransformer(Complete);
    });

    /// <summary>Maps <c>/openapi/v1.json</c>; the page is a middleware and needs no route.</summary>
    public static IEndpointRouteBuilder MapDocument(this IEndpointRouteBuilder app)
    {
        app.MapOpenApi("/openapi/{documentName}.json").Anonymous();
        return app;
    }

    internal static void UseDocumentPage(this IApplicationBuilder app)
    {
        app.UseWhen(context => context.Request.Path.StartsWithSegments(PagePath, StringComparison.Ordinal), page =>
        {
            page.Use((context, next) =>
            {
                context.Response.Headers.ContentSecurityPolicy = PagePolicy;
                return next(context);
            });
            page.UseSwaggerUI(ui =>
            {
                ui.RoutePrefix = PagePath.TrimStart('/');
                ui.DocumentTitle = "Nubabel";
                ui.SwaggerEndpoint($"/openapi/{Name}.json", "Nubabel " + Name);
            });
        });
    }

    private static Task Complete(OpenApiDocument document, OpenApiDocumentTransformerContext context, CancellationToken ct)
    {
        document.Info = new OpenApiInfo
        {
            Title = "Nubabel",
            Version = Name,
            Description = "Multi-tenant, event-sourced backend. Changes under `/api` are compatible only: a member may be added at any time, so read what you know and ignore the rest.",
        };
        // Relative, so that the document is the same on every machine.
        document.Servers = [new OpenApiServer { Url = "/" }];
        OpenAnswers(document);
        NameApart(document);
        Components.AddTo(document);
        return Task.CompletedTask;
    }

    /// <summary>The edge refuses unknown members of a request; an answer may get new ones at any time, so its schema must not be closed.</summary>
    private static void OpenAnswers(OpenApiDocument document)
    {
        var asked = new HashSet<string>();
        var bodies = document.Paths.Values.SelectMany(p => p.Operations ?? []).Select(o => o.Value).SelectMany(o => o.RequestBody?.Content?.Values ?? []);
        foreach (var body in bodies) Reach(body.Schema, asked);
        foreach (var (name, schema) in document.Components?.Schemas ?? new Dictionary<string, IOpenApiSchema>())
            if (!asked.Contains(name) && schema is OpenApiSchema open) open.AdditionalPropertiesAllowed = true;
    }

    private static void Reach(IOpenApiSchema? schema, HashSet<string> names)
    {
        if (schema is null || (schema is OpenApiSchemaReference { Reference.Id: { } id } && !names.Add(id))) return;
        foreach (var member in schema.Properties?.Values ?? []) Reach(member, names);
        foreach (var choice in (schema.OneOf ?? []).Concat(schema.AnyOf ?? []).Concat(schema.AllOf ?? [])) Reach(choice, names);
        Reach(schema.Items, names);
    }

    /// <summary>One handler may serve two paths; then these are named for their paths.</summary>
    private static void NameApart(OpenApiDocument document)
    {
        var operations = from path in document.Paths
                         from operation in path.Value.Operations ?? []
                         group (Operation: operation.Value, Id: Operations.IdOf(operation.Key.Method, path.Key)) by operation.Value.OperationId;
        foreach (var same in operations.Where(g => g.Count() > 1).ToArray())
            foreach (var (operation, id) in same) operation.OperationId = id;
    }
}
