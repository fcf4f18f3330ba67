using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Host;

/// <summary>The contract as it stands: any change of it shows in a diff of docs/contracts/openapi.json.</summary>
public sealed class DocumentTests
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static async Task<JsonObject> Served() => await (await (await TestApi.Shared).Client.GetAsync("/openapi/v1.json")).Json();

    /// <summary>Set NUBABEL_WRITE_CONTRACTS=1 to rewrite the file.</summary>
    [Fact]
    [Trait("Category", "Contract")]
    public async Task The_served_document_is_the_one_in_the_repository()
    {
        var text = (await Served()).ToJsonString(Indented) + "\n";
        var file = Repository.At("docs", "contracts", "openapi.json");
        if (Environment.GetEnvironmentVariable("NUBABEL_WRITE_CONTRACTS") == "1") await File.WriteAllTextAsync(file, text);
        Assert.Equal(await File.ReadAllTextAsync(file), text);
    }

    [Fact]
    public async Task Every_reference_in_it_resolves_and_every_operation_has_a_name_of_its_own()
    {
        var document = await Served();
        var references = System.Text.RegularExpressions.Regex.Matches(document.ToJsonString(), "\"\\$ref\":\"#/([^\"]+)\"").Select(m => m.Groups[1].Value).Distinct();
        Assert.All(references, r => Assert.NotNull(r.Split('/').Aggregate((JsonNode?)document, (node, step) => node?[step])));
        var ids = document["paths"]!.AsObject().SelectMany(p => p.Value!.AsObject()).Select(o => (string)o.Value!["operationId"]!).ToArray();
        Assert.Equal(ids.Length, ids.Distinct().Count());
    }

    [Fact]
    public async Task Every_example_of_a_request_is_one_that_the_edge_reads()
    {
        var api = await TestApi.Shared;
        var endpoints = api.Services.GetRequiredService<Microsoft.AspNetCore.Routing.EndpointDataSource>().Endpoints;
        var types = endpoints.SelectMany(e => e.Metadata.OfType<Microsoft.AspNetCore.Http.Metadata.IAcceptsMetadata>()).Select(a => a.RequestType!).Distinct().ToArray();
        Assert.NotEmpty(types);
        // What providers send is theirs, and read by nobody here.
        Assert.All(types.Where(type => type != typeof(JsonElement)), type => Assert.NotNull(JsonSerializer.Deserialize(Samples.Of(type)!.ToJsonString(), type, Api.Host.Json.Options)));
        foreach (var operation in (await Served())["paths"]!.AsObject().SelectMany(p => p.Value!.AsObject()).Select(o => o.Value!).Where(o => o["requestBody"] is not null))
            Assert.True(operation["requestBody"]!["content"]!.AsObject().All(c => c.Value!["example"] is not null), (string)operation["operationId"]!);
    }

    [Fact]
    public async Task Requests_are_closed_and_answers_are_open()
    {
        var schemas = (await Served())["components"]!["schemas"]!;
        Assert.Equal(false, (bool?)schemas["DeviceRegistration"]!["additionalProperties"]);
        Assert.Null(schemas["DeviceRow"]!["additionalProperties"]);
        Assert.DoesNotContain("revokedAt", schemas["DeviceRow"]!["required"]!.AsArray().Select(r => (string)r!));
    }

    [Fact]
    public async Task Every_value_in_it_says_what_it_is()
    {
        var nameless = new List<string>();
        foreach (var (name, schema) in (await Served())["components"]!["schemas"]!.AsObject())
            foreach (var (member, value) in schema!["properties"]?.AsObject() ?? [])
                if (value!.AsObject() is { } v && !new[] { "type", "$ref", "oneOf", "anyOf", "enum" }.Any(v.ContainsKey)) nameless.Add($"{name}.{member}");
        Assert.Empty(nameless);
    }
}
