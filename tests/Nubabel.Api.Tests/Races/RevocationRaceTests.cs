using Nubabel.Testing;

namespace Nubabel.Api.Tests.Races;

/// <summary>A revoked session's access token stops on every node within a second. The bound here is wider, for a machine that has other work.</summary>
[Collection(TwoNodes.Name)]
public sealed class RevocationRaceTests(TwoNodes nodes)
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(5);

    [Theory]
    [InlineData("sign-out", false)]
    [InlineData("revoke", false)]
    [InlineData("revoke others", false)]
    [InlineData("sign-out", true)]
    [InlineData("revoke", true)]
    [InlineData("revoke others", true)]
    public async Task A_revoked_session_stops_on_the_other_node(string how, bool whileTheMarkIsHeld)
    {
        var acme = await nodes.A.SignUp();
        var signedIn = await nodes.SignIn(acme);
        var token = signedIn.Text("access_token");
        using var there = nodes.B.As(token);
        Assert.Equal(200, (await Reply.To(there, "GET", "/api/user")).Status);

        await using var held = whileTheMarkIsHeld ? await Gap.Open(nodes.Database) : null;
        var reply = how switch
        {
            "sign-out" => await Reply.To(nodes.A.As(token), "POST", "/api/auth/sign-out"),
            "revoke" => await Reply.To(acme.Client, "DELETE", $"/api/sessions/{signedIn.Text("session_id")}"),
            _ => await Reply.To(acme.Client, "POST", "/api/sessions/revoke-others"),
        };
        Assert.True(reply.Status is 200 or 204, reply.Body);
        await Burst.Until("the token is refused", Soon, async () => (await Reply.To(there, "GET", "/api/user")).Code == "credential.revoked");
        Assert.Equal(200, (await Reply.To(acme.Client, "GET", "/api/user")).Status);
    }

    [Fact]
    public async Task A_sign_in_that_no_list_shows_yet_is_among_the_others()
    {
        var acme = await nodes.A.SignUp();
        await using var held = await Gap.Open(nodes.Database);
        var late = await nodes.SignIn(acme);
        using var gone = nodes.A.As((await nodes.SignIn(acme)).Text("access_token"));
        await Reply.To(gone, "POST", "/api/auth/sign-out");

        var reply = await Reply.To(nodes.B.As(acme.AccessToken), "POST", "/api/sessions/revoke-others");
        Assert.Equal((200, 1), (reply.Status, reply.Json.GetProperty("revoked").GetInt32()));
        using var there = nodes.B.As(late.Text("access_token"));
        await Burst.Until("the token is refused", Soon, async () => (await Reply.To(there, "GET", "/api/user")).Status == 401);
    }

    [Fact]
    public async Task A_node_that_starts_later_knows_at_once_who_was_revoked_also_what_no_list_shows_yet()
    {
        var acme = await nodes.A.SignUp();
        var before = (await nodes.SignIn(acme)).Text("access_token");
        await Reply.To(nodes.A.As(before), "POST", "/api/auth/sign-out");
        await using var held = await Gap.Open(nodes.Database);
        var after = (await nodes.SignIn(acme)).Text("access_token");
        await Reply.To(nodes.A.As(after), "POST", "/api/auth/sign-out");

        await using var late = await TestApi.Start(nodes.Database, time: nodes.Time);
        Assert.Equal(401, (await Reply.To(late.As(before), "GET", "/api/user")).Status);
        Assert.Equal(401, (await Reply.To(late.As(after), "GET", "/api/user")).Status);
        Assert.Equal(200, (await Reply.To(late.As(acme.AccessToken), "GET", "/api/user")).Status);
    }
}
