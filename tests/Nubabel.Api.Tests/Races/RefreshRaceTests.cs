namespace Nubabel.Api.Tests.Races;

[Collection(TwoNodes.Name)]
public sealed class RefreshRaceTests(TwoNodes nodes)
{
    [Fact]
    public async Task A_hundred_uses_of_one_refresh_token_get_one_successor()
    {
        var acme = await nodes.A.SignUp();
        var replies = await Burst.Of(100, i => Refresh(i, acme.RefreshToken));

        Assert.All(replies, r => Assert.Equal(200, r.Status));
        var successor = Assert.Single(replies.Select(r => r.Text("refresh_token")).Distinct());
        Assert.NotEqual(acme.RefreshToken, successor);
        Assert.Equal(1, await nodes.Events(acme, "session_refreshed"));
        Assert.Equal(200, (await Refresh(1, successor)).Status);
        // Within its grace the old one still leads to the same successor, which has a successor itself by now.
        Assert.Equal(successor, (await Refresh(0, acme.RefreshToken)).Text("refresh_token"));
    }

    [Fact]
    public async Task A_refresh_token_that_comes_again_after_its_grace_ends_its_family_on_every_node_and_no_other_session()
    {
        var acme = await nodes.A.SignUp();
        var other = await nodes.SignIn(acme);
        var successor = await Refresh(0, acme.RefreshToken);
        Assert.Equal(200, successor.Status);
        nodes.Time.Move(TimeSpan.FromSeconds(31));

        var replies = await Burst.Of(10, i => Refresh(i, acme.RefreshToken));
        Assert.All(replies, r => Assert.Equal((400, "session.invalid_grant", "invalid_grant"), (r.Status, r.Code, r.Text("error"))));
        foreach (var token in (string[])[acme.AccessToken, successor.Text("access_token")])
            foreach (var node in (Testing.TestApi[])[nodes.A, nodes.B])
                await Burst.Until("the family's access token is refused", TimeSpan.FromSeconds(5), async () => (await Reply.To(node.As(token), "GET", "/api/user")) is { Status: 401, Code: "credential.revoked" });
        Assert.Equal(400, (await Refresh(1, successor.Text("refresh_token"))).Status);
        Assert.Equal(1, await nodes.Events(acme, "session_refresh_reused"));
        Assert.Equal(1, await nodes.Events(acme, "session_revoked"));

        using var alive = nodes.B.As(other.Text("access_token"));
        Assert.Equal(200, (await Refresh(1, other.Text("refresh_token"))).Status);
        await Burst.Until("the audit trail tells of the reuse", TimeSpan.FromSeconds(10), async () =>
            (await Reply.To(alive, "GET", "/api/audit-logs?action=session.refresh_reused")).Json.GetProperty("items").EnumerateArray()
                .Any(e => e.GetProperty("outcome").GetString() == "refused" && e.GetProperty("object").GetString() == $"session-{acme.Session}"));
    }

    [Fact]
    public async Task A_reuse_with_a_key_is_refused_each_time_and_gives_no_tokens()
    {
        var acme = await nodes.A.SignUp();
        Assert.Equal(200, (await Refresh(0, acme.RefreshToken)).Status);
        nodes.Time.Move(TimeSpan.FromSeconds(31));
        for (var i = 0; i < 4; i++)
        {
            var reply = await Refresh(i, acme.RefreshToken, "k");
            Assert.Equal((400, "session.invalid_grant"), (reply.Status, reply.Code));
        }
    }

    private Task<Reply> Refresh(int node, string token, string? key = null) => Reply.To(nodes.Anonymous[node % 2], "POST", "/api/auth/refresh", new { refresh_token = token }, key);
}
