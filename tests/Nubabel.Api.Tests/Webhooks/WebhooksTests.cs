using System.Globalization;
using System.Text;
using System.Text.Json;
using Nubabel.Api.Tests.Races;
using Nubabel.Testing;
using static Nubabel.Api.Tests.Webhooks.WebhookNodes;

namespace Nubabel.Api.Tests.Webhooks;

/// <summary>Providers of the platform: what is taken, what is refused and how, and what becomes of it.</summary>
[Collection(WebhookNodes.Name)]
public sealed class WebhooksTests(WebhookNodes nodes)
{
    private const string Acme = "/api/webhooks/acme";

    [Fact]
    public async Task A_signed_webhook_is_taken_written_down_and_handled()
    {
        var body = Body();
        var reply = await Send(nodes.Api.Client, Acme, body, nodes.Signed(Secret, body, "evt-1"));
        Assert.Equal(200, reply.Status);
        var webhook = await nodes.HandledOne(body);
        Assert.Equal((reply.Text("id"), "*DEFAULT*", "acme", "evt-1", "application/json"), (webhook.Id.ToString(), webhook.Tenant, webhook.Provider, webhook.EventId, webhook.ContentType));
        Assert.Null(webhook.Source);
        Assert.NotNull(webhook.SignedAt);
        Assert.Equal(1, await nodes.Database.Scalar<long>($"select count(*) from events.mt_events where stream_id = 'webhook-{webhook.Id}' and type = 'webhook_received' and user_name = 'system:webhooks'"));
        // What was sent is nowhere in the clear: neither in the log nor with the messages.
        Assert.Equal(0, await nodes.Database.Scalar<long>($"select count(*) from events.mt_events where data::text like '%{Key(body)}%'"));
        await Burst.Until("the message is done", TimeSpan.FromSeconds(20), async () => await nodes.Database.Scalar<long>("select count(*) from nubabel.messages where queue = 'webhooks'") == 0);
        Assert.Single(nodes.Given(body));
    }

    [Fact]
    public async Task Both_secrets_count_while_one_replaces_the_other()
    {
        foreach (var secret in (string[])[Secret, Previous])
        {
            var body = Body();
            Assert.Equal(200, (await Send(nodes.Api.Client, Acme, body, nodes.Signed(secret, body, "e"))).Status);
        }
    }

    /// <summary>What was signed is taken as it is, also where no reader can make a text of it.</summary>
    [Fact]
    public async Task A_body_with_half_a_character_is_taken_once()
    {
        var body = $$"""{"\ud800":1,"id":"\udfff","key":"{{Guid.NewGuid():N}}"}""";
        var headers = nodes.Signed(Secret, body, "e");
        var first = await Send(nodes.Api.Client, Acme, body, headers);
        Assert.Equal(200, first.Status);
        Assert.Equal(first, await Send(nodes.Api.Client, Acme, body, headers));
    }

