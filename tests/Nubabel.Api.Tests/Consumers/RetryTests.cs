using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Nubabel.Api.Consumers;
using Nubabel.Api.Tests.Races;
using Nubabel.Api.Tests.Slices;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Consumers;

/// <summary>What becomes of deliveries that fail.</summary>
public sealed class RetryTests
{
    [Fact]
    public async Task A_failed_delivery_is_tried_again_under_the_same_id_and_every_attempt_is_kept()
    {
        await using var receiver = await Receiver.Start();
        receiver.Say(503, http => http.Response.WriteAsync("try\0 later " + new string('x', 5_000)));
        var acme = await (await TestApi.Shared).SignUp();
        var consumer = await acme.Consume(receiver);
        await acme.Device();
        var first = await receiver.Next();
        var waiting = await acme.Delivery(consumer, d => d.Is("waiting") && d.TryGetProperty("nextAttemptAt", out _));
        var (next, at) = (waiting.GetProperty("nextAttemptAt").GetDateTimeOffset(), waiting.GetProperty("attempts")[0].GetProperty("at").GetDateTimeOffset());
        Assert.InRange(next - at, TimeSpan.FromSeconds(4.5), TimeSpan.FromSeconds(7));
        receiver.Say(200);
        await acme.HurryUntil("it is delivered", async () => (await acme.Client.Items($"{consumer.PathOf()}/deliveries?state=delivered")).Count == 1);
        Assert.Equal(first.Id, (await receiver.Next()).Id);
        var delivered = await acme.Delivery(consumer, d => d.Is("delivered"));
        var attempts = delivered.GetProperty("attempts");
        Assert.Equal((503, "refused"), (attempts[0].GetProperty("status").GetInt32(), attempts[0].Text("error")));
        Assert.StartsWith("try. later xxx", attempts[0].Text("answer"), StringComparison.Ordinal);
        Assert.Equal(EndpointClient.AnswerBytes, attempts[0].Text("answer").Length);
        Assert.Equal((2, 200), (attempts.GetArrayLength(), attempts[1].GetProperty("status").GetInt32()));
        Assert.Equal(2, receiver.Calls.Count);
    }

    [Theory]
    [InlineData("3600", 3600)]
    [InlineData("9999999", 86_400)]
    [InlineData("soon", 5)]
    public async Task An_endpoint_that_says_when_is_not_called_before(string header, int seconds)
    {
        await using var receiver = await Receiver.Start();
        receiver.Say(429, http => http.Response.Headers.RetryAfter = header);
        var acme = await (await TestApi.Shared).SignUp();
        var consumer = await acme.Consume(receiver);
        await acme.Device();
        var waiting = await acme.Delivery(consumer, d => d.TryGetProperty("nextAttemptAt", out _));
        var pause = waiting.GetProperty("nextAttemptAt").GetDateTimeOffset() - waiting.GetProperty("attempts")[0].GetProperty("at").GetDateTimeOffset();
        Assert.InRange(pause.TotalSeconds, seconds * 0.9, seconds * 1.1 + 5);
    }

    [Fact]
    public async Task An_endpoint_that_is_gone_disables_its_consumer_which_is_audited_and_shown()
    {
        await using var receiver = await Receiver.Start();
        receiver.Say(410);
        var acme = await (await TestApi.Shared).SignUp();
        var consumer = await acme.Consume(receiver);
        await acme.Device();
        await Burst.Until("it is disabled", TimeSpan.FromSeconds(20), async () => (await acme.Client.GetAsync(consumer.PathOf()).Json()).Text("status") == "disabled");
        Assert.Equal("gone", (await acme.Client.GetAsync(consumer.PathOf()).Json()).Text("disabledBecause"));
        Assert.Equal("failed", (await acme.Delivery(consumer, _ => true)).Text("state"));
        using var registered = await acme.Client.PostAsJsonAsync("/api/devices", new { name = "unheard", type = "mobile" });
        Assert.Single(await acme.Client.Items($"{consumer.PathOf()}/deliveries", registered.Position()));
        var entry = (await acme.Client.Items($"/api/audit-logs?action=consumer.disabled", registered.Position())).Single();
        Assert.Equal("system:deliveries", entry.Text("actor"));

        receiver.Say(200);
        await acme.Client.PutAsync($"{consumer.PathOf()}/activation", null).Json();
        await acme.Device("heard");
        await acme.Delivery(consumer, d => d.Is("delivered"));
        Assert.Equal("heard", receiver.Calls[^1].Json.GetProperty("data").Text("name"));
        Assert.Equal(2, receiver.Calls.Count);
    }

