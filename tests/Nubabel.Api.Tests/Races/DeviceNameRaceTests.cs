namespace Nubabel.Api.Tests.Races;

[Collection(TwoNodes.Name)]
public sealed class DeviceNameRaceTests(TwoNodes nodes)
{
    [Fact]
    public async Task Of_fifty_who_claim_one_device_name_at_once_one_gets_it_and_the_others_hear_that_it_is_taken()
    {
        var acme = await nodes.A.SignUp();
        var clients = nodes.Clients(acme);
        var replies = await Burst.Of(50, i => Reply.To(clients[i % 2], "POST", "/api/devices", new { name = i % 3 == 0 ? "PHONE" : "phone", type = "mobile" }));

        var winner = Assert.Single(replies, r => r.Status == 201);
        Assert.Equal(49, replies.Count(r => r is { Status: 409, Code: "device.name_taken" }));
        var list = await Reply.Seen(clients[1], "/api/devices", winner.Position);
        Assert.Equal([winner.Text("id")], list.Json.GetProperty("items").EnumerateArray().Select(d => d.GetProperty("id").GetString()));
        Assert.Equal(1, await nodes.Events(acme, "device_registered"));
    }

    [Fact]
    public async Task A_name_given_up_while_many_want_it_goes_to_one_of_them()
    {
        var acme = await nodes.A.SignUp();
        var clients = nodes.Clients(acme);
        var holder = (await Reply.To(clients[0], "POST", "/api/devices", new { name = "phone", type = "mobile" })).Location!;
        var replies = await Burst.Of(20, i => i == 10
            ? Reply.To(clients[0], "DELETE", holder)
            : Reply.To(clients[i % 2], "POST", "/api/devices", new { name = "phone", type = "web" }));

        Assert.Equal(204, replies[10].Status);
        Assert.All(replies.Where((_, i) => i != 10), r => Assert.True(r.Status == 201 || r.Code == "device.name_taken", r.Body));
        Assert.InRange(replies.Count(r => r.Status == 201), 0, 1);
        var late = await Reply.To(clients[0], "POST", "/api/devices", new { name = "phone", type = "web" });
        Assert.Equal(replies.Any(r => r.Status == 201) ? 409 : 201, late.Status);
    }
}
