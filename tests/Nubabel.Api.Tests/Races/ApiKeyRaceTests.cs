using Nubabel.Api.Tests.ApiKeys;

namespace Nubabel.Api.Tests.Races;

[Collection(TwoNodes.Name)]
public sealed class ApiKeyRaceTests(TwoNodes nodes)
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(5);

    [Fact]
    public async Task A_limit_that_was_lowered_is_exact_too()
    {
        var acme = await nodes.A.SignUp();
        for (var i = 0; i < 13; i++) await acme.Client.Make();
        // The thirteen stand anywhere among a hundred places, so most of the places below the new limit are free.
        await Keys.Limit(acme, 14, nodes.A, nodes.B);
        using var onB = nodes.B.As(acme.AccessToken);
        var made = await Burst.Of(60, i => Reply.To(i % 2 == 0 ? acme.Client : onB, "POST", Keys.Path, new { name = Keys.Name(), scopes = new[] { "organization:read" } }));
        Assert.Equal((1, 59), (made.Count(r => r.Status == 201), made.Count(r => r.Code == "api_key.limit")));
    }

    [Fact]
    public async Task Thirty_rotations_at_once_get_one_successor()
    {
        var acme = await nodes.A.SignUp();
        var clients = nodes.Clients(acme);
        var key = await acme.Client.Make();
        var replies = await Burst.Of(30, i => Reply.To(clients[i % 2], "POST", $"{Keys.Path}/{key.GetProperty("id")}/rotation", new { overlapSeconds = 60 }));

        Assert.All(replies, r => Assert.True(r.Status == 200, r.Body));
        Assert.Single(replies.Select(r => r.Body).Distinct());
        Assert.Equal(1, await nodes.Events(acme, "api_key_rotated"));
        foreach (var text in (string[])[replies[0].Text("key"), key.GetProperty("key").GetString()!])
            foreach (var node in nodes.Anonymous)
                await Burst.Until("both secrets work on both nodes", Soon, async () => (await node.With(text)).IsSuccessStatusCode);
    }

    [Fact]
    public async Task A_revoked_key_is_refused_on_the_other_node()
    {
        var acme = await nodes.A.SignUp();
        var key = await acme.Client.Make();
        using var there = nodes.B.As(key.GetProperty("key").GetString()!);
        Assert.Equal(200, (await Reply.To(there, "GET", "/api/organization")).Status);
        Assert.Equal(204, (await Reply.To(acme.Client, "DELETE", $"{Keys.Path}/{key.GetProperty("id")}")).Status);
        await Burst.Until("the key is refused", Soon, async () => (await Reply.To(there, "GET", "/api/organization")) is { Status: 401, Code: "credential.revoked" });
    }

    [Fact]
    public async Task One_request_sent_to_both_nodes_makes_one_key()
    {
        var acme = await nodes.A.SignUp();
        var clients = nodes.Clients(acme);
        var wish = new { name = Keys.Name(), scopes = new[] { "members:read" } };
        var replies = await Burst.Of(20, i => Reply.To(clients[i % 2], "POST", Keys.Path, wish, key: "once"));

        Assert.All(replies, r => Assert.True(r.Status == 201, r.Body));
        Assert.Single(replies.Distinct());
        Assert.Equal(1, await nodes.Events(acme, "api_key_made"));
    }

    [Fact]
    public async Task The_number_of_keys_is_exact_whoever_makes_them_at_the_same_time()
    {
        var acme = await nodes.A.SignUp();
        var clients = nodes.Clients(acme);
        await Keys.Limit(acme, 12, nodes.A, nodes.B);
        var replies = await Burst.Of(40, i => Reply.To(clients[i % 2], "POST", Keys.Path, new { name = Keys.Name(), scopes = new[] { "members:read" } }));

        Assert.Equal(12, replies.Count(r => r.Status == 201));
        Assert.All(replies.Where(r => r.Status != 201), r => Assert.Equal((409, "api_key.limit"), (r.Status, r.Code)));
        Assert.Equal(12, await nodes.Events(acme, "api_key_made"));
    }

    [Fact]
    public async Task Of_one_name_at_once_one_key_is_made()
    {
        var acme = await nodes.A.SignUp();
        var clients = nodes.Clients(acme);
        var replies = await Burst.Of(20, i => Reply.To(clients[i % 2], "POST", Keys.Path, new { name = i % 3 == 0 ? "Nightly" : "nightly", scopes = new[] { "members:read" } }));
        Assert.Single(replies, r => r.Status == 201);
        Assert.All(replies.Where(r => r.Status != 201), r => Assert.Equal("api_key.name_taken", r.Code));
    }
}
