using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Nubabel.Api.Host;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Tenancy;

/// <summary>Every endpoint that the server maps says whom it is open to, and means it.</summary>
public sealed class AccessTests
{
    /// <summary>Those open to anybody, by name: a new one is added here on purpose or not at all.</summary>
    private static readonly string[] Open =
    [
        "GET /.well-known/audit-keys.json", "GET /.well-known/jwks.json", "GET /api/erasure-receipts/{code}", "GET /api/permissions", "GET /health", "GET /health/live", "GET /health/ready", "GET /openapi/{documentName}.json",
        "POST /admin/auth/refresh", "POST /admin/auth/sign-in", "POST /api/auth/password-reset", "POST /api/auth/password-reset/confirm", "POST /api/auth/refresh", "POST /api/auth/sign-in",
        "POST /api/invitations/accept", "POST /api/signup", "POST /api/webhooks/{provider}", "POST /api/webhooks/{provider}/{address}",
    ];

    [Fact]
    public async Task Every_endpoint_names_a_permission_of_the_table_or_is_open_by_name()
    {
        var granted = Permissions.Roles.SelectMany(Permissions.Of).ToHashSet();
        var open = new List<string>();
        foreach (var (name, access) in Endpoints.All(await TestApi.Shared))
        {
            Assert.True(access is not null, $"{name} says nothing about whom it is open to: .Needs(…) or .Anonymous().");
            if (access.Permission is null) open.Add(name);
            else Assert.True(granted.Contains(access.Permission), $"{name} needs {access.Permission}, which no role has.");
            Assert.True(name.Contains("/admin/", StringComparison.Ordinal) == (access.Realm == Realm.Platform) || access.Permission is null, $"{name} is of the other realm.");
        }
        Assert.Equal(Open, open.Order(StringComparer.Ordinal));
    }

    /// <summary>What the sweep reads is all there is: the document leaves out only itself, and the second name of what it has under the first.</summary>
    [Fact]
    public async Task The_document_knows_every_endpoint() => Assert.Equal(
        Endpoints.All(await TestApi.Shared).Select(e => e.Name.Replace("/api/admin/dlq", "/api/admin/dead-letters", StringComparison.Ordinal)).Distinct()
            .Where(name => name != "GET /openapi/{documentName}.json").Order(StringComparer.Ordinal),
        (await Operation.All(await TestApi.Shared)).Select(o => o.ToString()).Order(StringComparer.Ordinal));

    /// <summary>Set NUBABEL_WRITE_CONTRACTS=1 to rewrite the page.</summary>
    [Fact]
    [Trait("Category", "Contract")]
    public async Task The_page_of_permissions_is_the_table_and_the_routes()
    {
        var page = Repository.At("docs", "authorization.md");
        var text = PermissionsPage.Markdown([.. Endpoints.All(await TestApi.Shared).Select(e => (e.Name, e.Access!))]);
        if (Environment.GetEnvironmentVariable("NUBABEL_WRITE_CONTRACTS") == "1") await File.WriteAllTextAsync(page, text);
        Assert.Equal(await File.ReadAllTextAsync(page), text);
    }

    [Theory]
    [InlineData("GET", "/api/unknown")]
    [InlineData("GET", "/api/admin/unknown")]
    [InlineData("GET", "/admin")]
    [InlineData("POST", "/api/devices/0198aaaa-0000-7000-8000-000000000001/unknown")]
    [InlineData("GET", "/.env")]
    public async Task An_unknown_path_is_the_same_404_for_everyone(string method, string path)
    {
        var api = await TestApi.Shared;
        var owner = await api.SignUp();
        using var platform = await api.Operator();
        using var forged = api.As("eyJhbGciOiJub25lIn0.e30.");
        foreach (var client in new[] { api.Client, owner.Client, platform, forged })
        {
            using var answer = await Call(client, $"{method} {path}");
            Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
            Assert.Equal("application/problem+json", answer.Content.Headers.ContentType!.MediaType);
            Assert.Equal("route.unknown", await Code(answer));
        }
    }

    private static async Task<IEnumerable<(string Name, Access Access)>> Closed() => Endpoints.Closed(await TestApi.Shared);

    private static async Task<HttpResponseMessage> Call(HttpClient client, string name)
    {
        var (method, path) = (name.Split(' ')[0], name.Split(' ')[1]);
        using var request = new HttpRequestMessage(new HttpMethod(method), new Operation(method, path).At(Guid.CreateVersion7().ToString()));
        return await client.SendAsync(request);
    }

    private static async Task<string?> Code(HttpResponseMessage answer) => (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("code").GetString();
}
