using System.Net;
using System.Net.Http.Json;
using Nubabel.Api.Tests.Slices;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Consumers;

/// <summary>Deliveries to the reference library of Standard Webhooks, which knows nothing of us.</summary>
public sealed class ForeignReceiverTests
{
    [ForeignFact]
    public async Task The_reference_library_verifies_what_we_deliver_and_nothing_else()
    {
        await using var receiver = ForeignPeer.Start("receiver.mjs");
        var url = $"http://127.0.0.1:{await receiver.Hear()}/";
        var acme = await (await TestApi.Shared).SignUp();
        var consumer = await acme.Client.PostAsJsonAsync(Consumption.Path, new { name = "reference", url, types = new[] { "nubabel.device.registered.v1" } }).Json(HttpStatusCode.Created);
        await receiver.Say(consumer.Text("secret"));
        Assert.Equal("ready", await receiver.Hear());
        await acme.Device("größer ☂ 𝄞");
        Assert.Equal("nubabel.device.registered.v1", await receiver.Hear());
        await acme.Delivery(consumer, d => d.Is("delivered"));

        // While the secrets overlap it has the old one still.
        await acme.Client.PostAsync($"{consumer.PathOf()}/secret/rotate", null).Json();
        Assert.Equal("delivered", (await acme.Client.PostAsync($"{consumer.PathOf()}/test", null).Json()).Text("state"));
        await acme.Client.DeleteAsync($"{consumer.PathOf()}/secret/previous");
        var refused = await acme.Client.PostAsync($"{consumer.PathOf()}/test", null).Json();
        Assert.Equal(("failed", 400, "WebhookVerificationError: No matching signature found"),
            (refused.Text("state"), refused.GetProperty("status").GetInt32(), refused.GetProperty("attempts")[0].Text("answer")));
    }
}
