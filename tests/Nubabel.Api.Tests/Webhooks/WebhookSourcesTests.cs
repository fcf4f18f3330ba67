using System.Text;
using Nubabel.Api.Tests.Races;
using Nubabel.Testing;
using static Nubabel.Api.Tests.Webhooks.WebhookNodes;

namespace Nubabel.Api.Tests.Webhooks;

/// <summary>An organization's own sources: an address and a secret each, which count on every node at once.</summary>
[Collection(WebhookNodes.Name)]
public sealed class WebhookSourcesTests(WebhookNodes nodes)
{
    private const string Sources = "/api/webhook-sources";
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(10);

    [Fact]
    public async Task A_source_shows_its_secret_once_and_takes_what_is_signed_with_it()
    {
        var tenant = await nodes.Api.SignUp();
        var added = await Reply.To(tenant.Client, "POST", Sources, new { provider = "acme", name = "shop" });
        Assert.Equal((201, $"{Sources}/{added.Text("id")}"), (added.Status, added.Location));
        var (path, secret) = (added.Text("path"), added.Text("secret"));
        Assert.Equal(("acme", "shop", "default", 64), (added.Text("provider"), added.Text("name"), added.Text("preset"), secret.Length));
        var shown = await Reply.To(tenant.Client, "GET", added.Location!);
        Assert.Equal((200, path), (shown.Status, shown.Text("path")));
        var list = await Reply.Seen(tenant.Client, Sources, added.Position);
        Assert.Equal(path, list.Json.GetProperty("items")[0].GetProperty("path").GetString());
        foreach (var text in (string[])[shown.Body, list.Body]) Assert.DoesNotContain("secret", text, StringComparison.OrdinalIgnoreCase);

        var body = Body();
        var reply = await Send(nodes.Nodes[1].Client, path, body, nodes.Signed(secret, body, "evt-1"));
        Assert.Equal(200, reply.Status);
        var webhook = await nodes.HandledOne(body);
        Assert.Equal((tenant.Id, added.Text("id"), reply.Text("id")), (webhook.Tenant, webhook.Source.ToString(), webhook.Id.ToString()));
        // The platform's secret is another's, and so is the platform's address.
        Assert.Equal(401, (await Send(nodes.Api.Client, path, body, nodes.Signed(Secret, body, "evt-1"))).Status);
        Assert.Equal(401, (await Send(nodes.Api.Client, "/api/webhooks/acme", body, nodes.Signed(secret, body, "evt-1"))).Status);
        Assert.Equal(404, (await Send(nodes.Api.Client, path.Replace("/acme/", "/acme-pay/", StringComparison.Ordinal), body, nodes.Signed(secret, body, "evt-1"))).Status);
    }