    [Fact]
    public async Task A_consumer_that_has_failed_for_days_is_disabled_and_what_waits_is_cancelled()
    {
        await using var receiver = await Receiver.Start();
        receiver.Say(500);
        var acme = await (await TestApi.Shared).SignUp();
        var consumer = await acme.Consume(receiver);
        await acme.Device();
        await acme.Delivery(consumer, d => d.TryGetProperty("nextAttemptAt", out _));
        await acme.Api.Database.Run($"update nubabel.circuit_breakers set failures = 30, since = now() - interval '6 days' where tenant_id = '{acme.Id}'");
        await acme.HurryUntil("it is disabled", async () => (await acme.Client.GetAsync(consumer.PathOf()).Json()).Text("status") == "disabled");
        var row = await acme.Client.GetAsync(consumer.PathOf()).Json();
        Assert.Equal("failing", row.Text("disabledBecause"));
        Assert.InRange(row.GetProperty("failingSince").GetDateTimeOffset(), TimeProvider.System.GetUtcNow().AddDays(-7), TimeProvider.System.GetUtcNow().AddDays(-5));
        await acme.HurryUntil("what waited is cancelled", async () => (await acme.Client.Items($"{consumer.PathOf()}/deliveries?state=cancelled")).Count == 1);
        Assert.Equal("consumer_disabled", (await acme.Delivery(consumer, _ => true)).Text("error"));

        // Active again, it is not held to what was before.
        await acme.Client.PutAsync($"{consumer.PathOf()}/activation", null).Json();
        await acme.Device();
        await acme.Delivery(consumer, d => d.Is("waiting") && d.TryGetProperty("error", out _));
        Assert.Equal("active", (await acme.Client.GetAsync(consumer.PathOf()).Json()).Text("status"));
    }

    [Fact]
    public async Task A_delivery_is_given_up_after_three_days()
    {
        var start = TimeProvider.System.GetUtcNow();
        var (now, attempts) = (start, 0);
        while (RetrySchedule.After(++attempts, start, now, null, 0.5) is { } pause) now += pause;
        Assert.Equal(RetrySchedule.Attempts, attempts);
        Assert.InRange(now - start, TimeSpan.FromHours(71), TimeSpan.FromHours(72));
        Assert.Null(RetrySchedule.After(3, start, start.AddDays(3), null, 0));
        Assert.Null(RetrySchedule.After(2, start, start.AddHours(49), TimeSpan.FromHours(24), 0));

        await using var receiver = await Receiver.Start();
        receiver.Say(500);
        var acme = await (await TestApi.Shared).SignUp();
        var consumer = await acme.Consume(receiver);
        await acme.Device();
        await acme.Delivery(consumer, d => d.TryGetProperty("nextAttemptAt", out _));
        await acme.Api.Database.Run($"update nubabel.deliveries set since = since - interval '73 hours' where tenant_id = '{acme.Id}'");
        await acme.HurryUntil("it is given up", async () => (await acme.Client.Items($"{consumer.PathOf()}/deliveries?state=failed")).Count == 1);
        await acme.Hurry();
        Assert.Equal(2, receiver.Calls.Count);
        Assert.Equal("active", (await acme.Client.GetAsync(consumer.PathOf()).Json()).Text("status"));

        receiver.Say(204);
        var delivery = await acme.Delivery(consumer, d => d.Is("failed"));
        using var resent = await acme.Client.PostAsync($"{consumer.PathOf()}/deliveries/{delivery.Text("id")}/resend", null);
        Assert.Equal(202, (int)resent.StatusCode);
        var delivered = await acme.Delivery(consumer, d => d.Is("delivered"));
        Assert.Equal((1, 3), (delivered.GetProperty("resends").GetInt32(), delivered.GetProperty("attempts").GetArrayLength()));
        Assert.Single(receiver.Calls.Select(c => c.Id).Distinct());
        Assert.Single(await acme.Client.Items("/api/audit-logs?action=consumer.delivery_resent", resent.Position()));
    }

