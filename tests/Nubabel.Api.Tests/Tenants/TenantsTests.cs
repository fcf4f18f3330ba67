using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Nubabel.Api.Tests.Races;
using Nubabel.Api.Tests.Slices;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Tenants;

/// <summary>Organizations as operators see and change them, over the wire.</summary>
public sealed class TenantsTests : IAsyncLifetime
{
    private HttpClient platform = null!;
    private TestTenant acme = null!;

    private string Path => $"/api/admin/tenants/{acme.Id}";

    public async Task InitializeAsync()
    {
        var api = await TestApi.Shared;
        (platform, acme) = (await api.Operator(), await api.SignUp());
    }

    public Task DisposeAsync()
    {
        platform.Dispose();
        return Task.CompletedTask;
    }

    [Fact]
    public async Task An_organization_is_read_from_its_stream()
    {
        using var answer = await platform.GetAsync(Path);
        Assert.Equal("\"1\"", answer.Headers.ETag!.Tag);
        var tenant = await answer.Content.ReadFromJsonAsync<JsonElement>();
        Assert.Equal((acme.Id, acme.Slug, "active", "Acme " + acme.Slug), (tenant.Text("id"), tenant.Text("slug"), tenant.Text("status"), tenant.Text("name")));
        Assert.Equal(304, (await Reply.To(platform, "GET", Path, ifNoneMatch: "\"1\"")).Status);
    }

    [Fact]
    public async Task A_suspension_and_its_end_are_said_once_and_may_be_repeated()
    {
        var suspended = await platform.PutAsJsonAsync(Path + "/suspension", new { reason = "unpaid" }).Json();
        Assert.Equal(("suspended", "unpaid"), (suspended.Text("status"), suspended.Text("suspensionReason")));
        Assert.True(suspended.TryGetProperty("suspendedAt", out _));
        using var again = await platform.PutAsync(Path + "/suspension", null);
        Assert.Equal("\"2\"", again.Headers.ETag!.Tag);
        await platform.DeleteAsync(Path + "/suspension").Json(HttpStatusCode.NoContent);
        await platform.DeleteAsync(Path + "/suspension").Json(HttpStatusCode.NoContent);
        var active = await platform.GetAsync(Path).Json();
        Assert.Equal(("active", false), (active.Text("status"), active.TryGetProperty("suspendedAt", out _)));
        Assert.Equal(304, (await Reply.To(platform, "GET", Path, ifNoneMatch: "\"3\"")).Status);
    }

    [Fact]
    public async Task Plan_and_limits_are_changed_apart_and_limits_as_a_whole()
    {
        var changed = await platform.PatchAsJsonAsync(Path, new { plan = "team", limits = new { members = 500, requestsPerMinute = 12_000 } }).Json();
        Assert.Equal(("team", 500, 12_000), (changed.Text("plan"), changed.GetProperty("limits").GetProperty("members").GetInt32(), changed.GetProperty("limits").GetProperty("requestsPerMinute").GetInt32()));
        changed = await platform.PatchAsJsonAsync(Path, new { limits = new { apiKeys = 0 } }).Json();
        Assert.Equal(("team", """{"apiKeys":0}"""), (changed.Text("plan"), changed.GetProperty("limits").GetRawText()));
        var own = await acme.Client.GetAsync("/api/organization").Json();
        Assert.Equal(("team", """{"apiKeys":0}"""), (own.Text("plan"), own.GetProperty("limits").GetRawText()));
        using var same = await platform.PatchAsJsonAsync(Path, new { plan = "team" });
        Assert.Equal("\"4\"", same.Headers.ETag!.Tag);
        changed = await platform.PatchAsJsonAsync(Path, new Dictionary<string, object?> { ["limits"] = null }).Json();
        Assert.Equal(("team", false), (changed.Text("plan"), changed.TryGetProperty("limits", out _)));
        using var nothing = await platform.PatchAsJsonAsync(Path, new { });
        Assert.Equal("\"5\"", nothing.Headers.ETag!.Tag);
    }

    [Theory]
    [InlineData("""{"plan":"Team"}""", 422, "organization.plan_invalid", "plan")]
    [InlineData("""{"limits":{"requestsPerMinute":0}}""", 422, "organization.limits_invalid", "limits.requestsPerMinute")]
    [InlineData("""{"limits":{"requestsPerMinute":1000001}}""", 422, "organization.limits_invalid", "limits.requestsPerMinute")]
    [InlineData("""{"limits":{"members":-1}}""", 422, "organization.limits_invalid", "limits.members")]
    [InlineData("""{"limits":{"members":1.5}}""", 400, "json.wrong_type", "limits.members")]
    [InlineData("""{"limits":{"members":99999999999}}""", 400, "json.wrong_type", "limits.members")]
    [InlineData("""{"limits":{"pets":1}}""", 400, "json.unknown_member", "limits.pets")]
    [InlineData("""{"limits":5}""", 400, "json.wrong_type", "limits")]
    [InlineData("""{"namesLimits":true}""", 400, "json.unknown_member", "namesLimits")]
    public async Task What_is_refused_names_the_member(string body, int status, string code, string field)
    {
        using var content = new StringContent(body, System.Text.Encoding.UTF8, "application/json");
        var problem = await platform.PatchAsync(Path, content).Refused(status, code);
        Assert.Equal(field, problem.GetProperty("errors")[0].Text("field"));
        Assert.Equal(304, (await Reply.To(platform, "GET", Path, ifNoneMatch: "\"1\"")).Status);
    }

