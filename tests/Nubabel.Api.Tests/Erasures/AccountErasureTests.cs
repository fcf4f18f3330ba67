using System.Net.Http.Json;
using System.Text.Json;
using Nubabel.Api.Tests.Races;
using Nubabel.Domain.Users;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Erasures;

/// <summary>The end of an account by the person's own wish, as a client sees it.</summary>
public sealed class AccountErasureTests
{
    [Fact]
    public async Task Who_is_erased_gets_a_receipt_and_is_nobody_any_more()
    {
        var owner = await (await TestApi.Shared).SignUp();
        var bob = await owner.Colleague();
        using var device = await bob.Client.PostAsJsonAsync("/api/devices", new { name = "Phone", type = "mobile" });
        device.EnsureSuccessStatusCode();

        var erased = await Reply.To(bob.Client, "DELETE", "/api/user/account");

        Assert.Equal((200, "completed", bob.User), (erased.Status, erased.Text("state"), erased.Text("id")));
        var counts = erased.Json.GetProperty("erased");
        Assert.Equal((1, 1, 1), (counts.GetProperty("keys").GetInt32(), counts.GetProperty("sessions").GetInt32(), counts.GetProperty("devices").GetInt32()));
        var member = await Reply.To(owner.Client, "GET", $"/api/members/{bob.User}");
        Assert.Equal(404, member.Status);
        await Burst.Until("the session is over", TimeSpan.FromSeconds(5), async () => (await Reply.To(bob.Client, "GET", "/api/user")).Status == 401);
        Assert.Equal(401, (await Reply.To(bob.Api.Client, "POST", "/api/auth/sign-in", new { organization = bob.Slug, email = bob.Email, password = TestTenant.Password })).Status);
        Assert.Equal(400, (await Reply.To(bob.Api.Client, "POST", "/api/auth/refresh", new { refresh_token = bob.RefreshToken })).Status);
        // The address is free: who comes anew is somebody else.
        Assert.Equal(201, (await Reply.To(owner.Client, "POST", "/api/invitations", new { email = bob.Email, role = "member" })).Status);
    }

    [Fact]
    public async Task Asking_again_gives_the_same_receipt_by_either_path_and_with_any_key()
    {
        var bob = await (await (await TestApi.Shared).SignUp()).Colleague();
        var first = await Reply.To(bob.Client, "DELETE", "/api/user", key: "one");
        var again = await Reply.To(bob.Client, "DELETE", "/api/user/account", key: "one");
        var anew = await Reply.To(bob.Client, "DELETE", "/api/user/account", new { password = "wrong and of no interest" }, key: "two");
        Assert.Equal(200, first.Status);
        Assert.Equal((first.Body, first.Body), (again.Body, anew.Body));
    }

    [Fact]
    public async Task The_receipt_can_be_checked_by_whoever_has_its_code()
    {
        var bob = await (await (await TestApi.Shared).SignUp()).Colleague();
        var erased = await Reply.To(bob.Client, "DELETE", "/api/user/account");
        var code = erased.Text("code");

        var asked = await Reply.To(bob.Api.Client, "GET", $"/api/erasure-receipts/{code}");

        Assert.Equal(200, asked.Status);
        foreach (var member in new[] { "id", "organizationId", "state", "requestedAt", "completedAt", "statement" }) Assert.Equal(erased.Text(member), asked.Text(member));
        Assert.False(asked.Json.TryGetProperty("code", out _));
        foreach (var wrong in new[] { code[..^1] + (code[^1] == 'A' ? 'B' : 'A'), code.Replace(bob.User, Guid.Empty.ToString(), StringComparison.Ordinal), "nbe", "x" })
            Assert.Equal((404, "erasure.missing"), (await Reply.To(bob.Api.Client, "GET", $"/api/erasure-receipts/{wrong}") is var r ? (r.Status, r.Code) : default));
    }

    [Fact]
    public async Task The_last_owner_stays()
    {
        var owner = await (await TestApi.Shared).SignUp();
        var refused = await Reply.To(owner.Client, "DELETE", "/api/user/account");
        Assert.Equal((409, "organization.last_owner"), (refused.Status, refused.Code));
        Assert.Equal(200, (await Reply.To(owner.Client, "GET", "/api/user")).Status);
        await owner.Colleague(Role.Owner);
        Assert.Equal(200, (await Reply.To(owner.Client, "DELETE", "/api/user/account")).Status);
    }

    [Fact]
    public async Task The_password_proves_it_and_a_wrong_one_does_not()
    {
        var bob = await (await (await TestApi.Shared).SignUp()).Colleague();
        var wrong = await Reply.To(bob.Client, "DELETE", "/api/user/account", new { password = "wrong horse battery" });
        Assert.Equal((422, "password.current_wrong"), (wrong.Status, wrong.Code));
        Assert.Equal(200, (await Reply.To(bob.Client, "GET", "/api/user")).Status);
        Assert.Equal(200, (await Reply.To(bob.Client, "DELETE", "/api/user/account", new { password = TestTenant.Password })).Status);
    }

    [Fact]
    public async Task An_ended_session_erases_nobody()
    {
        var bob = await (await (await TestApi.Shared).SignUp()).Colleague();
        Assert.Equal(204, (await Reply.To(bob.Client, "POST", "/api/auth/sign-out")).Status);
        await Burst.Until("the session is over", TimeSpan.FromSeconds(5), async () => (await Reply.To(bob.Client, "GET", "/api/user")).Status == 401);
        var refused = await Reply.To(bob.Client, "DELETE", "/api/user/account");
        Assert.Equal((401, "credential.revoked"), (refused.Status, refused.Code));
    }

    [Fact]
    public async Task An_operator_erases_who_asked_by_other_means_and_sees_it()
    {
        var api = await TestApi.Shared;
        var bob = await (await api.SignUp()).Colleague();
        using var root = await api.Operator();
        var erased = await Reply.To(root, "POST", "/api/admin/erasures", new { organizationId = bob.Id, userId = bob.User });
        Assert.Equal((200, "completed"), (erased.Status, erased.Text("state")));
        var list = await Reply.Seen(root, $"/api/admin/erasures?organizationId={bob.Id}", erased.Position);
        var row = Assert.Single(list.Json.GetProperty("items").EnumerateArray());
        Assert.Equal((bob.User, "operator", "completed"), (row.GetProperty("id").GetString(), row.GetProperty("wish").GetString(), row.GetProperty("state").GetString()));
        Assert.Equal(404, (await Reply.To(root, "POST", "/api/admin/erasures", new { organizationId = bob.Id, userId = Guid.CreateVersion7() })).Status);
    }
}