    [Fact]
    public async Task What_waits_for_a_consumer_that_is_removed_is_cancelled()
    {
        await using var receiver = await Receiver.Start();
        receiver.Say(500);
        var acme = await (await TestApi.Shared).SignUp();
        var consumer = await acme.Consume(receiver);
        await acme.Device();
        var waiting = await acme.Delivery(consumer, d => d.TryGetProperty("nextAttemptAt", out _));
        await acme.Client.DeleteAsync(consumer.PathOf());
        await acme.HurryUntil("it is cancelled", async () => await acme.Api.Database.Scalar<string>($"select state from nubabel.deliveries where id = '{waiting.Text("id")}'") == "cancelled");
        Assert.Single(receiver.Calls);
        await acme.Client.GetAsync($"{consumer.PathOf()}/deliveries/{waiting.Text("id")}").Refused(404, "consumer.missing");
        Assert.Equal(0L, await acme.Api.Database.Scalar<long>($"select count(*) from nubabel.circuit_breakers where tenant_id = '{acme.Id}'"));
    }

    [Fact]
    public async Task A_retry_is_signed_with_the_secrets_of_its_own_time()
    {
        await using var receiver = await Receiver.Start();
        receiver.Say(500);
        var acme = await (await TestApi.Shared).SignUp();
        var consumer = await acme.Consume(receiver);
        await acme.Device();
        var old = consumer.Text("secret");
        Assert.True((await receiver.Next()).IsSignedWith(old));
        var rotated = await acme.Client.PostAsJsonAsync($"{consumer.PathOf()}/secret/rotate", new { overlapSeconds = 3600 }).Json();
        var next = rotated.Text("secret");
        Assert.NotEqual(old, next);
        await acme.HurryUntil("it is tried again", () => Task.FromResult(receiver.Calls.Count == 2));
        var both = await receiver.Next();
        Assert.True(both.IsSignedWith(old) && both.IsSignedWith(next));
        Assert.Equal(204, (int)(await acme.Client.DeleteAsync($"{consumer.PathOf()}/secret/previous")).StatusCode);
        receiver.Say(204);
        await acme.HurryUntil("it is delivered", async () => (await acme.Client.Items($"{consumer.PathOf()}/deliveries?state=delivered")).Count == 1);
        var last = receiver.Calls[^1];
        Assert.True(last.IsSignedWith(next));
        Assert.False(last.IsSignedWith(old));
    }

    [Fact]
    public async Task While_a_consumer_is_paused_its_deliveries_wait_and_lose_nothing()
    {
        await using var receiver = await Receiver.Start();
        var acme = await (await TestApi.Shared).SignUp();
        var consumer = await acme.Consume(receiver);
        await acme.Client.PutAsync($"{consumer.PathOf()}/pause", null).Json();
        await acme.Device();
        await Burst.Until("its lane waits", TimeSpan.FromSeconds(20), async () =>
            await acme.Api.Database.Scalar<long>($"select count(*) from nubabel.lanes where tenant_id = '{acme.Id}' and queue = 'deliveries' and until is not null") == 1);
        Assert.Empty(receiver.Calls);
        await acme.Client.PutAsync($"{consumer.PathOf()}/activation", null).Json();
        await acme.HurryUntil("it is delivered", async () => (await acme.Client.Items($"{consumer.PathOf()}/deliveries?state=delivered")).Count == 1);
        Assert.Equal(1, (await acme.Delivery(consumer, _ => true)).GetProperty("attempts").GetArrayLength());
        Assert.Equal(0L, await acme.Api.Database.Scalar<long>($"select count(*) from nubabel.dead_letters where tenant_id = '{acme.Id}'"));
    }
}
