namespace Nubabel.Api.Tests.Races;

[Collection(TwoNodes.Name)]
public sealed class IfMatchRaceTests(TwoNodes nodes)
{
    [Fact]
    public async Task Of_twenty_renames_on_the_same_condition_one_wins_and_the_others_hear_the_current_version()
    {
        var acme = await nodes.A.SignUp();
        var clients = nodes.Clients(acme);
        var device = await Reply.To(clients[0], "POST", "/api/devices", new { name = "phone", type = "mobile" });
        var replies = await Burst.Of(20, i => Reply.To(clients[i % 2], "PUT", device.Location + "/name", new { name = $"phone {i}" }, ifMatch: device.ETag));

        var winner = Assert.Single(replies, r => r.Status == 200);
        Assert.Equal("\"2\"", winner.ETag);
        Assert.All(replies.Where(r => r != winner), r => Assert.Equal((412, "resource.version_mismatch", "\"2\""), (r.Status, r.Code, r.ETag)));
        Assert.Equal(winner.Text("name"), (await Reply.To(clients[1], "GET", device.Location!)).Text("name"));
    }

    [Fact]
    public async Task Twenty_renames_without_a_condition_all_succeed_one_after_the_other()
    {
        var acme = await nodes.A.SignUp();
        var clients = nodes.Clients(acme);
        var device = await Reply.To(clients[0], "POST", "/api/devices", new { name = "phone", type = "mobile" });
        var replies = await Burst.Of(20, i => Reply.To(clients[i % 2], "PUT", device.Location + "/name", new { name = $"phone {i}" }));

        Assert.All(replies, r => Assert.True(r.Status == 200, r.Body));
        Assert.Equal(Enumerable.Range(2, 20).Select(v => $"\"{v}\"").Order(), replies.Select(r => r.ETag).Order());
        // Names that were held in between are free again.
        var last = (await Reply.To(clients[0], "GET", device.Location!)).Text("name");
        Assert.Equal(201, (await Reply.To(clients[0], "POST", "/api/devices", new { name = last == "phone 0" ? "phone 1" : "phone 0", type = "web" })).Status);
    }

    [Fact]
    public async Task What_is_not_there_is_not_found_whatever_the_condition()
    {
        var acme = await nodes.A.SignUp();
        var device = await Reply.To(acme.Client, "POST", "/api/devices", new { name = "phone", type = "mobile" });
        Assert.Equal(412, (await Reply.To(acme.Client, "DELETE", device.Location!, ifMatch: "\"7\"")).Status);
        Assert.Equal(204, (await Reply.To(acme.Client, "DELETE", device.Location!, ifMatch: "\"1\"")).Status);
        foreach (var path in (string[])[device.Location!, $"/api/devices/{Guid.CreateVersion7()}"])
            foreach (var condition in (string?[])["\"1\"", "*", null])
                Assert.Equal((404, "device.missing"), (await Reply.To(acme.Client, "PUT", path + "/name", new { name = "x" }, ifMatch: condition)) is var r ? (r.Status, r.Code) : default);
    }

    [Fact]
    public async Task Who_has_the_current_version_gets_no_body_again()
    {
        var acme = await nodes.A.SignUp();
        var device = await Reply.To(acme.Client, "POST", "/api/devices", new { name = "phone", type = "mobile" });
        foreach (var path in (string[])[device.Location!, "/api/user", "/api/organization"])
        {
            var found = await Reply.To(acme.Client, "GET", path);
            Assert.Equal(200, found.Status);
            Assert.Equal((304, "", found.ETag), (await Reply.To(acme.Client, "GET", path, ifNoneMatch: found.ETag)) is var r ? (r.Status, r.Body, r.ETag) : default);
            Assert.Equal(200, (await Reply.To(acme.Client, "GET", path, ifNoneMatch: "\"77\"")).Status);
        }
    }
}
