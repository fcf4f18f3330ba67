using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Nubabel.Api.Consumers;
using Nubabel.Api.Tests.Races;
using Nubabel.Api.Tests.Slices;
using Nubabel.Domain.Users;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Consumers;

/// <summary>Consumers as those make them who look after an organization.</summary>
public sealed class ConsumersTests
{
    private static object Wanted(string? name = null, string url = "http://127.0.0.1:1/", params string[] types) =>
        new { name = name ?? $"c{Guid.NewGuid():N}", url, types = types.Length == 0 ? ["*"] : types };

    [Fact]
    public async Task A_consumer_lives_from_its_creation_to_its_removal()
    {
        var acme = await (await TestApi.Shared).SignUp();
        using var made = await acme.Client.Post(Consumption.Path, new { name = "billing", url = "HTTP://127.0.0.1:1/a", types = new[] { "nubabel.member.joined.v1" }, description = "The bills" });
        Assert.Equal((HttpStatusCode.Created, "\"1\"", true), (made.StatusCode, made.Headers.ETag!.Tag, made.Headers.CacheControl!.NoStore));
        var consumer = await made.Content.ReadFromJsonAsync<JsonElement>();
        var path = made.Headers.Location!.ToString();
        Assert.Equal(consumer.PathOf(), path);
        Assert.Equal(("http://127.0.0.1:1/a", "active", "The bills", $"user:{acme.User}"), (consumer.Text("url"), consumer.Text("status"), consumer.Text("description"), consumer.Text("createdBy")));

        using var patch = new HttpRequestMessage(HttpMethod.Patch, path) { Content = JsonContent.Create(new { ordered = true, description = "" }), Headers = { { "If-Match", "\"1\"" } } };
        var changed = await acme.Client.SendAsync(patch).Json();
        Assert.True(changed.GetProperty("ordered").GetBoolean());
        Assert.False(changed.TryGetProperty("description", out _));
        using var stale = new HttpRequestMessage(HttpMethod.Put, path + "/pause") { Headers = { { "If-Match", "\"1\"" } } };
        await acme.Client.SendAsync(stale).Refused(412, "resource.version_mismatch");
        using var paused = await acme.Client.PutAsync(path + "/pause", null);
        var row = (await acme.Client.Items(Consumption.Path, paused.Position())).Single();
        Assert.Equal("paused", row.Text("status"));
        Assert.True(JsonElement.DeepEquals(row, await acme.Client.GetAsync(path).Json()));

        Assert.Equal(HttpStatusCode.NoContent, (await acme.Client.DeleteAsync(path)).StatusCode);
        await acme.Client.GetAsync(path).Refused(404, "consumer.missing");
        await acme.Client.DeleteAsync(path).Refused(404, "consumer.missing");
        Assert.Equal("billing", (await acme.Client.Post(Consumption.Path, Wanted("billing")).Json(HttpStatusCode.Created)).Text("name"));
    }

    [Fact]
    public async Task A_secret_is_told_once_and_stands_nowhere_in_the_clear()
    {
        var api = await TestApi.Shared;
        var acme = await api.SignUp();
        using var first = Keyed("once");
        using var made = await acme.Client.SendAsync(first);
        var text = await made.Content.ReadAsStringAsync();
        var consumer = JsonElement.Parse(text);
        using var second = Keyed("once");
        Assert.Equal(text, await (await acme.Client.SendAsync(second)).Content.ReadAsStringAsync());
        var rotated = await acme.Client.PostAsync($"{consumer.PathOf()}/secret/rotate", null).Json();
        Assert.Equal(1, rotated.GetProperty("generation").GetInt32());
        // Asked again at once, as after a lost answer, it is the same successor.
        Assert.Equal(rotated.Text("secret"), (await acme.Client.PostAsync($"{consumer.PathOf()}/secret/rotate", null).Json()).Text("secret"));
        using var paused = await acme.Client.PutAsync($"{consumer.PathOf()}/pause", null);

        var shown = await acme.Client.GetStringAsync(consumer.PathOf()) + await acme.Client.Text(Consumption.Path, paused.Position())
            + await acme.Client.Text("/api/audit-logs?limit=200", paused.Position()) + await paused.Content.ReadAsStringAsync();
        foreach (var secret in new[] { consumer.Text("secret"), rotated.Text("secret") })
        {
            Assert.DoesNotContain(secret, shown, StringComparison.Ordinal);
            foreach (var table in new[] { "events.mt_events", "read.consumers_v1", "nubabel.idempotency", "nubabel.routes", "nubabel.messages" })
                Assert.Equal((table, 0L), (table, await api.Database.Scalar<long>($"select count(*) from {table} t where t::text like '%{secret["whsec_".Length..^1]}%'")));
        }
        Assert.DoesNotContain("sealedSecret", shown, StringComparison.Ordinal);

        static HttpRequestMessage Keyed(string name) => new(HttpMethod.Post, Consumption.Path) { Content = JsonContent.Create(Wanted(name)), Headers = { { "Idempotency-Key", "k1" } } };
    }

