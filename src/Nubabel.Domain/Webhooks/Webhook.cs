namespace Nubabel.Domain.Webhooks;

/// <summary>A provider has told something, and signed it.</summary>
/// <param name="Payload">The body; base64 of it where it is no UTF-8.</param>
/// <param name="Bytes">The body's size.</param>
/// <param name="Source">Which of the organization's sources; null for a provider of the platform.</param>
/// <param name="EventId">What the provider calls it. Not everybody signs that.</param>
/// <param name="EventType">What kind of thing has happened, as the provider says. Not everybody signs that.</param>
/// <param name="SignedAt">The time that was signed; null for providers that sign none.</param>
/// <param name="IsBase64">The payload is base64; null for no.</param>
/// <param name="TwinHash">What another delivery of the same may be recognised by, beside its id: a hash of what was signed.</param>
public sealed record WebhookReceived(
    ProviderName Provider, Personal Payload, int Bytes, Id<WebhookSource>? Source = null, string? ContentType = null, string? EventId = null, string? EventType = null,
    DateTimeOffset? SignedAt = null, bool? IsBase64 = null, string? TwinHash = null) : Event<Webhook>;

/// <summary>The edge has verified the signature, and made the id from what was signed.</summary>
public sealed record ReceiveWebhook(
    ProviderName Provider, Personal Payload, int Bytes, Id<WebhookSource>? Source = null, string? ContentType = null, string? EventId = null, string? EventType = null,
    DateTimeOffset? SignedAt = null, bool? IsBase64 = null, string? TwinHash = null) : Command<Webhook>;

/// <summary>
/// One thing that a provider has told, however often it tells it: its id is made from what was signed, so a repetition meets the stream of the first, for ever.
/// </summary>
public sealed record Webhook(bool IsReceived, string? TwinHash) : IAggregate<Webhook>
{
    /// <summary>The scope of the claims on what was signed.</summary>
    public const string TwinScope = "webhook-twin";

    public static string Kind => "webhook";
    public static Webhook Initial { get; } = new(false, null);

    public static Webhook Evolve(Webhook state, Event<Webhook> e) => e switch
    {
        WebhookReceived r => new Webhook(true, r.TwinHash),
        _ => state,
    };

    public static IReadOnlyList<Event<Webhook>> Decide(Webhook state, Command<Webhook> command, Context at) => command switch
    {
        ReceiveWebhook when state.IsReceived => [],
        ReceiveWebhook c => [new WebhookReceived(c.Provider, c.Payload, c.Bytes, c.Source, c.ContentType, c.EventId, c.EventType, c.SignedAt, c.IsBase64, c.TwinHash)],
        _ => throw new NotSupportedException(command.GetType().Name),
    };

    public static IEnumerable<Claim> Claims(Webhook state) => state.TwinHash is { } twin ? [new Claim(TwinScope, twin, "webhook.duplicate")] : [];
}
