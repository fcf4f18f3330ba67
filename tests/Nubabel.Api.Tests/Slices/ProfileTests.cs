using System.Net;
using System.Net.Http.Json;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Slices;

public class ProfileTests
{
    [Fact]
    public async Task A_user_reads_and_changes_the_own_profile()
    {
        var acme = await (await TestApi.Shared).SignUp();
        using var changed = await acme.Client.PatchAsJsonAsync("/api/user", new { name = "Ada King" });
        Assert.Equal("\"2\"", changed.Headers.ETag!.Tag);
        var profile = await acme.Client.GetAsync("/api/user").Json();
        Assert.Equal(("Ada King", acme.Email, "owner"), (profile.Text("name"), profile.Text("email"), profile.Text("role")));

        // Sealing is deterministic, so the same name is no change.
        using var same = await acme.Client.PatchAsJsonAsync("/api/user", new { name = "Ada King" });
        Assert.Equal("\"2\"", same.Headers.ETag!.Tag);
    }

    [Fact]
    public async Task An_organization_is_read_and_renamed()
    {
        var acme = await (await TestApi.Shared).SignUp();
        Assert.Equal(acme.Slug, (await acme.Client.GetAsync("/api/organization").Json()).Text("slug"));
        Assert.Equal("New name", (await acme.Client.PatchAsJsonAsync("/api/organization", new { name = " New name " }).Json()).Text("name"));
        await acme.Client.PatchAsJsonAsync("/api/organization", new { name = "a\u0007b" }).Refused(422, "organization.name_invalid");
    }

    [Fact]
    public async Task Sessions_are_listed_and_ended()
    {
        var acme = await (await TestApi.Shared).SignUp();
        using var answer = await acme.Api.Client.Post("/api/auth/sign-in", new { organization = acme.Slug, email = acme.Email, password = TestTenant.Password });
        var second = (await answer.Content.ReadFromJsonAsync<System.Text.Json.JsonElement>()).Text("session_id");
        var sessions = await acme.Client.Items("/api/sessions", answer.Position());
        Assert.Equal([second, acme.Session], sessions.Select(s => s.Text("id")));
        Assert.Equal([false, true], sessions.Select(s => s.GetProperty("current").GetBoolean()));
        Assert.All(sessions, s => Assert.Equal("127.0.0.1", s.Text("ip")));

        using var ended = await acme.Client.DeleteAsync($"/api/sessions/{second}");
        Assert.Equal(HttpStatusCode.NoContent, ended.StatusCode);
        Assert.Single(await acme.Client.Items("/api/sessions", ended.Position()));
        await acme.Client.DeleteAsync($"/api/sessions/{second}").Refused(404, "session.missing");
    }

    [Fact]
    public async Task All_other_sessions_are_ended_at_once()
    {
        var acme = await (await TestApi.Shared).SignUp();
        for (var i = 0; i < 3; i++) await acme.Api.Client.Post("/api/auth/sign-in", new { organization = acme.Slug, email = acme.Email, password = TestTenant.Password }).Json();
        Assert.Equal(3, (await acme.Client.PostAsync("/api/sessions/revoke-others", null).Json()).GetProperty("revoked").GetInt32());
        Assert.Equal(0, (await acme.Client.PostAsync("/api/sessions/revoke-others", null).Json()).GetProperty("revoked").GetInt32());
    }

    [Fact]
    public async Task All_other_sessions_are_ended_once_however_often_the_request_comes()
    {
        var acme = await (await TestApi.Shared).SignUp();
        for (var i = 0; i < 3; i++) await acme.Api.Client.Post("/api/auth/sign-in", new { organization = acme.Slug, email = acme.Email, password = TestTenant.Password }).Json();
        for (var i = 0; i < 2; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "/api/sessions/revoke-others");
            request.Headers.Add("Idempotency-Key", "all-of-them");
            Assert.Equal(3, (await acme.Client.SendAsync(request).Json()).GetProperty("revoked").GetInt32());
        }
        Assert.Equal(0, (await acme.Client.PostAsync("/api/sessions/revoke-others", null).Json()).GetProperty("revoked").GetInt32());
    }

    [Fact]
    public async Task The_audit_trail_says_who_did_what_when_from_where_and_what_it_changed()
    {
        var acme = await (await TestApi.Shared).SignUp();
        using var created = await acme.Client.Post("/api/devices", new { name = "phone", type = "mobile" });
        using var request = new HttpRequestMessage(HttpMethod.Put, created.Headers.Location + "/name") { Content = JsonContent.Create(new { name = "pocket" }) };
        request.Headers.Add("X-Request-ID", "my-request");
        request.Headers.UserAgent.ParseAdd("tests/1.0");
        using var renamed = await acme.Client.SendAsync(request);
        var trail = await acme.Client.Items("/api/audit-logs", renamed.Position());
        Assert.Equal(["device.renamed", "device.registered", "user.registered", "session.opened", "organization.founded"], trail.Select(e => e.Text("action")));
        var entry = trail[0];
        Assert.Equal(($"user:{acme.User}", "my-request", "tests/1.0", "127.0.0.1", "succeeded"), (entry.Text("actor"), entry.Text("requestId"), entry.Text("userAgent"), entry.Text("ip"), entry.Text("outcome")));
        Assert.Equal(("phone", "pocket"), (entry.GetProperty("before").Text("name"), entry.GetProperty("after").Text("name")));
        Assert.DoesNotContain("passwordHash", trail[2].ToString(), StringComparison.Ordinal);
        Assert.Equal(acme.Email, trail[2].GetProperty("after").Text("email"));

        Assert.Single(await acme.Client.Items("/api/audit-logs?action=device.renamed"));
        Assert.Equal(2, (await acme.Client.Items($"/api/audit-logs?object={entry.Text("object")}")).Count);
        Assert.Empty(await acme.Client.Items("/api/audit-logs?to=2001-01-01T00:00:00Z"));
        await acme.Client.GetAsync("/api/audit-logs?acton=x").Refused(400, "query.unknown");
    }

    [Fact]
    public async Task Pages_of_the_trail_join_without_gap_or_overlap()
    {
        var acme = await (await TestApi.Shared).SignUp();
        string? position = null;
        for (var i = 0; i < 9; i++) position = (await acme.Client.Post("/api/devices", new { name = $"d{i}", type = "web" })).Position();
        var whole = (await acme.Client.Items("/api/audit-logs", position)).Select(e => e.Text("id")).ToArray();
        var joined = new List<string>();
        var path = "/api/audit-logs?limit=4";
        while (true)
        {
            var page = await acme.Client.GetAsync(path).Json();
            joined.AddRange(page.GetProperty("items").EnumerateArray().Select(e => e.Text("id")));
            if (page.GetProperty("next").GetString() is not { } next) break;
            path = $"/api/audit-logs?limit=4&cursor={next}";
        }
        Assert.Equal(whole, joined);
        Assert.Equal(12, whole.Length);
    }
}
