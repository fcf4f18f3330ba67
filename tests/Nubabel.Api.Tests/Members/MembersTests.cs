using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Nubabel.Api.Tests.Races;
using Nubabel.Api.Tests.Slices;
using Nubabel.Domain.Users;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Members;

public sealed class MembersTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(5);

    [Fact]
    public async Task Members_are_listed_with_name_and_address_newest_first()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var bob = await acme.Colleague(Role.Viewer);
        var members = await acme.Client.Items("/api/members", await Now(bob));
        Assert.Equal([bob.User, acme.User], members.Select(m => m.Text("id")));
        Assert.Equal((bob.Email, "Bob", "viewer", "active"), (members[0].Text("email"), members[0].Text("name"), members[0].Text("role"), members[0].Text("status")));
        Assert.Equal(acme.Email, members[1].Text("email"));
        Assert.True(members[0].GetProperty("joinedAt").GetDateTimeOffset() >= members[1].GetProperty("joinedAt").GetDateTimeOffset());
    }

    [Fact]
    public async Task Members_are_listed_by_role_and_status_and_page_by_page()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var bob = await acme.Colleague(Role.Admin);
        var eve = await acme.Colleague(Role.Admin);
        var suspended = await Reply.To(acme.Client, "PUT", $"/api/members/{eve.User}/suspension");
        Assert.Equal(200, suspended.Status);
        Assert.Equal([eve.User, bob.User], await Ids("role=admin"));
        Assert.Equal([eve.User], await Ids("status=suspended"));
        Assert.Equal([bob.User], await Ids("role=admin&status=active"));
        Assert.Equal([], await Ids("role=viewer"));
        var first = (await Reply.Seen(acme.Client, "/api/members?limit=2", suspended.Position)).Json;
        var second = await acme.Client.GetAsync($"/api/members?limit=2&cursor={first.Text("next")}").Json();
        Assert.Equal([acme.User], second.GetProperty("items").EnumerateArray().Select(m => m.Text("id")));
        foreach (var bad in new[] { "role=boss", "role=Owner", "status=removed", "status=none", "role=0" })
            await acme.Client.GetAsync($"/api/members?{bad}").Refused(400, "query.invalid");

        async Task<IEnumerable<string>> Ids(string filter) => (await acme.Client.Items($"/api/members?{filter}", suspended.Position)).Select(m => m.Text("id"));
    }

    [Fact]
    public async Task A_member_is_read_from_the_stream_with_an_entity_tag()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var bob = await acme.Colleague();
        var member = await Reply.To(acme.Client, "GET", $"/api/members/{bob.User}");
        Assert.Equal((200, "\"1\"", "member"), (member.Status, member.ETag, member.Text("role")));
        Assert.Equal(304, (await Reply.To(acme.Client, "GET", $"/api/members/{bob.User}", ifNoneMatch: "\"1\"")).Status);
        Assert.Equal(412, (await Reply.To(acme.Client, "PUT", $"/api/members/{bob.User}/role", new { role = "viewer" }, ifMatch: "\"7\"")).Status);
        var changed = await Reply.To(acme.Client, "PUT", $"/api/members/{bob.User}/role", new { role = "viewer" }, ifMatch: "\"1\"");
        Assert.Equal((200, "\"2\"", "viewer"), (changed.Status, changed.ETag, changed.Text("role")));
    }

    [Fact]
    public async Task A_changed_role_counts_for_tokens_that_are_out_and_shows_in_the_profile()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var bob = await acme.Colleague();
        await acme.Client.PutAsJsonAsync($"/api/members/{bob.User}/role", new { role = "viewer" }).Json();
        await Burst.Until("a viewer registers no device", Bound, async () => (await Reply.To(bob.Client, "POST", "/api/devices", new { name = $"d{Guid.NewGuid():N}", type = "web" })).Code == "permission.denied");
        var profile = await bob.Client.GetAsync("/api/user").Json();
        Assert.Equal(("viewer", "active"), (profile.Text("role"), profile.Text("status")));
    }

    [Fact]
    public async Task Owners_are_made_and_unmade_by_owners_only()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var (admin, owner, bob) = (await acme.Colleague(Role.Admin), await acme.Colleague(Role.Owner), await acme.Colleague());
        foreach (var who in new[] { admin.User, bob.User })
            Assert.Equal("owners:write", (await admin.Client.PutAsJsonAsync($"/api/members/{who}/role", new { role = "owner" }).Refused(403, "permission.denied")).Text("required"));
        foreach (var (method, path, body) in new[] { ("PUT", "/role", (object?)new { role = "viewer" }), ("PUT", "/suspension", null), ("DELETE", "", null) })
            Assert.Equal("owners:write", (await Reply.To(admin.Client, method, $"/api/members/{owner.User}{path}", body)).Json.Text("required"));
        await admin.Client.PutAsJsonAsync($"/api/members/{bob.User}/role", new { role = "admin" }).Json();
        await acme.Client.PutAsJsonAsync($"/api/members/{bob.User}/role", new { role = "owner" }).Json();
        await acme.Client.PutAsJsonAsync($"/api/members/{bob.User}/role", new { role = "viewer" }).Json();
        await bob.Client.DeleteAsync($"/api/members/{admin.User}").Refused(403, "permission.denied");
    }

    [Fact]
    public async Task A_suspended_owner_is_none_of_those_who_can_run_the_place()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var bob = await acme.Colleague(Role.Owner);
        await acme.Client.PutAsJsonAsync($"/api/members/{bob.User}/suspension", new { reason = "on leave" }).Json();
        await acme.Client.DeleteAsync($"/api/members/{acme.User}").Refused(409, "organization.last_owner");
        await acme.Client.PutAsJsonAsync($"/api/members/{acme.User}/role", new { role = "admin" }).Refused(409, "organization.last_owner");
        Assert.Equal("owner", (await acme.Client.GetAsync($"/api/members/{bob.User}").Json()).Text("role"));
        await acme.Client.DeleteAsync($"/api/members/{bob.User}/suspension").Json(HttpStatusCode.NoContent);
        await acme.Client.DeleteAsync($"/api/members/{acme.User}").Json(HttpStatusCode.NoContent);
        await Burst.Until("who has left is nobody", Bound, async () => (await Reply.To(acme.Client, "GET", "/api/user")).Code == "credential.revoked");
        await Burst.Until("the reinstated owner gets in", Bound, async () => (await Reply.To(bob.Client, "GET", "/api/members")).Status == 200);
        await bob.Client.DeleteAsync($"/api/members/{bob.User}").Refused(409, "organization.last_owner");
    }

    [Fact]
    public async Task A_suspended_owner_who_is_promoted_or_demoted_counts_only_when_back()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var bob = await acme.Colleague(Role.Member);
        await acme.Client.PutAsync($"/api/members/{bob.User}/suspension", null).Json();
        await acme.Client.PutAsJsonAsync($"/api/members/{bob.User}/role", new { role = "owner" }).Json();
        await acme.Client.DeleteAsync($"/api/members/{acme.User}").Refused(409, "organization.last_owner");
        await acme.Client.DeleteAsync($"/api/members/{bob.User}/suspension").Json(HttpStatusCode.NoContent);
        await acme.Client.PutAsJsonAsync($"/api/members/{acme.User}/role", new { role = "viewer" }).Json();
    }

    [Fact]
    public async Task A_viewer_leaves_and_may_be_invited_again()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var (bob, eve) = (await acme.Colleague(Role.Viewer), await acme.Colleague(Role.Viewer));
        Assert.Equal("members:write", (await bob.Client.DeleteAsync($"/api/members/{eve.User}").Refused(403, "permission.denied")).Text("required"));
        var left = await Reply.To(bob.Client, "DELETE", $"/api/members/{bob.User}");
        Assert.Equal(204, left.Status);
        await acme.Client.GetAsync($"/api/members/{bob.User}").Refused(404, "user.missing");
        Assert.DoesNotContain(bob.User, (await acme.Client.Items("/api/members", left.Position)).Select(m => m.Text("id")));
        await Burst.Until("who has left is nobody", Bound, async () => (await Reply.To(bob.Client, "GET", "/api/user")).Code == "credential.revoked");
        Assert.Equal(400, (await Reply.To(acme.Api.Client, "POST", "/api/auth/refresh", new { refresh_token = bob.RefreshToken })).Status);
        Assert.Equal("sign_in.failed", (await SignIn(bob)).Code);
        Assert.Equal(201, (await Reply.To(acme.Client, "POST", "/api/invitations", new { email = bob.Email, role = "member" })).Status);
        Assert.Equal(1, await Events(acme, "user_left"));
    }

    [Fact]
    public async Task A_removal_has_a_reason_and_happens_once()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var bob = await acme.Colleague();
        await acme.Client.DeleteAsync($"/api/members/{bob.User}?reason={new string('x', 501)}").Refused(422, "reason.invalid");
        var first = await Reply.To(acme.Client, "DELETE", $"/api/members/{bob.User}?reason=moved+on", key: "once");
        Assert.Equal(204, first.Status);
        Assert.Equal(first, await Reply.To(acme.Client, "DELETE", $"/api/members/{bob.User}?reason=moved+on", key: "once"));
        foreach (var (method, path, body) in new[] { ("DELETE", "", (object?)null), ("PUT", "/role", new { role = "admin" }), ("PUT", "/suspension", null), ("DELETE", "/suspension", null), ("GET", "", null) })
            Assert.Equal("user.missing", (await Reply.To(acme.Client, method, $"/api/members/{bob.User}{path}", body)).Code);
        var entry = (await acme.Client.Items($"/api/audit-logs?action=user.removed&object=user-{bob.User}", first.Position)).Single();
        Assert.Equal(("moved on", $"user:{acme.User}"), (entry.GetProperty("after").Text("reason"), entry.Text("actor")));
    }

    [Fact]
    public async Task A_repeated_change_is_answered_as_it_was_whatever_has_become_of_the_member()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var bob = await acme.Colleague();
        var first = await Reply.To(acme.Client, "PUT", $"/api/members/{bob.User}/role", new { role = "owner" }, key: "once");
        Assert.Equal((200, "owner"), (first.Status, first.Text("role")));
        await acme.Client.DeleteAsync($"/api/members/{bob.User}").Json(HttpStatusCode.NoContent);
        Assert.Equal(first, await Reply.To(acme.Client, "PUT", $"/api/members/{bob.User}/role", new { role = "owner" }, key: "once"));
    }

    [Fact]
    public async Task A_suspended_member_is_told_so_after_the_right_password_only_and_comes_back()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var bob = await acme.Colleague();
        await acme.Client.PutAsJsonAsync($"/api/members/{bob.User}/suspension", new { reason = "on leave" }).Json();
        await Burst.Until("a suspended member is kept out", Bound, async () => (await Reply.To(bob.Client, "GET", "/api/user")).Code == "user.suspended");
        Assert.Equal((403, "user.suspended"), ((await SignIn(bob)).Status, (await SignIn(bob)).Code));
        Assert.Equal((401, "sign_in.failed"), ((await SignIn(bob, "another horse battery")).Status, (await SignIn(bob, "another horse battery")).Code));
        Assert.Equal("session.invalid_grant", (await Reply.To(acme.Api.Client, "POST", "/api/auth/refresh", new { refresh_token = bob.RefreshToken })).Code);
        await acme.Client.DeleteAsync($"/api/members/{bob.User}/suspension").Json(HttpStatusCode.NoContent);
        Assert.Equal(200, (await SignIn(bob)).Status);
        await Burst.Until("a reinstated member gets in", Bound, async () => (await Reply.To(bob.Client, "GET", "/api/user")).Status == 200);
        Assert.Equal(200, (await Reply.To(acme.Api.Client, "POST", "/api/auth/refresh", new { refresh_token = bob.RefreshToken })).Status);
    }

    [Fact]
    public async Task Nobody_suspends_the_own_account()
    {
        var acme = await (await TestApi.Shared).SignUp();
        await acme.Client.PutAsync($"/api/members/{acme.User}/suspension", null).Refused(409, "user.own_suspension");
    }

    [Fact]
    public async Task An_admin_steps_down_by_oneself_and_does_not_come_back_up()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var admin = await acme.Colleague(Role.Admin);
        await admin.Client.PutAsJsonAsync($"/api/members/{admin.User}/role", new { role = "viewer" }).Json();
        await Burst.Until("a viewer changes no role", Bound, async () => (await Reply.To(admin.Client, "PUT", $"/api/members/{admin.User}/role", new { role = "viewer" })).Status == 403);
        await admin.Client.PutAsJsonAsync($"/api/members/{admin.User}/role", new { role = "admin" }).Refused(403, "permission.denied");
    }

    private static Task<Reply> SignIn(TestTenant user, string password = TestTenant.Password) =>
        Reply.To(user.Api.Client, "POST", "/api/auth/sign-in", new { organization = user.Slug, email = user.Email, password });

    private static Task<long> Events(TestTenant tenant, string type) =>
        tenant.Api.Database.Scalar<long>($"select count(*) from events.mt_events where tenant_id = '{tenant.Id}' and type = '{type}'");

    /// <summary>A position that stands behind all the user has done so far.</summary>
    private static async Task<string> Now(TestTenant user) => (await SignIn(user)).Position!;
}
