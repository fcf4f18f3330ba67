using Nubabel.Domain.Users;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Races;

/// <summary>An organization is never without an owner, whoever does what at the same time, on whichever node.</summary>
[Collection(TwoNodes.Name)]
public sealed class MemberRaceTests(TwoNodes nodes)
{
    private const int Rounds = 20;

    [Theory]
    [InlineData("demote", "demote", false)]
    [InlineData("demote", "leave", true)]
    [InlineData("leave", "leave", false)]
    [InlineData("suspend", "remove", false)]
    [InlineData("remove", "step down", true)]
    [InlineData("step down", "step down", false)]
    public async Task Of_two_owners_whose_rule_is_to_end_at_once_one_stays(string first, string second, bool bothByOne)
    {
        for (var round = 0; round < Rounds; round++)
        {
            var acme = await nodes.A.SignUp();
            var other = await acme.Colleague(Role.Owner);
            var (one, two) = (acme, bothByOne ? acme : other);
            var (here, there) = round % 2 == 0 ? (nodes.A, nodes.B) : (nodes.B, nodes.A);
            var replies = await Task.WhenAll(
                Task.Run(() => Act(here.As(one.AccessToken), first, acme.User, other.User)),
                Task.Run(() => Act(there.As(two.AccessToken), second, two.User, bothByOne ? other.User : acme.User)));

            Assert.True(replies.Count(r => r.Status is 200 or 204) == 1, $"Round {round}: {string.Join(" | ", replies.Select(r => $"{r.Status} {r.Body}"))}");
            // Who lost hears why, or is already out where the other was faster by more than the tail's delay.
            var lost = replies.Single(r => r.Status >= 400);
            Assert.True(lost.Code is "organization.last_owner" or "permission.denied" or "credential.revoked" or "user.suspended", lost.Body);
            Assert.Equal(1, await nodes.Events(acme, "organization_owner_added") + 1 - await nodes.Events(acme, "organization_owner_removed"));
            var left = new[] { acme, other }.Select(async user => (await Reply.To(nodes.A.As(user.AccessToken), "GET", "/api/user")) is { Status: 200 } me && me.Text("role") == "owner");
            await Burst.Until("one owner is left", TimeSpan.FromSeconds(5), async () => (await Task.WhenAll(left)).Count(is_ => is_) == 1);
        }
    }

    [Fact]
    public async Task An_owner_who_leaves_while_being_demoted_is_gone_and_the_other_stays()
    {
        for (var round = 0; round < Rounds; round++)
        {
            var acme = await nodes.A.SignUp();
            var other = await acme.Colleague(Role.Owner);
            var replies = await Task.WhenAll(
                Task.Run(() => Act(acme.Client, "demote", acme.User, other.User)), Task.Run(() => Act(nodes.B.As(other.AccessToken), "leave", other.User, acme.User)));
            Assert.Contains((replies[0].Status, replies[1].Status), new[] { (200, 204), (404, 204) });
            Assert.Equal(1, await nodes.Events(acme, "organization_owner_removed"));
            Assert.Equal("organization.last_owner", (await Act(acme.Client, "leave", acme.User, other.User)).Code);
        }
    }

    [Fact]
    public async Task Of_many_owners_who_leave_at_once_the_last_stays()
    {
        var acme = await nodes.A.SignUp();
        var owners = new List<TestTenant> { acme };
        for (var i = 0; i < 7; i++) owners.Add(await acme.Colleague(Role.Owner));
        var replies = await Burst.Of(owners.Count, i => Reply.To((i % 2 == 0 ? nodes.A : nodes.B).As(owners[i].AccessToken), "DELETE", $"/api/members/{owners[i].User}"));
        Assert.Equal(7, replies.Count(r => r.Status == 204));
        Assert.Equal((409, "organization.last_owner"), replies.Where(r => r.Status != 204).Select(r => (r.Status, r.Code!)).Single());
    }

    [Fact]
    public async Task A_member_who_is_made_an_owner_meanwhile_is_not_removed_by_an_admin()
    {
        for (var round = 0; round < Rounds; round++)
        {
            var acme = await nodes.A.SignUp();
            var (admin, bob) = (await acme.Colleague(Role.Admin), await acme.Colleague());
            var replies = await Task.WhenAll(
                Task.Run(() => Reply.To(acme.Client, "PUT", $"/api/members/{bob.User}/role", new { role = "owner" })),
                Task.Run(() => Reply.To(nodes.B.As(admin.AccessToken), "DELETE", $"/api/members/{bob.User}")));
            // Either removed before, or an owner then, who is not the admin's to remove.
            Assert.Contains((replies[0].Status, replies[1].Status), new[] { (404, 204), (200, 403) });
            Assert.Equal(replies[0].Status == 200 ? 1 : 0, await nodes.Events(acme, "organization_owner_added"));
        }
    }