    [Fact]
    public async Task A_header_that_is_missing_is_400_and_named()
    {
        var headers = nodes.Signed(Secret, "{}", "e");
        foreach (var name in headers.Keys)
        {
            var reply = await Send(nodes.Api.Client, Acme, "{}", headers.Where(h => h.Key != name).ToDictionary());
            Assert.Equal((400, "webhook.signature_missing"), (reply.Status, reply.Code));
            Assert.Contains(name, reply.Text("detail"), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_wrong_signature_is_401_whatever_is_wrong_with_it()
    {
        var body = Body();
        var right = nodes.Signed(Secret, body, "e");
        foreach (var wrong in (string[])["00", "", new string('0', 64), right["x-webhook-signature"][..^1] + "g", "sha256=" + right["x-webhook-signature"], Hex("another secret altogether", $"{right["x-webhook-timestamp"]}.{body}")])
        {
            var reply = await Send(nodes.Api.Client, Acme, body, new Dictionary<string, string>(right) { ["x-webhook-signature"] = wrong });
            Assert.Equal(wrong.Length == 0 ? (400, "webhook.signature_missing") : (401, "webhook.signature_invalid"), (reply.Status, reply.Code));
        }
        var altered = await Send(nodes.Api.Client, Acme, body + " ", right);
        Assert.Equal((401, "webhook.signature_invalid"), (altered.Status, altered.Code));
        Assert.Empty(nodes.Given(body));
    }

    [Theory]
    [InlineData(-301, -301)]
    [InlineData(330, 330)]
    [InlineData(-86_400, -86_400)]
    public async Task A_time_out_of_the_window_is_401_with_the_skew(int seconds, int skew)
    {
        var body = Body();
        var reply = await Send(nodes.Api.Client, Acme, body, nodes.Signed(Secret, body, "e", nodes.Time.GetUtcNow().AddSeconds(seconds)));
        Assert.Equal((401, "webhook.timestamp"), (reply.Status, reply.Code));
        Assert.InRange(reply.Json.GetProperty("skewSeconds").GetInt64(), skew - 30, skew + 3);
        // Whoever cannot sign does not hear what time it is here.
        var stranger = await Send(nodes.Api.Client, Acme, body, nodes.Signed("another secret altogether", body, "e", nodes.Time.GetUtcNow().AddSeconds(seconds)));
        Assert.Equal((401, "webhook.signature_invalid"), (stranger.Status, stranger.Code));
    }

    [Theory]
    [InlineData(-290)]
    [InlineData(290)]
    public async Task A_time_within_the_window_is_taken_in_seconds_and_in_milliseconds(int seconds)
    {
        var body = Body();
        Assert.Equal(200, (await Send(nodes.Api.Client, Acme, body, nodes.Signed(Secret, body, "e", nodes.Time.GetUtcNow().AddSeconds(seconds)))).Status);
        var time = nodes.Time.GetUtcNow().AddSeconds(seconds).ToUnixTimeMilliseconds().ToString(CultureInfo.InvariantCulture);
        body = Body();
        Assert.Equal(200, (await Send(nodes.Api.Client, Acme, body, new Dictionary<string, string>
        {
            ["x-webhook-event-id"] = "e",
            ["x-webhook-timestamp"] = time,
            ["x-webhook-signature"] = Hex(Secret, $"{time}.{body}"),
        })).Status);
    }

    [Fact]
    public async Task Whoever_is_not_there_is_one_and_the_same_404()
    {
        var headers = nodes.Signed(Secret, "{}", "e");
        var replies = new List<Reply>();
        foreach (var path in (string[])["nobody", "Acme", "github", "%20", "slack,stripe", new string('a', 500), "acme/nothing", $"acme/{new string('A', 64)}", "nobody/x"])
        {
            replies.Add(await Send(nodes.Api.Client, "/api/webhooks/" + path, "{}", headers));
            replies.Add(await Send(nodes.Api.Client, "/api/webhooks/" + path, "{}", new Dictionary<string, string>()));
        }
        Assert.All(replies, r => Assert.Equal((404, "webhook.missing"), (r.Status, r.Code)));
        Assert.Single(replies.Select(r => string.Join(';', r.Json.EnumerateObject().Where(m => m.Name != "requestId").Select(m => $"{m.Name}={m.Value}"))).Distinct());
    }

    [Fact]
    public async Task More_than_a_mebibyte_is_413_and_a_mebibyte_is_taken()
    {
        var body = new string('x', 1024 * 1024);
        Assert.Equal(200, (await Send(nodes.Api.Client, Acme, body, nodes.Signed(Secret, body, "large"))).Status);
        Assert.Equal(body.Length, (await nodes.HandledOne(body)).Body.Length);
        var more = body + "x";
        foreach (var path in (string[])[Acme, "/api/webhooks/nobody"])
            Assert.Equal((413, "request.body_too_large"), ((await Send(nodes.Api.Client, path, more, nodes.Signed(Secret, more, "large"))) is var reply ? (reply.Status, reply.Code) : default));
    }

    [Fact]
    public async Task What_is_no_text_comes_to_the_handler_as_it_was_sent()
    {
        byte[] body = [0, 0xFF, 0xC3, 0x28, .. Encoding.ASCII.GetBytes(Body())];
        var time = nodes.Time.GetUtcNow().ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        var mac = Convert.ToHexStringLower(System.Security.Cryptography.HMACSHA256.HashData(Encoding.UTF8.GetBytes(Secret), (byte[])[.. Encoding.ASCII.GetBytes(time + "."), .. body]));
        var headers = new Dictionary<string, string> { ["x-webhook-event-id"] = "bytes", ["x-webhook-timestamp"] = time, ["x-webhook-signature"] = mac };
        Assert.Equal(200, (await Send(nodes.Api.Client, Acme, body, headers)).Status);
        await Burst.Until("it is handled", TimeSpan.FromSeconds(20), () => Task.FromResult(nodes.Handled.Any(h => h.Body.Span.SequenceEqual(body))));
    }

    [Fact]
    public async Task Slack_hears_its_challenge_back_and_is_told_nothing_else()
    {
        var body = """{"token":"t","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P","type":"url_verification"}""";
        var before = await nodes.Events();
        var reply = await Send(nodes.Api.Client, "/api/webhooks/slack", body, Slack(body));
        Assert.Equal((200, """{"challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"}"""), (reply.Status, reply.Body));
        Assert.Equal(401, (await Send(nodes.Api.Client, "/api/webhooks/slack", body + " ", Slack(body))).Status);
        body = $$"""{"event":{"type":"message"},"type":"event_callback","event_id":"{{Guid.NewGuid()}}"}""";
        Assert.Equal((200, ""), (await Send(nodes.Api.Client, "/api/webhooks/slack", body, Slack(body))) is var event_ ? (event_.Status, event_.Body) : default);
        Assert.True(await nodes.Events() > before);
    }

    /// <summary>A provider by the name of its own, with a preset by configuration.</summary>
    [Fact]
    public async Task A_provider_may_sign_as_Standard_Webhooks_says()
    {
        var body = Body();
        var time = nodes.Time.GetUtcNow().ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        var key = Convert.FromBase64String(StandardSecret["whsec_".Length..]);
        var mac = Convert.ToBase64String(System.Security.Cryptography.HMACSHA256.HashData(key, Encoding.UTF8.GetBytes($"msg_1.{time}.{body}")));
        var headers = new Dictionary<string, string> { ["webhook-id"] = "msg_1", ["webhook-timestamp"] = time, ["webhook-signature"] = "v1," + mac };
        var first = await Send(nodes.Api.Client, "/api/webhooks/acme-pay", body, headers);
        Assert.Equal(200, first.Status);
        Assert.Equal(first.Body, (await Send(nodes.Api.Client, "/api/webhooks/acme-pay", body, headers)).Body);
    }

    [Fact]
    public async Task What_its_handler_gives_up_is_a_dead_letter_without_what_was_sent()
    {
        var body = Body();
        Assert.Equal(200, (await Send(nodes.Api.Client, Acme, body, nodes.Signed(Secret, body, "hopeless"))).Status);
        var webhook = await nodes.HandledOne(body);
        var letter = $"from nubabel.dead_letters where queue = 'webhooks' and subject = 'webhook-{webhook.Id}'";
        await Burst.Until("it is a dead letter", TimeSpan.FromSeconds(20), async () => await nodes.Database.Scalar<long>($"select count(*) {letter}") == 1);
        Assert.Equal($$"""{"webhook": "{{webhook.Id}}"}""", await nodes.Database.Scalar<string>($"select body::text {letter}"));
    }

    private Dictionary<string, string> Slack(string body)
    {
        var time = nodes.Time.GetUtcNow().ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        return new() { ["X-Slack-Request-Timestamp"] = time, ["X-Slack-Signature"] = "v0=" + Hex("the signing secret of slack", $"v0:{time}:{body}") };
    }

    private static string Body() => $$"""{"key":"{{Guid.NewGuid():N}}"}""";

    private static string Key(string body) => JsonElement.Parse(body).GetProperty("key").GetString()!;
}
