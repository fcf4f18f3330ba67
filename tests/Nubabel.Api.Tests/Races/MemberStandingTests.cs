using Nubabel.Domain.Users;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Races;

/// <summary>
/// What is done to a member on one node counts on the other within a second, for tokens that are out already. The bound here is wider, for a machine that
/// has other work.
/// </summary>
[Collection(TwoNodes.Name)]
public sealed class MemberStandingTests(TwoNodes nodes)
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(5);

    [Theory]
    [InlineData("demoted", false)]
    [InlineData("suspended", false)]
    [InlineData("removed", false)]
    [InlineData("demoted", true)]
    [InlineData("suspended", true)]
    [InlineData("removed", true)]
    public async Task What_happens_to_a_member_counts_on_the_other_node(string what, bool whileTheMarkIsHeld)
    {
        var acme = await nodes.A.SignUp();
        var bob = await acme.Colleague(Role.Member);
        using var there = nodes.B.As(bob.AccessToken);
        Assert.Equal(201, (await Register(there)).Status);

        await using var held = whileTheMarkIsHeld ? await Gap.Open(nodes.Database) : null;
        var reply = what switch
        {
            "demoted" => await Reply.To(acme.Client, "PUT", $"/api/members/{bob.User}/role", new { role = "viewer" }),
            "suspended" => await Reply.To(acme.Client, "PUT", $"/api/members/{bob.User}/suspension", new { reason = "on leave" }),
            _ => await Reply.To(acme.Client, "DELETE", $"/api/members/{bob.User}"),
        };
        Assert.True(reply.Status is 200 or 204, reply.Body);
        var expected = what switch { "demoted" => (403, "permission.denied"), "suspended" => (403, "user.suspended"), _ => (401, "credential.revoked") };
        await Burst.Until($"who was {what} may not", Soon, async () => await Register(there) is var answer && (answer.Status, answer.Code) == expected);

        var refreshed = await Reply.To(nodes.B.Client, "POST", "/api/auth/refresh", new { refresh_token = bob.RefreshToken });
        var signedIn = await Reply.To(nodes.B.Client, "POST", "/api/auth/sign-in", new { organization = bob.Slug, email = bob.Email, password = TestTenant.Password });
        Assert.Equal(what == "demoted" ? 200 : 400, refreshed.Status);
        Assert.Equal(what switch { "demoted" => (200, null), "suspended" => (403, "user.suspended"), _ => (401, "sign_in.failed") }, (signedIn.Status, signedIn.Code));
    }

    [Fact]
    public async Task A_promotion_counts_on_the_other_node()
    {
        var acme = await nodes.A.SignUp();
        var bob = await acme.Colleague(Role.Viewer);
        using var there = nodes.B.As(bob.AccessToken);
        Assert.Equal(403, (await Reply.To(there, "GET", "/api/invitations")).Status);
        Assert.Equal(200, (await Reply.To(acme.Client, "PUT", $"/api/members/{bob.User}/role", new { role = "owner" })).Status);
        await Burst.Until("the new owner sees invitations", Soon, async () => (await Reply.To(there, "GET", "/api/invitations")).Status == 200);
        Assert.Equal(204, (await Reply.To(there, "DELETE", $"/api/members/{acme.User}")).Status);
        await Burst.Until("the removed owner is nobody", Soon, async () => (await Reply.To(acme.Client, "GET", "/api/user")).Code == "credential.revoked");
    }

    [Fact]
    public async Task Who_is_taken_in_on_one_node_is_somebody_on_the_other_at_once()
    {
        var acme = await nodes.A.SignUp();
        var invited = await Reply.To(acme.Client, "POST", "/api/invitations", new { email = $"bob@{acme.Slug}.example", role = "member" });
        var accepted = await Reply.To(nodes.A.Client, "POST", "/api/invitations/accept", new { token = invited.Text("token"), name = "Bob", password = "another good password" });
        using var there = nodes.B.As(accepted.Text("access_token"));
        Assert.Equal(200, (await Reply.To(there, "GET", "/api/user")).Status);
    }

    private static Task<Reply> Register(HttpClient client) => Reply.To(client, "POST", "/api/devices", new { name = $"d{Guid.NewGuid():N}", type = "web" });
}
