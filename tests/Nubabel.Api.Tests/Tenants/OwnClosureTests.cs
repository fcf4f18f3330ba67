using System.Net;
using System.Net.Http.Json;
using Nubabel.Api.Tests.Races;
using Nubabel.Api.Tests.Slices;
using Nubabel.Domain.Users;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Tenants;

/// <summary>An owner closes the own organization, and takes that back.</summary>
public sealed class OwnClosureTests : IAsyncLifetime
{
    private const string Path = "/api/organization/closure";
    private TestTenant acme = null!;

    public async Task InitializeAsync() => acme = await (await TestApi.Shared).SignUp();

    public Task DisposeAsync() => Task.CompletedTask;

    [Fact]
    public async Task A_closure_shows_until_it_is_taken_back()
    {
        var closing = await acme.Client.PutAsJsonAsync(Path, new { password = TestTenant.Password, reason = "we move on" }).Json();
        var again = await acme.Client.PutAsJsonAsync(Path, new { password = TestTenant.Password }).Json();
        Assert.Equal(closing.Text("closesAt"), again.Text("closesAt"));
        Assert.Equal(closing.Text("closesAt"), (await acme.Client.GetAsync("/api/organization").Json()).Text("closesAt"));
        await acme.Client.DeleteAsync(Path).Json(HttpStatusCode.NoContent);
        await acme.Client.DeleteAsync(Path).Json(HttpStatusCode.NoContent);
        Assert.False((await acme.Client.GetAsync("/api/organization").Json()).TryGetProperty("closesAt", out _));
    }

    [Fact]
    public async Task The_password_is_asked_for_again()
    {
        var problem = await acme.Client.PutAsJsonAsync(Path, new { password = "not the password" }).Refused(422, "password.current_wrong");
        Assert.Equal("password", problem.GetProperty("errors")[0].Text("field"));
        await acme.Client.PutAsJsonAsync(Path, new { password = new string('a', 5_000) }).Refused(422, "password.current_wrong");
        await acme.Client.PutAsJsonAsync(Path, new { reason = "we move on" }).Refused(400, "json.missing_member");
        Assert.Equal(200, (await Reply.To(acme.Client, "GET", "/api/organization", ifNoneMatch: "\"2\"")).Status);
    }

    [Fact]
    public async Task Only_owners_close_and_open_again()
    {
        var admin = await acme.Colleague(Role.Admin);
        await admin.Client.PutAsJsonAsync(Path, new { password = TestTenant.Password }).Refused(403, "permission.denied");
        await admin.Client.DeleteAsync(Path).Refused(403, "permission.denied");
    }

    [Fact]
    public async Task A_repeated_request_is_answered_as_the_first_and_its_reason_stands_in_the_trail()
    {
        var key = Guid.NewGuid().ToString();
        var body = new { password = TestTenant.Password, reason = "we move on" };
        var first = await Reply.To(acme.Client, "PUT", Path, body, key);
        await acme.Client.DeleteAsync(Path).Json(HttpStatusCode.NoContent);
        Assert.Equal(first, await Reply.To(acme.Client, "PUT", Path, body, key));
        Assert.Equal((412, "\"3\""), await Mismatch("PUT", body));
        Assert.Equal((412, "\"3\""), await Mismatch("DELETE", null));
        var entry = Assert.Single(await acme.Client.Items("/api/audit-logs?action=organization.closure_scheduled", first.Position));
        Assert.Equal("we move on", entry.Text("reason"));
    }

    private async Task<(int, string?)> Mismatch(string method, object? body)
    {
        var reply = await Reply.To(acme.Client, method, Path, body, ifMatch: "\"9\"");
        return (reply.Status, reply.ETag);
    }
}
