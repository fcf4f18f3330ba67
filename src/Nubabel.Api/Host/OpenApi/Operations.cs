using System.Reflection;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;
using Nubabel.Api.Host.Rates;
using Nubabel.Api.Reads;
using Nubabel.Domain;

namespace Nubabel.Api.Host.OpenApi;

/// <summary>Completes each operation with what the edge does for it: conditions, positions, pages, problems, security, its id and examples.</summary>
internal static class Operations
{
    public static Task Transform(OpenApiOperation operation, OpenApiOperationTransformerContext context, CancellationToken ct)
    {
        var document = context.Document ?? throw new InvalidOperationException("Without a document there are no references.");
        var endpoint = context.Description.ActionDescriptor.EndpointMetadata;
        var method = context.Description.HttpMethod ?? "GET";
        var conditional = IsConditional(operation, context.Description.RelativePath ?? "", endpoint);
        var access = endpoint.OfType<Access>().LastOrDefault();

        var handler = endpoint.OfType<MethodInfo>().FirstOrDefault();
        operation.OperationId ??= IsNamed(handler) ? IdOf(handler!) : IdOf(method, context.Description.RelativePath ?? "");
        operation.Summary ??= IsNamed(handler) ? Words(handler!.Name) : null;
        DescribePath(operation, endpoint);
        AddParameters(operation, document, endpoint, method, conditional);
        AddHeaders(operation, document, endpoint, method, conditional);
        AddProblems(operation, document, endpoint, method, access, conditional);
        AddSecurity(operation, document, access);
        var own = endpoint.OfType<Example>().LastOrDefault();
        AddExample(operation, new Example(own?.Request ?? SampleOfRequest(context), own?.Response ?? SampleOfResponse(context)));
        return Task.CompletedTask;
    }

    private static bool IsNamed(MethodInfo? handler) => handler is { DeclaringType: not null } && char.IsAsciiLetterUpper(handler.Name[0]) && handler.Name.All(char.IsAsciiLetterOrDigit);

    /// <summary><c>DevicesApi.Rename</c> is <c>devicesRename</c>.</summary>
    private static string IdOf(MethodInfo handler)
    {
        var slice = handler.DeclaringType!.Name;
        return JsonNamingPolicy.CamelCase.ConvertName((slice.EndsWith("Api", StringComparison.Ordinal) ? slice[..^3] : slice) + handler.Name);
    }

    /// <summary>An operation without a handler of its own is named for its method and path.</summary>
    public static string IdOf(string method, string path) =>
        method.ToLowerInvariant() + string.Concat(path.Split('/', '{', '}', '-', '.').Where(p => p.Length > 0).Select(p => char.ToUpperInvariant(p[0]) + p[1..]));

    /// <summary><c>ChangeKey</c> is "Change key".</summary>
    private static string Words(string name) =>
        string.Concat(name.Select((c, i) => i > 0 && char.IsAsciiLetterUpper(c) ? " " + char.ToLowerInvariant(c) : c.ToString()));

    /// <summary>One resource of a tenant, which has a version; not a page, and not what operators see of the system.</summary>
    private static bool IsConditional(OpenApiOperation operation, string path, IList<object> endpoint) =>
        path.StartsWith("api/", StringComparison.Ordinal) && !path.StartsWith("api/admin/", StringComparison.Ordinal) && !endpoint.OfType<PagingMetadata>().Any() && !endpoint.OfType<SignedRoute>().Any()
        && operation.Responses?.Any(r => r.Key.StartsWith('2') && r.Value.Content?.Count > 0) == true;

    /// <summary>Parameters whose type is a value type of ours: strings for the framework, more than that for a client.</summary>
    private static void DescribePath(OpenApiOperation operation, IList<object> endpoint)
    {
        foreach (var bound in endpoint.OfType<IParameterBindingMetadata>())
        {
            var type = Nullable.GetUnderlyingType(bound.ParameterInfo.ParameterType) ?? bound.ParameterInfo.ParameterType;
            if (Schemas.IsText(type) && operation.Parameters?.OfType<OpenApiParameter>().FirstOrDefault(p => p.Name == bound.Name) is { } parameter)
            {
                var schema = new OpenApiSchema();
                Schemas.Describe(schema, type);
                parameter.Schema = schema;
            }
        }
    }

    private static void AddParameters(OpenApiOperation operation, OpenApiDocument document, IList<object> endpoint, string method, bool conditional)
    {
        operation.Parameters ??= [];
        if (endpoint.OfType<PagingMetadata>().Any())
        {
            operation.Parameters.Add(Query("limit", "How many items a page has.", new OpenApiSchema
            {
                Type = JsonSchemaType.Integer,
                Format = "int32",
                Minimum = "1",
                Maximum = Paging.Most.ToString(System.Globalization.CultureInfo.InvariantCulture),
                Default = Paging.Usual,
            }));
            operation.Parameters.Add(Query("cursor", "`next` of the page before.", new OpenApiSchema { Type = JsonSchemaType.String }));
        }
        if (endpoint.OfType<AtMetadata>().Any()) operation.Parameters.Add(Query(At.Name, At.Meaning, new OpenApiSchema { Type = JsonSchemaType.String }));
        var declared = operation.Parameters.Select(p => p.Name).ToHashSet(StringComparer.Ordinal);
        foreach (var name in endpoint.OfType<QueryNames>().SelectMany(q => q.Names).Where(n => declared.Add(n)))
            operation.Parameters.Add(Query(name, null, new OpenApiSchema { Type = JsonSchemaType.String }));

        string[] headers = method switch
        {
            "GET" or "HEAD" => conditional ? ["If-None-Match", RequestIds.Header] : endpoint.OfType<PagingMetadata>().Any() ? [Positions.MinimumHeader, RequestIds.Header] : [RequestIds.Header],
            "POST" when endpoint.OfType<SignedRoute>().Any() => [RequestIds.Header],
            "POST" => [IdempotencyKeys.Header, RequestIds.Header],
            _ => [IdempotencyKeys.Header, "If-Match", RequestIds.Header],
        };
        if (endpoint.OfType<IProducesResponseTypeMetadata>().Any(r => PersonalShapes.HoldsPersonal(r.Type))) headers = [.. headers[..^1], ReadRecord.PurposeHeader, headers[^1]];
        foreach (var header in headers) operation.Parameters.Add(new OpenApiParameterReference(header, document));
    }

