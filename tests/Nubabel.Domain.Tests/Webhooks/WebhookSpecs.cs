using Nubabel.Domain.Webhooks;
using Nubabel.Testing;

namespace Nubabel.Domain.Tests.Webhooks;

public sealed class WebhookSpecs : Spec<Webhook>
{
    private static readonly Personal Payload = new("webhook-1", "c1");

    [Fact]
    public void What_was_received_is_written_down_once_whatever_a_repetition_says()
    {
        Given().When(Receive()).Then(Received());
        Given(Received()).When(Receive() with { EventId = "another", Bytes = 9 }).Nothing();
    }

    [Fact]
    public void What_was_signed_is_held_by_a_claim_where_the_id_does_not_say_it()
    {
        Given(Received()).Holds("webhook-twin=t1");
        Given(Received() with { TwinHash = null }).Holds();
    }

    private static WebhookReceived Received() => new(ProviderName.Parse("acme"), Payload, 2, null, "application/json", "e1", "paid", Noon, null, "t1");
    private static ReceiveWebhook Receive() => new(ProviderName.Parse("acme"), Payload, 2, null, "application/json", "e1", "paid", Noon, null, "t1");
}
