using System.Net.Http.Json;
using System.Text.Json;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Tenancy;

/// <summary>An operation of the OpenAPI document.</summary>
public sealed record Operation(string Method, string Path)
{
    /// <summary>Whether it names a resource.</summary>
    public bool HasId => Path.Contains('{', StringComparison.Ordinal);

    /// <summary>The path of one resource; an operation with several ids in its path gets them separated by blanks, or one for all.</summary>
    public string At(string id)
    {
        var parts = new Queue<string>(id.Split(' '));
        return string.Join('/', Path.Split('/').Select(segment => segment.StartsWith('{') ? (parts.Count > 1 ? parts.Dequeue() : parts.Peek()) : segment));
    }

    public override string ToString() => $"{Method} {Path}";

    /// <summary>All that the document knows.</summary>
    public static async Task<IReadOnlyList<Operation>> All(TestApi api)
    {
        var document = await api.Client.GetFromJsonAsync<JsonElement>("/openapi/v1.json");
        string[] verbs = ["get", "put", "post", "delete", "patch", "head", "options"];
        return
        [
            .. from path in document.GetProperty("paths").EnumerateObject()
               from verb in path.Value.EnumerateObject()
               where verbs.Contains(verb.Name)
               select new Operation(verb.Name.ToUpperInvariant(), path.Name),
        ];
    }
}