    [Theory]
    [InlineData("PATCH", "")]
    [InlineData("PUT", "/suspension")]
    [InlineData("DELETE", "/suspension")]
    [InlineData("PUT", "/closure")]
    [InlineData("DELETE", "/closure")]
    public async Task A_change_holds_to_its_condition_and_names_an_organization(string method, string what)
    {
        var body = method == "DELETE" ? null : new { };
        var mismatch = await Reply.To(platform, method, Path + what, body, ifMatch: "\"7\"");
        Assert.Equal((412, "\"1\""), (mismatch.Status, mismatch.ETag));
        Assert.InRange((await Reply.To(platform, method, Path + what, body, ifMatch: "\"1\"")).Status, 200, 204);
        foreach (var none in new[] { Guid.CreateVersion7().ToString(), "nonsense", acme.Id.ToUpperInvariant(), acme.Slug })
        {
            var missing = await Reply.To(platform, method, $"/api/admin/tenants/{none}{what}", body);
            Assert.Equal((404, "organization.missing"), (missing.Status, missing.Code));
        }
    }

    [Theory]
    [InlineData("PATCH", "", 200)]
    [InlineData("PUT", "/suspension", 200)]
    [InlineData("DELETE", "/closure", 204)]
    public async Task A_repeated_request_with_its_key_is_answered_as_the_first(string method, string what, int status)
    {
        var key = Guid.NewGuid().ToString();
        var body = method switch { "PATCH" => new { plan = "team" }, "PUT" => (object)new { reason = "unpaid" }, _ => null };
        var first = await Reply.To(platform, method, Path + what, body, key);
        Assert.Equal(status, first.Status);
        await platform.PatchAsJsonAsync(Path, new { plan = "later" }).Json();
        Assert.Equal(first, await Reply.To(platform, method, Path + what, body, key));
    }

    [Fact]
    public async Task An_operators_closure_is_the_operators_to_move_and_to_take_back()
    {
        var day = TimeProvider.System.GetUtcNow().AddDays(3);
        var closing = await platform.PutAsJsonAsync(Path + "/closure", new { closesAt = day, reason = "contract ended" }).Json();
        Assert.Equal(("active", "contract ended", true), (closing.Text("status"), closing.Text("closureReason"), closing.GetProperty("closesByOperator").GetBoolean()));
        using var again = await platform.PutAsync(Path + "/closure", null);
        Assert.Equal("\"2\"", again.Headers.ETag!.Tag);
        await acme.Client.DeleteAsync("/api/organization/closure").Refused(403, "organization.closure_by_operator");
        var moved = await platform.PutAsJsonAsync(Path + "/closure", new { closesAt = day.AddDays(1) }).Json();
        Assert.True(moved.GetProperty("closesAt").GetDateTimeOffset() > closing.GetProperty("closesAt").GetDateTimeOffset());
        await platform.DeleteAsync(Path + "/closure").Json(HttpStatusCode.NoContent);
        Assert.False((await acme.Client.GetAsync("/api/organization").Json()).TryGetProperty("closesAt", out _));
        var past = await platform.PutAsJsonAsync(Path + "/closure", new { closesAt = day.AddDays(-4) }).Refused(422, "organization.closure_past");
        Assert.Equal("closesAt", past.GetProperty("errors")[0].Text("field"));
    }

    [Fact]
    public async Task What_an_operator_did_stands_in_the_organizations_own_trail_with_its_reason()
    {
        await acme.Client.PutAsJsonAsync("/api/organization/closure", new { password = TestTenant.Password, reason = "we move on" }).Json();
        using var suspend = await platform.PutAsJsonAsync(Path + "/suspension", new { reason = "unpaid" });
        using var reactivate = await platform.DeleteAsync(Path + "/suspension");
        await Burst.Until("the owner gets in", TimeSpan.FromSeconds(5), async () => (await Reply.To(acme.Client, "GET", "/api/user")).Status == 200);
        var entry = Assert.Single(await acme.Client.Items("/api/audit-logs?action=organization.suspended", reactivate.Position()));
        Assert.StartsWith("operator:", entry.Text("actor"), StringComparison.Ordinal);
        Assert.Equal(("unpaid", $"organization-{acme.Id}", "127.0.0.1"), (entry.Text("reason"), entry.Text("object"), entry.Text("ip")));
        // The closure's reason is not what the suspension's has replaced.
        Assert.False(entry.TryGetProperty("before", out _), entry.GetRawText());
        var subject = entry.Text("actor").Replace(':', '-');
        var headers = await acme.Api.Database.Scalar<string>($"select headers::text from events.mt_events where tenant_id = '{acme.Id}' and type = 'organization_suspended'");
        Assert.Contains($"\"s\": \"{subject}\"", headers, StringComparison.Ordinal);
        Assert.DoesNotContain("127.0.0.1", headers, StringComparison.Ordinal);
        Assert.Equal(1L, await acme.Api.Database.Scalar<long>($"select count(*) from nubabel.subject_keys where tenant_id = '{acme.Id}' and subject = '{subject}'"));
    }
}
