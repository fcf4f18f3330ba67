using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Slices;

public class DevicesTests
{
    [Fact]
    public async Task A_device_lives_from_registration_to_deletion()
    {
        var acme = await (await TestApi.Shared).SignUp();
        using var created = await acme.Client.PostAsJsonAsync("/api/devices", new { name = "phone", type = "mobile" });
        Assert.Equal(HttpStatusCode.Created, created.StatusCode);
        Assert.Equal("\"1\"", created.Headers.ETag!.Tag);
        var path = created.Headers.Location!.ToString();

        using var renamed = await acme.Client.PutAsJsonAsync(path + "/name", new { name = "pocket" });
        Assert.Equal("\"2\"", renamed.Headers.ETag!.Tag);
        Assert.Equal("pocket", (await renamed.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("name").GetString());

        using var revoked = await acme.Client.PutAsJsonAsync(path + "/revocation", new { reason = "lost" });
        Assert.Equal("revoked", (await revoked.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("status").GetString());
        using var late = await acme.Client.PutAsJsonAsync(path + "/name", new { name = "later" });
        Assert.Equal(HttpStatusCode.Conflict, late.StatusCode);

        Assert.Equal(HttpStatusCode.NoContent, (await acme.Client.DeleteAsync(path)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await acme.Client.GetAsync(path)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await acme.Client.DeleteAsync(path)).StatusCode);
    }
}
