using System.Net.Http.Json;
using Nubabel.Api.Tests.ApiKeys;
using Nubabel.Api.Tests.Races;
using Nubabel.Api.Tests.Slices;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Members;

/// <summary>What would give somebody more than they hold.</summary>
public sealed class EscalationTests
{
    /// <summary>An admin makes keys with everything a key can hold; so a key that made an admin would hold all of it.</summary>
    [Fact]
    public async Task A_key_makes_no_admins()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var viewer = await acme.Colleague(Domain.Users.Role.Viewer);
        using var key = acme.Api.As((await acme.Client.Make("members:write", "invitations:write")).Text("key"));
        Assert.Equal("admins:write", (await key.PutAsJsonAsync($"/api/members/{viewer.User}/role", new { role = "admin" }).Refused(403, "permission.denied")).Text("required"));
        Assert.Equal("admins:write", (await key.Post("/api/invitations", new { email = $"a@{acme.Slug}.example", role = "admin" }).Refused(403, "permission.denied")).Text("required"));
        Assert.Equal("owners:write", (await key.Post("/api/invitations", new { email = $"a@{acme.Slug}.example", role = "owner" }).Refused(403, "permission.denied")).Text("required"));
        Assert.Equal("member", (await key.PutAsJsonAsync($"/api/members/{viewer.User}/role", new { role = "member" }).Json()).Text("role"));
        await key.Post("/api/invitations", new { email = $"a@{acme.Slug}.example", role = "member" }).Json(System.Net.HttpStatusCode.Created);
    }

    [Fact]
    public async Task A_link_of_before_changes_no_password_in_a_suspended_organization()
    {
        var acme = await (await TestApi.Shared).SignUp();
        using var platform = await acme.Api.Operator();
        await acme.Api.Client.Post("/api/auth/password-reset", new { organization = acme.Slug, email = acme.Email }).Json(System.Net.HttpStatusCode.Accepted);
        var token = (await acme.Api.LetterTo(acme.Email)).Token;
        await platform.PutAsJsonAsync($"/api/admin/tenants/{acme.Id}/suspension", new { reason = "unpaid" }).Json();
        await Burst.Until("the suspension counts", TimeSpan.FromSeconds(5), async () => (await Reply.To(acme.Client, "GET", "/api/user")).Status == 403);
        var wish = new { token, password = "another good password" };
        await acme.Api.Client.Post("/api/auth/password-reset/confirm", wish).Refused(403, "organization.suspended");
        using (await platform.DeleteAsync($"/api/admin/tenants/{acme.Id}/suspension")) await Burst.Until("it is over", TimeSpan.FromSeconds(5), async () => (await Reply.To(acme.Client, "GET", "/api/user")).Status == 200);
        await acme.Api.Client.Post("/api/auth/password-reset/confirm", wish).Json(System.Net.HttpStatusCode.NoContent);
    }

    [Fact]
    public async Task Who_guesses_from_inside_a_session_is_named()
    {
        var acme = await (await TestApi.Shared).SignUp();
        await acme.Client.PutAsJsonAsync("/api/user/password", new { current = "wrong wrong wrong", @new = "another good password" }).Refused(422, "password.current_wrong");
        var entry = Assert.Single(await acme.Client.Items("/api/audit-logs?action=sign_in.failed", (await acme.Client.Post("/api/devices", new { name = "d", type = "web" })).Position()));
        Assert.Equal($"user:{acme.User}", entry.Text("actor"));
    }
}