    [Theory]
    [InlineData("member")]
    [InlineData("owner")]
    public async Task Of_fifty_who_accept_one_invitation_at_once_one_gets_an_account(string role)
    {
        var acme = await nodes.A.SignUp();
        var invited = await Reply.To(acme.Client, "POST", "/api/invitations", new { email = $"bob@{acme.Slug}.example", role });
        var replies = await Burst.Of(50, i => Reply.To(nodes.Anonymous[i % 2], "POST", "/api/invitations/accept", new { token = invited.Text("token"), name = $"Bob {i}", password = "another good password" }));
        Assert.Single(replies, r => r.Status == 201);
        Assert.Equal(49, replies.Count(r => r is { Status: 422, Code: "invitation.token_invalid" }));
        Assert.Equal((2, 1, 2), (await nodes.Events(acme, "user_registered"), await nodes.Events(acme, "invitation_accepted"), await nodes.Events(acme, "session_opened")));
        Assert.Equal(role == "owner" ? 1 : 0, await nodes.Events(acme, "organization_owner_added"));
    }

    [Fact]
    public async Task Of_thirty_acceptances_under_one_idempotency_key_all_get_the_same_tokens()
    {
        var acme = await nodes.A.SignUp();
        var invited = await Reply.To(acme.Client, "POST", "/api/invitations", new { email = $"bob@{acme.Slug}.example", role = "member" });
        var body = new { token = invited.Text("token"), name = "Bob", password = "another good password" };
        var replies = await Burst.Of(30, i => Reply.To(nodes.Anonymous[i % 2], "POST", "/api/invitations/accept", body, $"k-{acme.Slug}"));
        Assert.Equal(201, Assert.Single(replies.Distinct()).Status);
        Assert.Equal(2, await nodes.Events(acme, "user_registered"));
    }

    [Fact]
    public async Task Of_twenty_who_invite_one_address_at_once_one_invites_it()
    {
        var acme = await nodes.A.SignUp();
        var clients = nodes.Clients(acme);
        var replies = await Burst.Of(20, i => Reply.To(clients[i % 2], "POST", "/api/invitations", new { email = i % 3 == 0 ? $"BOB@{acme.Slug}.example" : $"bob@{acme.Slug}.example", role = "member" }));
        Assert.Single(replies, r => r.Status == 201);
        Assert.Equal(19, replies.Count(r => r is { Status: 409, Code: "invitation.exists" }));
    }

    [Fact]
    public async Task An_invitation_that_is_withdrawn_and_accepted_at_once_is_one_of_the_two()
    {
        for (var round = 0; round < Rounds; round++)
        {
            var acme = await nodes.A.SignUp();
            var invited = await Reply.To(acme.Client, "POST", "/api/invitations", new { email = $"bob@{acme.Slug}.example", role = "member" });
            var replies = await Task.WhenAll(
                Task.Run(() => Reply.To(acme.Client, "DELETE", invited.Location!)),
                Task.Run(() => Reply.To(nodes.B.Client, "POST", "/api/invitations/accept", new { token = invited.Text("token"), name = "Bob", password = "another good password" })));
            Assert.Contains((replies[0].Status, replies[1].Status), new[] { (204, 422), (404, 201) });
        }
    }

    [Fact]
    public async Task An_invitation_that_ran_out_is_refused_and_makes_room_for_the_next()
    {
        var acme = await nodes.A.SignUp();
        var wish = new { email = $"bob@{acme.Slug}.example", role = "member" };
        var first = await Reply.To(acme.Client, "POST", "/api/invitations", wish);
        nodes.Time.Move(TimeSpan.FromDays(7));
        using var again = nodes.A.As((await nodes.SignIn(acme)).Text("access_token"));
        Assert.Equal("invitation.token_invalid", (await Reply.To(nodes.B.Client, "POST", "/api/invitations/accept", new { token = first.Text("token"), name = "Bob", password = "another good password" })).Code);
        Assert.Empty((await Reply.Seen(again, "/api/invitations", first.Position)).Json.GetProperty("items").EnumerateArray());
        var clients = new[] { again, nodes.B.As((await nodes.SignIn(acme)).Text("access_token")) };
        var replies = await Burst.Of(10, i => Reply.To(clients[i % 2], "POST", "/api/invitations", wish));
        var second = Assert.Single(replies, r => r.Status == 201);
        Assert.Equal(9, replies.Count(r => r.Code == "invitation.exists"));
        Assert.Equal(1, await nodes.Events(acme, "invitation_expired"));
        Assert.Equal(201, (await Reply.To(nodes.B.Client, "POST", "/api/invitations/accept", new { token = second.Text("token"), name = "Bob", password = "another good password" })).Status);
    }

    private static Task<Reply> Act(HttpClient client, string what, string oneself, string other) => what switch
    {
        "demote" => Reply.To(client, "PUT", $"/api/members/{other}/role", new { role = "admin" }),
        "step down" => Reply.To(client, "PUT", $"/api/members/{oneself}/role", new { role = "viewer" }),
        "leave" => Reply.To(client, "DELETE", $"/api/members/{oneself}"),
        "remove" => Reply.To(client, "DELETE", $"/api/members/{other}"),
        "suspend" => Reply.To(client, "PUT", $"/api/members/{other}/suspension"),
        _ => throw new ArgumentOutOfRangeException(nameof(what)),
    };
}