    [Fact]
    public async Task The_trail_tells_of_sources_and_webhooks_and_shows_neither_secrets_nor_what_was_sent()
    {
        var tenant = await nodes.Api.SignUp();
        var added = await Reply.To(tenant.Client, "POST", Sources, new { provider = "acme", secret = "a secret that the provider has given" });
        Assert.False(added.Json.TryGetProperty("secret", out _));
        var body = Body();
        Assert.Equal(200, (await Send(nodes.Api.Client, added.Text("path"), body, nodes.Signed("a secret that the provider has given", body, "evt-1"))).Status);
        Reply trail = null!;
        await Burst.Until("the trail has it", Soon, async () => (trail = await Reply.To(tenant.Client, "GET", "/api/audit-logs")).Body.Contains("webhook.received", StringComparison.Ordinal));
        Assert.Contains("webhook_source.added", trail.Body, StringComparison.Ordinal);
        foreach (var hidden in (string[])["sealedSecret", "secretHash", "payload", "twinHash", "$p"]) Assert.DoesNotContain(hidden, trail.Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task After_a_rotation_both_secrets_count_until_the_overlap_is_over()
    {
        var tenant = await nodes.Api.SignUp();
        var added = await Reply.To(tenant.Client, "POST", Sources, new { provider = "acme" });
        var rotated = await Reply.To(tenant.Client, "POST", added.Location + "/rotation", new { overlapSeconds = 3600 });
        Assert.Equal((200, 1), (rotated.Status, rotated.Json.GetProperty("generation").GetInt32()));
        var (path, first, second) = (added.Text("path"), added.Text("secret"), rotated.Text("secret"));
        // Asked for again, because the answer was lost: the same successor, and the first still counts.
        var repeated = await Burst.Of(10, _ => Reply.To(tenant.Client, "POST", added.Location + "/rotation", new { overlapSeconds = 3600 }));
        Assert.All(repeated, reply => Assert.Equal((200, second), (reply.Status, reply.Text("secret"))));
        Assert.NotEqual(first, second);
        await Counts(path, second, 200);
        await Counts(path, first, 200);
        // A third one takes the place of the first, and without an overlap the second is over too.
        var third = (await Reply.To(tenant.Client, "POST", added.Location + "/rotation", new { overlapSeconds = 0, secret = "the third is the provider's own" })).Status;
        Assert.Equal(200, third);
        await Counts(path, "the third is the provider's own", 200);
        await Counts(path, first, 401);
        await Counts(path, second, 401);
    }

    [Fact]
    public async Task A_secret_that_leaked_is_over_at_once_however_soon_after_a_rotation()
    {
        var tenant = await nodes.Api.SignUp();
        var added = await Reply.To(tenant.Client, "POST", Sources, new { provider = "acme" });
        var leaked = (await Reply.To(tenant.Client, "POST", added.Location + "/rotation", new { overlapSeconds = 3600 })).Text("secret");
        var last = (await Reply.To(tenant.Client, "POST", added.Location + "/rotation", new { overlapSeconds = 0 })).Text("secret");
        Assert.NotEqual(leaked, last);
        await Counts(added.Text("path"), leaked, 401);
        await Counts(added.Text("path"), added.Text("secret"), 401);
        await Counts(added.Text("path"), last, 200);
    }

    [Fact]
    public async Task The_predecessor_is_over_when_its_time_has_come()
    {
        var tenant = await nodes.Api.SignUp();
        var added = await Reply.To(tenant.Client, "POST", Sources, new { provider = "acme" });
        await Reply.To(tenant.Client, "POST", added.Location + "/rotation", new { overlapSeconds = 1 });
        await Counts(added.Text("path"), added.Text("secret"), 401);
    }

    [Fact]
    public async Task A_repeated_request_is_shown_the_same_secret()
    {
        var tenant = await nodes.Api.SignUp();
        var added = await Burst.Of(4, _ => Reply.To(tenant.Client, "POST", Sources, new { provider = "acme" }, key: "add"));
        Assert.Single(added.Distinct());
        var rotated = await Burst.Of(4, _ => Reply.To(tenant.Client, "POST", added[0].Location + "/rotation", new { overlapSeconds = 60 }, key: "rotate"));
        Assert.Single(rotated.Distinct());
        await Counts(added[0].Text("path"), rotated[0].Text("secret"), 200);
    }

    [Fact]
    public async Task A_removed_source_is_gone_on_every_node()
    {
        var tenant = await nodes.Api.SignUp();
        var added = await Reply.To(tenant.Client, "POST", Sources, new { provider = "acme" });
        var body = Body();
        foreach (var node in nodes.Nodes) Assert.Equal(200, (await Send(node.Client, added.Text("path"), body, nodes.Signed(added.Text("secret"), body, "e"))).Status);
        Assert.Equal(204, (await Reply.To(tenant.Client, "DELETE", added.Location!)).Status);
        foreach (var node in nodes.Nodes)
            await Burst.Until("it is gone", Soon, async () => (await Send(node.Client, added.Text("path"), body, nodes.Signed(added.Text("secret"), body, "e"))).Code == "webhook.missing");
        Assert.Equal(404, (await Reply.To(tenant.Client, "GET", added.Location!)).Status);
    }

    [Fact]
    public async Task An_organization_that_is_stopped_takes_none_and_only_who_signs_hears_why()
    {
        var tenant = await nodes.Api.SignUp();
        var added = await Reply.To(tenant.Client, "POST", Sources, new { provider = "acme" });
        using var platform = await nodes.Api.Operator();
        Assert.InRange((await Reply.To(platform, "PUT", $"/api/admin/tenants/{tenant.Id}/suspension", new { reason = "unpaid" })).Status, 200, 204);
        await Counts(added.Text("path"), added.Text("secret"), 403);
        Assert.Equal(401, (await Send(nodes.Api.Client, added.Text("path"), "{}", nodes.Signed("another secret altogether", "{}", "e"))).Status);
    }

    [Theory]
    [InlineData("acme", "default", "too short")]
    [InlineData("acme", "standard", "a secret that is no base64 at all")]
    [InlineData("acme", "stripe", "  blanks around the secret  ")]
    public async Task A_secret_has_the_form_of_its_preset(string provider, string preset, string secret)
    {
        var tenant = await nodes.Api.SignUp();
        var reply = await Reply.To(tenant.Client, "POST", Sources, new { provider, preset, secret });
        Assert.Equal((422, "webhook_source.secret_invalid"), (reply.Status, reply.Code));
        Assert.Equal(422, (await Reply.To(tenant.Client, "POST", Sources, new { provider = "Acme Inc" })).Status);
        Assert.Equal(422, (await Reply.To(tenant.Client, "POST", Sources, new { provider, preset = "none" })).Status);
    }

    [Fact]
    public async Task An_organizations_GitHub_signs_the_body_alone()
    {
        var tenant = await nodes.Api.SignUp();
        var added = await Reply.To(tenant.Client, "POST", Sources, new { provider = "github" });
        Assert.Equal("github", added.Text("preset"));
        var body = Body();
        var headers = new Dictionary<string, string> { ["X-Hub-Signature-256"] = "sha256=" + Hex(added.Text("secret"), body), ["X-GitHub-Event"] = "push", ["X-GitHub-Delivery"] = "d-1" };
        var first = await Send(nodes.Api.Client, added.Text("path"), body, headers);
        var again = await Send(nodes.Nodes[2].Client, added.Text("path"), body, new Dictionary<string, string>(headers) { ["X-GitHub-Delivery"] = "d-2" });
        Assert.Equal((200, first), (first.Status, again));
        Assert.Equal(1, await nodes.Events(tenant.Id));
    }

    /// <summary>A change counts on another node as soon as its tail has seen it.</summary>
    private async Task Counts(string path, string secret, int status)
    {
        foreach (var node in nodes.Nodes)
        {
            var body = Body();
            await Burst.Until($"it is {status}", Soon, async () => (await Send(node.Client, path, body, nodes.Signed(secret, body, "e"))).Status == status);
        }
    }

    private static string Body() => $$"""{"key":"{{Guid.NewGuid():N}}"}""";
}
