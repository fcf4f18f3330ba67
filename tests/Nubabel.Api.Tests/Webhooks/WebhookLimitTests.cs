using System.Globalization;
using Nubabel.Api.Tests.Races;
using Nubabel.Api.Tests.Rates;
using Nubabel.Testing;
using static Nubabel.Api.Tests.Webhooks.WebhookNodes;

namespace Nubabel.Api.Tests.Webhooks;

/// <summary>Who pays for what: a right signature its source, a wrong one and an address that is none the network address, and nobody else.</summary>
public sealed class WebhookLimitTests
{
    private const string Sources = "/api/webhook-sources";

    [Fact]
    public async Task A_right_signature_spends_the_allowance_of_its_source_and_a_wrong_one_nobodys_but_the_addresss()
    {
        var time = new StillTime();
        await using var api = await TestApi.Start(await TestDatabase.Shared, settings =>
        {
            foreach (var (name, value) in (ReadOnlySpan<(string, int)>)[("WebhookRequestsPerMinute", 60), ("WebhookBurst", 2), ("WrongCredentialsPerMinute", 5), ("AddressRequestsPerMinute", 8), ("AddressBurst", 8), ("OrganizationRequestsPerMinute", 100), ("OrganizationBurst", 4)])
                settings["Limits:" + name] = value.ToString(CultureInfo.InvariantCulture);
        }, time: time);
        var tenant = await api.SignUp();
        var first = await Reply.To(tenant.Client, "POST", Sources, new { provider = "acme" });
        var second = await Reply.To(tenant.Client, "POST", Sources, new { provider = "acme" });

        // Wrong ones, until the address has spent its own.
        for (var i = 0; i < 5; i++) Assert.Equal((401, "webhook.signature_invalid"), await Deliver(first, "another secret altogether"));
        Assert.Equal((429, "limit.address"), await Deliver(first, "another secret altogether"));
        // The source has lost nothing, and a right one beside the wrong ones is let in.
        Assert.Equal((200, null), await Deliver(first));
        Assert.Equal((200, null), await Deliver(first));
        Assert.Equal((429, "limit.exceeded"), await Deliver(first));
        Assert.Equal((429, "limit.address"), await Deliver(first, "another secret altogether"));
        Assert.Equal((200, null), await Deliver(second));
        time.Move(TimeSpan.FromSeconds(1));
        Assert.Equal((200, null), await Deliver(first));
        // All that was the source's; of the organization's four, two went for the sources, one for each of these.
        Assert.Equal(200, (await Reply.To(tenant.Client, "GET", Sources)).Status);
        Assert.Equal(200, (await Reply.To(tenant.Client, "GET", Sources)).Status);

        // Addresses that nobody has spend what the network address may ask without a credential; the sign-up above was one of those.
        for (var i = 0; i < 7; i++) Assert.Equal(404, (await Send(api.Client, "/api/webhooks/nobody", "{}", new Dictionary<string, string>())).Status);
        Assert.Equal((429, "limit.exceeded"), (await Send(api.Client, "/api/webhooks/nobody", "{}", new Dictionary<string, string>())) is var spent ? (spent.Status, spent.Code) : default);
        Assert.Equal((200, null), await Deliver(second));

        async Task<(int, string?)> Deliver(Reply source, string? secret = null)
        {
            var body = $$"""{"key":"{{Guid.NewGuid():N}}"}""";
            var at = time.GetUtcNow().ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
            var reply = await Send(api.Client, source.Text("path"), body, new Dictionary<string, string>
            {
                ["x-webhook-event-id"] = "e",
                ["x-webhook-timestamp"] = at,
                ["x-webhook-signature"] = Hex(secret ?? source.Text("secret"), $"{at}.{body}"),
            });
            return (reply.Status, reply.Code);
        }
    }
}
