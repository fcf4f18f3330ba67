using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Nubabel.Api.Host.Tokens;
using Nubabel.Api.Tests.Slices;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.ApiKeys;

/// <summary>Keys made for a test.</summary>
internal static class Keys
{
    public const string Path = "/api/api-keys", PlatformPath = "/api/admin/api-keys";

    /// <summary>A key as its maker gets it.</summary>
    public static Task<JsonElement> Make(this HttpClient maker, params string[] scopes) => maker.Make(Path, scopes);

    public static Task<JsonElement> Make(this HttpClient maker, string path, string[] scopes, DateTimeOffset? expiresAt = null) =>
        maker.PostAsJsonAsync(path, new { name = Name(), scopes = scopes.Length == 0 ? ["organization:read"] : scopes, expiresAt }).Json(HttpStatusCode.Created);

    public static Task<JsonElement> Rotate(this HttpClient maker, JsonElement key, int overlapSeconds) =>
        maker.PostAsJsonAsync($"{Path}/{key.Text("id")}/rotation", new { overlapSeconds }).Json();

    public static string Name() => $"k{Guid.NewGuid():N}";

    public static ApiKeyText Parsed(this JsonElement key) => ApiKeyText.Parse(key.Text("key"))!;

    /// <summary>A request with the key in its own header.</summary>
    public static async Task<HttpResponseMessage> With(this HttpClient nobody, string key, string path = "/api/organization")
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.TryAddWithoutValidation("X-Api-Key", key);
        return await nobody.SendAsync(request);
    }
}