    [Fact]
    public async Task What_is_not_right_is_refused_with_its_member()
    {
        var acme = await (await TestApi.Shared).SignUp();
        await acme.Client.Post(Consumption.Path, Wanted("billing")).Json(HttpStatusCode.Created);
        Assert.Equal("name", At(await acme.Client.Post(Consumption.Path, Wanted("BILLING")).Refused(409, "consumer.name_taken")));
        Assert.Equal("url", At(await acme.Client.Post(Consumption.Path, Wanted(url: "https://ada:pw@hooks.example.com/")).Refused(422, "consumer.url_invalid")));
        Assert.Equal("url", At(await acme.Client.Post(Consumption.Path, Wanted(url: "https://169.254.169.254/")).Refused(422, "consumer.url_refused")));
        Assert.Equal("types[1]", At(await acme.Client.Post(Consumption.Path, Wanted(types: ["nubabel.device.registered.v1", "nubabel.device.exploded.v1"])).Refused(422, "consumer.type_unknown")));
        Assert.Equal("types[0]", At(await acme.Client.Post(Consumption.Path, Wanted(types: ["device_registered"])).Refused(422, "consumer.type_unknown")));
        await acme.Client.Post(Consumption.Path, Wanted(types: ["*", "nubabel.device.registered.v1"])).Refused(422, "consumer.types_invalid");
        await acme.Client.GetAsync("/api/consumers/01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e55/deliveries?state=lost").Refused(400, "query.invalid");

        static string At(JsonElement problem) => problem.GetProperty("errors")[0].Text("field");
    }

    [Fact]
    public async Task An_organization_has_twenty_however_many_are_made_at_once()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var answers = await Burst.Of(ConsumersApi.MostConsumers + 5, async _ =>
        {
            using var answer = await acme.Client.Post(Consumption.Path, Wanted());
            return (int)answer.StatusCode;
        });
        Assert.Equal((ConsumersApi.MostConsumers, 5), (answers.Count(s => s == 201), answers.Count(s => s == 409)));
    }

    [Fact]
    public async Task A_test_is_sent_now_and_says_what_came_back()
    {
        await using var receiver = await Receiver.Start();
        receiver.Say(418);
        var acme = await (await TestApi.Shared).SignUp();
        var consumer = await acme.Consume(receiver);
        await acme.Client.PutAsync($"{consumer.PathOf()}/pause", null).Json();
        var told = await acme.Client.PostAsync($"{consumer.PathOf()}/test", null).Json();
        Assert.Equal(("test", "failed", 418, "refused"), (told.Text("source"), told.Text("state"), told.GetProperty("status").GetInt32(), told.Text("error")));
        var call = await receiver.Next();
        Assert.True(call.IsSignedWith(consumer.Text("secret")));
        Assert.Equal((IntegrationEvents.Test, consumer.Text("id")), (call.Type, call.Json.GetProperty("data").Text("consumerId")));
        receiver.Say(200);
        Assert.Equal("delivered", (await acme.Client.PostAsync($"{consumer.PathOf()}/test", null).Json()).Text("state"));
        await acme.Client.PostAsync($"{consumer.PathOf()}/deliveries/{told.Text("id")}/resend", null).Refused(409, "consumer.delivery_is_test");
        Assert.Equal(2, (await acme.Client.Items($"{consumer.PathOf()}/deliveries?type={IntegrationEvents.Test}")).Count);
    }

    [Fact]
    public async Task Deliveries_are_listed_in_pages_newest_first()
    {
        var acme = await (await TestApi.Shared).SignUp();
        await using var receiver = await Receiver.Start();
        var consumer = await acme.Consume(receiver);
        for (var i = 0; i < 5; i++) await acme.Device($"d{i}");
        await receiver.Have(5);
        await Burst.Until("all are delivered", TimeSpan.FromSeconds(20), async () => (await acme.Client.Items($"{consumer.PathOf()}/deliveries?state=delivered")).Count == 5);
        var ids = new List<string>();
        for (var path = $"{consumer.PathOf()}/deliveries?limit=2&type=nubabel.device.registered.v1"; path is not null;)
        {
            var page = await acme.Client.GetAsync(path).Json();
            ids.AddRange(page.GetProperty("items").EnumerateArray().Select(d => d.Text("position")));
            path = page.GetProperty("next").GetString() is { } next ? $"{consumer.PathOf()}/deliveries?limit=2&type=nubabel.device.registered.v1&cursor={Uri.EscapeDataString(next)}" : null;
        }
        Assert.Equal(5, ids.Count);
        Assert.Equal(ids.OrderDescending(StringComparer.Ordinal), ids);
        Assert.Empty(await acme.Client.Items($"{consumer.PathOf()}/deliveries?state=failed"));
        Assert.Empty(await acme.Client.Items($"{consumer.PathOf()}/deliveries?type=nubabel.device.deleted.v1"));
    }

    [Fact]
    public async Task A_viewer_sees_and_does_nothing_of_it()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var consumer = await acme.Client.Post(Consumption.Path, Wanted()).Json(HttpStatusCode.Created);
        foreach (var role in new[] { Role.Viewer, Role.Member })
        {
            var other = await acme.Colleague(role);
            Assert.Equal("consumers:read", (await other.Client.GetAsync(consumer.PathOf()).Refused(403, "permission.denied")).Text("required"));
            Assert.Equal("consumers:write", (await other.Client.PostAsync($"{consumer.PathOf()}/test", null).Refused(403, "permission.denied")).Text("required"));
        }
    }
}
