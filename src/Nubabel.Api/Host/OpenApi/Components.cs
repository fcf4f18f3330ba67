using System.Text.Json.Nodes;
using Microsoft.OpenApi;
using Nubabel.Api.Host.Rates;
using Nubabel.Api.Reads;

namespace Nubabel.Api.Host.OpenApi;

/// <summary>What all operations share, said once in the document: the problem answer, headers, conditions, the security scheme.</summary>
internal static class Components
{
    public const string Bearer = "bearer";
    public const string ApiKey = "apiKey";
    public const string Problem = "Problem";

    public static void AddTo(OpenApiDocument document)
    {
        var components = document.Components ??= new OpenApiComponents();
        components.Schemas ??= new Dictionary<string, IOpenApiSchema>();
        components.Schemas[Problem] = ProblemSchema();
        components.Headers = Headers.ToDictionary(h => h.Key, h => (IOpenApiHeader)new OpenApiHeader { Description = h.Value, Schema = new OpenApiSchema { Type = JsonSchemaType.String } });
        components.Parameters = Parameters().ToDictionary(p => p.Name!, p => (IOpenApiParameter)p);
        components.Responses = new Dictionary<string, IOpenApiResponse>
        {
            [Problem] = new OpenApiResponse
            {
                Description = "Refused or failed; `code` says why (docs/problems.md).",
                Headers = new Dictionary<string, IOpenApiHeader> { [RequestIds.Header] = new OpenApiHeaderReference(RequestIds.Header, document) },
                Content = new Dictionary<string, OpenApiMediaType>
                {
                    [Problems.MediaType] = new() { Schema = new OpenApiSchemaReference(Problem, document), Example = Example() },
                },
            },
        };
        components.SecuritySchemes = new Dictionary<string, IOpenApiSecurityScheme>
        {
            [Bearer] = new OpenApiSecurityScheme { Type = SecuritySchemeType.Http, Scheme = "bearer", BearerFormat = "JWT", Description = "The `access_token` of a sign-in; an API key too, where one may hold the permission." },
            [ApiKey] = new OpenApiSecurityScheme { Type = SecuritySchemeType.ApiKey, In = ParameterLocation.Header, Name = Authentication.KeyHeader, Description = "An API key, instead of `Authorization`." },
        };
    }

    /// <summary>Headers of answers.</summary>
    private static readonly Dictionary<string, string> Headers = new()
    {
        [RequestIds.Header] = "The id of the request, the caller's own or a new one; every answer has it.",
        ["ETag"] = "The resource's version, strong; for `If-Match` and `If-None-Match`.",
        ["Location"] = "The path of what was created.",
        [Positions.Header] = "Where the change stands in the log; a read with it as `Nubabel-Min-Position` shows the change.",
        [RateHeaders.Header] = "Of each limit that the request met: `r` requests may still come within the next `t` seconds (draft-ietf-httpapi-ratelimit-headers-11).",
        [RateHeaders.PolicyHeader] = "The same limits: `q` requests at once, and that many again in each window of `w` seconds.",
        ["Link"] = "`rel=\"next\"`: the next page; absent on the last.",
    };

    /// <summary>Headers of requests.</summary>
    private static IEnumerable<OpenApiParameter> Parameters() =>
    [
        Header(IdempotencyKeys.Header, "1 to 255 visible ASCII characters, bare or quoted. A request repeated under the same key within 24 h gets the first one's answer.", 255),
        Header("If-Match", "`*` or entity tags that the resource must have; otherwise 412."),
        Header("If-None-Match", "`*` or entity tags that the caller has already; then 304."),
        Header(Positions.MinimumHeader, "The answer is to show the log up to this position; waits up to 2 s, then 503 `projection.lagging`."),
        Header(ReadRecord.PurposeHeader, "What the caller looks for: the number of a case or a keyword. It stands in the audit trail with the read.", Domain.Reads.ReadPurpose.MaximumCharacters),
        Header(RequestIds.Header, "1 to 128 visible ASCII characters; made where there is none.", 128),
    ];

    private static OpenApiParameter Header(string name, string description, int? longest = null) => new()
    {
        Name = name,
        In = ParameterLocation.Header,
        Description = description,
        Schema = new OpenApiSchema { Type = JsonSchemaType.String, MaxLength = longest },
    };

    private static OpenApiSchema ProblemSchema() => new()
    {
        Type = JsonSchemaType.Object,
        Description = "RFC 9457 problem details. Further members depend on the code.",
        Required = new HashSet<string> { "type", "title", "status", "code", "requestId" },
        Properties = new Dictionary<string, IOpenApiSchema>
        {
            ["type"] = Text("The documented URI of the code.", "uri"),
            ["title"] = Text("What kind of problem it is, for people."),
            ["status"] = new OpenApiSchema { Type = JsonSchemaType.Integer, Minimum = "400", Maximum = "599" },
            ["code"] = Text("Stable; what a program decides by."),
            ["detail"] = Text("What happened here, for a developer."),
            ["requestId"] = Text("Finds the request in the log."),
            ["errors"] = new OpenApiSchema
            {
                Type = JsonSchemaType.Array,
                Description = "The members at fault.",
                Items = new OpenApiSchema
                {
                    Type = JsonSchemaType.Object,
                    Required = new HashSet<string> { "field", "code", "message" },
                    Properties = new Dictionary<string, IOpenApiSchema>
                    {
                        ["field"] = Text("Where: `organization.name`, `rules[0].percentage`."),
                        ["code"] = Text("Why."),
                        ["message"] = Text("Why, for a developer."),
                    },
                },
            },
        },
    };

    private static OpenApiSchema Text(string description, string? format = null) => new() { Type = JsonSchemaType.String, Description = description, Format = format };

    private static JsonNode Example() => JsonNode.Parse($$"""
        {
          "type": "{{ProblemCodes.Base}}device.name_taken", "title": "Device name taken", "status": 409, "code": "device.name_taken",
          "detail": "This value is taken.", "requestId": "{{Schemas.IdExample}}"
        }
        """)!;
}
