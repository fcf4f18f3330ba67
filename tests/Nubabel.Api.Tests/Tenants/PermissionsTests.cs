using System.Net;
using System.Text.Json;
using Nubabel.Api.Host;
using Nubabel.Api.Tests.Races;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Tenants;

/// <summary>The table of roles and permissions as it is served.</summary>
public sealed class PermissionsTests
{
    [Fact]
    public async Task The_table_is_served_to_anybody_as_it_is()
    {
        var reply = await Reply.To((await TestApi.Shared).Client, "GET", "/api/permissions");
        Assert.Equal(200, reply.Status);
        Assert.Equal(Permissions.Roles, reply.Json.GetProperty("roles").EnumerateArray().Select(r => r.GetString()!));
        Assert.Equal(
            Permissions.All.Select(p => (p.Name, p.Allows, string.Join(',', p.Roles), p.ForKeys)),
            reply.Json.GetProperty("permissions").EnumerateArray().Select(p => (
                Text(p, "name"), Text(p, "allows"), string.Join(',', p.GetProperty("roles").EnumerateArray().Select(r => r.GetString())), p.GetProperty("forKeys").GetBoolean())));
    }

    [Fact]
    public async Task Who_has_it_is_told_so()
    {
        var client = (await TestApi.Shared).Client;
        using var first = await client.GetAsync("/api/permissions");
        Assert.Equal("public, max-age=300", first.Headers.CacheControl!.ToString());
        using var get = new HttpRequestMessage(HttpMethod.Get, "/api/permissions") { Headers = { { "If-None-Match", first.Headers.ETag!.ToString() } } };
        using var second = await client.SendAsync(get);
        Assert.Equal((HttpStatusCode.NotModified, "", first.Headers.ETag), (second.StatusCode, await second.Content.ReadAsStringAsync(), second.Headers.ETag));
        Assert.Equal(200, (await Reply.To(client, "GET", "/api/permissions", ifNoneMatch: "\"another\"")).Status);
    }

    private static string Text(JsonElement json, string member) => json.GetProperty(member).GetString()!;
}