    private static bool HasPath(OpenApiOperation operation) => operation.Parameters?.Any(p => p.In == ParameterLocation.Path) == true;

    private static OpenApiParameter Query(string name, string? description, OpenApiSchema schema) =>
        new() { Name = name, In = ParameterLocation.Query, Description = description, Schema = schema };

    private static void AddHeaders(OpenApiOperation operation, OpenApiDocument document, IList<object> endpoint, string method, bool conditional)
    {
        foreach (var (status, answer) in operation.Responses ?? [])
        {
            if (answer is not OpenApiResponse { } response || !status.StartsWith('2')) continue;
            var names = new List<string> { RequestIds.Header };
            var paged = endpoint.OfType<PagingMetadata>().Any();
            if (paged) names.Add("Link");
            if (conditional) names.Add("ETag");
            if (status == "201") names.Add("Location");
            if (method is not ("GET" or "HEAD") && !endpoint.OfType<SignedRoute>().Any()) names.Add(Positions.Header);
            if (!endpoint.OfType<Unlimited>().Any()) names.AddRange([RateHeaders.Header, RateHeaders.PolicyHeader]);
            response.Headers = names.ToDictionary(n => n, n => (IOpenApiHeader)new OpenApiHeaderReference(n, document));
        }
    }

    /// <summary>The statuses a client must be ready for here; any other failure has the same form.</summary>
    private static void AddProblems(OpenApiOperation operation, OpenApiDocument document, IList<object> endpoint, string method, Access? access, bool conditional)
    {
        var statuses = new List<string> { "400" };
        if (access?.Permission is not null || method == "POST") statuses.AddRange(["401", "403"]);
        if (HasPath(operation) || endpoint.OfType<AtMetadata>().Any()) statuses.Add("404");
        if (method is not ("GET" or "HEAD")) statuses.Add("409");
        if (method is "PUT" or "PATCH" or "DELETE") statuses.Add("412");
        if (operation.RequestBody is not null) statuses.AddRange(["413", "415", "422"]);
        if (!endpoint.OfType<Unlimited>().Any()) statuses.Add("429");
        if (endpoint.OfType<PagingMetadata>().Any() || endpoint.OfType<Unlimited>().Any()) statuses.Add("503");
        statuses.Add("default");
        operation.Responses ??= [];
        foreach (var status in statuses) operation.Responses.TryAdd(status, new OpenApiResponseReference(Components.Problem, document));
        if (method == "GET" && conditional) operation.Responses.TryAdd("304", new OpenApiResponse { Description = "The caller has this version." });
    }

    private static void AddSecurity(OpenApiOperation operation, OpenApiDocument document, Access? access)
    {
        // An empty requirement list says "none", where the document's own would otherwise hold.
        operation.Security = [];
        if (access?.Permission is not { } permission) return;
        operation.Security.Add(Requirement(Components.Bearer));
        if (Permissions.Find(permission) is { ForKeys: true }) operation.Security.Add(Requirement(Components.ApiKey));
        var text = new StringBuilder(operation.Description);
        if (text.Length > 0) text.Append("\n\n");
        text.Append("Needs `").Append(permission).Append('`');
        if (access.Or is { } wider) text.Append(" or `").Append(wider).Append('`');
        if (access.OnOneself is { } own) text.Append("; on oneself `").Append(own).Append('`');
        operation.Description = text.Append('.').ToString();

        OpenApiSecurityRequirement Requirement(string scheme) => new() { [new OpenApiSecuritySchemeReference(scheme, document)] = [] };
    }

    private static JsonNode? SampleOfRequest(OpenApiOperationTransformerContext context) =>
        context.Description.ActionDescriptor.EndpointMetadata.OfType<IAcceptsMetadata>().LastOrDefault()?.RequestType is { } type ? Samples.Of(type) : null;

    private static JsonNode? SampleOfResponse(OpenApiOperationTransformerContext context) =>
        context.Description.ActionDescriptor.EndpointMetadata.OfType<IProducesResponseTypeMetadata>().FirstOrDefault(r => r.StatusCode is >= 200 and < 300)?.Type is { } type
        && type != typeof(void) ? Samples.Of(type) : null;

    private static void AddExample(OpenApiOperation operation, Example example)
    {
        if (example.Request is { } request)
            foreach (var body in operation.RequestBody?.Content?.Values ?? []) body.Example = request.DeepClone();
        if (example.Response is not { } response) return;
        foreach (var (_, answer) in (operation.Responses ?? []).Where(r => r.Key.StartsWith('2')))
            foreach (var body in answer.Content?.Values ?? []) body.Example = response.DeepClone();
    }
}
