using System.Text.Json;
using System.Text.Json.Nodes;

namespace Nubabel.Api.Host.OpenApi;

/// <summary>What a request and its answer look like, for the document and for whoever tries the page.</summary>
public sealed record Example(JsonNode? Request, JsonNode? Response);

public static class Examples
{
    /// <summary>
    /// <c>.WithExample(request: """{"name":"Ada's phone"}""", response: """{"id":"…"}""")</c>. Texts and not objects, since an answer's
    /// personal values are opened only after the row is written. A malformed text fails at the start.
    /// </summary>
    public static TBuilder WithExample<TBuilder>(this TBuilder route, string? request = null, string? response = null) where TBuilder : IEndpointConventionBuilder =>
        route.WithMetadata(new Example(Parse(request), Parse(response)));

    private static JsonNode? Parse(string? json) => json is null ? null : JsonNode.Parse(json, documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false });
}
