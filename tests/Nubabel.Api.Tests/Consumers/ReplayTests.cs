using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Nubabel.Api.Tests.Races;
using Nubabel.Api.Tests.Slices;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Consumers;

/// <summary>Events of the past, delivered once more.</summary>
public sealed class ReplayTests
{
    [Fact]
    public async Task What_stands_behind_a_position_is_delivered_again_under_its_own_ids_and_nothing_else()
    {
        await using var receiver = await Receiver.Start();
        var acme = await (await TestApi.Shared).SignUp();
        await acme.Device("one");
        using var two = await acme.Client.PostAsJsonAsync("/api/devices", new { name = "two", type = "mobile" });
        await acme.Device("three");
        var consumer = await acme.Consume(receiver);
        await acme.Device("four");
        var live = await receiver.Next();
        var job = await Replayed(acme, consumer, new { position = two.Position() });
        Assert.Equal("""{"data":{"events":2}}""", job.GetProperty("result").GetRawText());
        await receiver.Have(3);
        Assert.Equal(["four", "four", "three"], receiver.Calls.Select(c => c.Json.GetProperty("data").Text("name")).Order());
        Assert.Equal(2, receiver.Calls.Count(c => c.Id == live.Id));
        await Burst.Until("all are delivered", TimeSpan.FromSeconds(20), async () => (await acme.Client.Items($"{consumer.PathOf()}/deliveries?state=delivered")).Count == 3);
        Assert.Equal(["event", "replay", "replay"], (await acme.Client.Items($"{consumer.PathOf()}/deliveries")).Select(d => d.Text("source")).Order());
        IReadOnlyList<JsonElement> entries = [];
        await Burst.Until("the trail shows it", TimeSpan.FromSeconds(20), async () => (entries = await acme.Client.Items("/api/audit-logs?action=consumer.replayed")).Count > 0);
        var entry = Assert.Single(entries);
        Assert.Equal((2, $"user:{acme.User}"), (entry.GetProperty("after").GetProperty("events").GetInt32(), entry.Text("actor")));
    }

    [Fact]
    public async Task From_a_time_on_all_that_has_happened_since_is_delivered_in_order_where_that_is_wanted()
    {
        await using var receiver = await Receiver.Start();
        var acme = await (await TestApi.Shared).SignUp();
        await acme.Device("before");
        var device = await acme.Device("zero");
        var time = device.GetProperty("registeredAt").GetDateTimeOffset();
        for (var i = 1; i <= 9; i++) await acme.Client.PutAsJsonAsync($"/api/devices/{device.Text("id")}/name", new { name = $"{i}" }).Json();
        var consumer = await acme.Consume(receiver, ordered: true, types: ["nubabel.device.registered.v1", "nubabel.device.renamed.v1"]);
        await Replayed(acme, consumer, new { time });
        await receiver.Have(10);
        Assert.Equal(["zero", .. Enumerable.Range(1, 9).Select(i => $"{i}")], receiver.Calls.Select(c => c.Json.GetProperty("data").Text("name")));
        // Of a time to come there is nothing.
        Assert.Equal("""{"data":{"events":0}}""", (await Replayed(acme, consumer, new { time = TimeProvider.System.GetUtcNow().AddDays(1) })).GetProperty("result").GetRawText());
    }

    [Fact]
    public async Task A_replay_that_nobody_could_do_is_refused()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var consumer = await acme.Client.Post(Consumption.Path, new { name = "c", url = "http://127.0.0.1:1/", types = new[] { "*" } }).Json(HttpStatusCode.Created);
        await acme.Client.Post($"{consumer.PathOf()}/replay", new { }).Refused(422, "consumer.replay_invalid");
        await acme.Client.Post($"{consumer.PathOf()}/replay", new { position = "main-1", time = TimeProvider.System.GetUtcNow() }).Refused(422, "consumer.replay_invalid");
        await acme.Client.Post($"{consumer.PathOf()}/replay", new { position = "other-000000000000002a" }).Refused(422, "consumer.replay_invalid");
    }

    private static async Task<JsonElement> Replayed(TestTenant tenant, JsonElement consumer, object from)
    {
        using var started = await tenant.Client.Post($"{consumer.PathOf()}/replay", from);
        Assert.Equal(HttpStatusCode.Accepted, started.StatusCode);
        var job = default(JsonElement);
        await Burst.Until("the replay has ended", TimeSpan.FromSeconds(30), async () =>
            (job = await tenant.Client.GetAsync(started.Headers.Location).Json()).Text("state") is not ("queued" or "running"));
        Assert.Equal("completed", job.Text("state"));
        return job;
    }
}
