using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Host;
using Nubabel.Api.Host.Tokens;
using Nubabel.Api.Tests.Races;
using Nubabel.Api.Tests.Slices;
using Nubabel.Domain;
using Nubabel.Domain.Organizations;
using Nubabel.Projections;
using Nubabel.Store;
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

    /// <summary>Gives the organization a limit of its own and waits until these nodes know it.</summary>
    public static async Task Limit(TestTenant tenant, int keys, params TestApi[] nodes)
    {
        var organization = Id<Organization>.Parse(tenant.Id);
        var journal = nodes[0].Services.GetRequiredService<Node>().Journal(tenant.Id, new Origin("system:test"));
        await journal.Append(journal.Now(), [new StreamAppend(Streams.Of(organization), Organization.Kind, StreamAppend.Any, [new OrganizationLimitsSet(new OrganizationLimits(ApiKeys: keys))], [], [])], default);
        foreach (var node in nodes)
            await Burst.Until("the limit counts", TimeSpan.FromSeconds(5), async () => (await node.Services.GetRequiredService<Standings>().Of(tenant.Id, organization)).Limits?.ApiKeys == keys);
    }

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
