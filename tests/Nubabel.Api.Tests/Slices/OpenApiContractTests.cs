using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Slices;

/// <summary>The document of the whole API equals <c>docs/contracts/openapi.json</c>, so that a change of contract shows in the diff.</summary>
[Trait("Category", "Contract")]
public class OpenApiContractTests
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    [Fact]
    public async Task The_document_is_the_one_in_the_contract()
    {
        var document = JsonNode.Parse(await (await TestApi.Shared).Client.GetStringAsync("/openapi/v1.json"))!.AsObject();
        // Where this server happens to listen is no part of the contract.
        document.Remove("servers");
        var today = document.ToJsonString(Indented) + "\n";
        var path = Repository.At("docs", "contracts", "openapi.json");
        if (Environment.GetEnvironmentVariable("NUBABEL_WRITE_CONTRACTS") == "1") await File.WriteAllTextAsync(path, today);
        Assert.True(File.Exists(path) && await File.ReadAllTextAsync(path) == today, "The API's document has changed: ./dev contracts rewrites the file; look at its diff.");
    }

    [Fact]
    public async Task Every_operation_has_an_example_for_its_body_and_its_answer()
    {
        var document = JsonNode.Parse(await (await TestApi.Shared).Client.GetStringAsync("/openapi/v1.json"))!;
        var without = from path in document["paths"]!.AsObject()
                      from operation in path.Value!.AsObject().Where(o => o.Key is "get" or "post" or "put" or "patch" or "delete")
                      from content in Contents(operation.Value!)
                      where content["example"] is null && content["examples"] is null
                      select $"{operation.Key} {path.Key}";
        Assert.Empty(without);
    }

    private static IEnumerable<JsonNode> Contents(JsonNode operation)
    {
        if (operation["requestBody"]?["content"]?["application/json"] is { } request) yield return request;
        foreach (var answer in operation["responses"]!.AsObject().Where(r => r.Key.StartsWith('2')))
            if (answer.Value!["content"]?["application/json"] is { } body) yield return body;
    }
}
