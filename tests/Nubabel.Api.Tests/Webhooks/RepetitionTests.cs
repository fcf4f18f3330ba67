using Nubabel.Api.Tests.Races;
using Nubabel.Testing;
using static Nubabel.Api.Tests.Webhooks.WebhookNodes;

namespace Nubabel.Api.Tests.Webhooks;

/// <summary>A provider tells the same again, and strangers tell again what they have seen: it is done once, and everybody is answered like the first.</summary>
[Collection(WebhookNodes.Name)]
public sealed class RepetitionTests(WebhookNodes nodes)
{
    private const string Acme = "/api/webhooks/acme";

    [Fact]
    public async Task Two_hundred_equal_deliveries_at_once_on_three_nodes_are_one_execution_and_one_answer()
    {
        var body = $$"""{"key":"{{Guid.NewGuid():N}}"}""";
        var headers = nodes.Signed(Secret, body, "evt-burst");
        var replies = await Burst.Of(200, i => Send(nodes.Nodes[i % 3].Client, Acme, body, headers));
        Assert.Single(replies.Distinct());
        Assert.Equal(200, replies[0].Status);
        await nodes.HandledOne(body);
        await Drained();
        var webhook = Assert.Single(nodes.Given(body));
        Assert.Equal(replies[0].Text("id"), webhook.Id.ToString());
        Assert.Equal(1, await nodes.Database.Scalar<long>($"select count(*) from events.mt_events where stream_id = 'webhook-{webhook.Id}'"));
        // Long after, too: the log forgets nothing.
        Assert.Equal(replies[0], await Send(nodes.Api.Client, Acme, body, headers));
        await Drained();
        Assert.Single(nodes.Given(body));
    }

    [Fact]
    public async Task Signed_again_at_another_time_the_same_event_is_the_same()
    {
        var body = $$"""{"key":"{{Guid.NewGuid():N}}"}""";
        var now = nodes.Time.GetUtcNow();
        var first = await Send(nodes.Api.Client, Acme, body, nodes.Signed(Secret, body, "evt-7", now.AddSeconds(-9)));
        Assert.Equal((200, first.Body), (await Send(nodes.Api.Client, Acme, body, nodes.Signed(Secret, body, "evt-7", now))) is var again ? (again.Status, again.Body) : default);
        await nodes.HandledOne(body);
        await Drained();
        Assert.Single(nodes.Given(body));
    }

    /// <summary>The event's id is not signed, so whoever has seen a delivery can send it on under another one.</summary>
    [Fact]
    public async Task Under_another_id_what_was_signed_is_the_same()
    {
        var body = $$"""{"key":"{{Guid.NewGuid():N}}"}""";
        var headers = nodes.Signed(Secret, body, "evt-8");
        var first = await Send(nodes.Api.Client, Acme, body, headers);
        var forged = await Burst.Of(20, i => Send(nodes.Nodes[i % 3].Client, Acme, body, new Dictionary<string, string>(headers) { ["x-webhook-event-id"] = $"evt-{i}-{Guid.NewGuid()}" }));
        Assert.All(forged, reply => Assert.Equal(first, reply));
        await nodes.HandledOne(body);
        await Drained();
        Assert.Single(nodes.Given(body));
    }

    [Fact]
    public async Task Another_event_with_the_same_body_at_another_time_is_another()
    {
        var body = $$"""{"key":"{{Guid.NewGuid():N}}"}""";
        var now = nodes.Time.GetUtcNow();
        var first = await Send(nodes.Api.Client, Acme, body, nodes.Signed(Secret, body, "evt-a", now.AddSeconds(-9)));
        var second = await Send(nodes.Api.Client, Acme, body, nodes.Signed(Secret, body, "evt-b", now));
        Assert.NotEqual(first.Text("id"), second.Text("id"));
        await Burst.Until("both are handled", TimeSpan.FromSeconds(20), () => Task.FromResult(nodes.Given(body).Count() == 2));
    }

    [Fact]
    public async Task An_idempotency_key_which_nobody_signs_means_nothing()
    {
        foreach (var _ in Enumerable.Range(0, 2))
        {
            var body = $$"""{"key":"{{Guid.NewGuid():N}}"}""";
            Assert.Equal(200, (await Send(nodes.Api.Client, Acme, body, new Dictionary<string, string>(nodes.Signed(Secret, body, "e")) { ["Idempotency-Key"] = "the same" })).Status);
        }
    }

    private async Task Drained() => await Burst.Until("the queue is empty", TimeSpan.FromSeconds(20), async () => await nodes.Database.Scalar<long>("select count(*) from nubabel.messages where queue = 'webhooks'") == 0);
}
