using System.Text;
using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Domain.Webhooks;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Webhooks;

/// <summary>A webhook as its handler sees it.</summary>
/// <param name="Source">Which of the organization's sources it came from; null for a provider of the platform, whose tenant is the platform's.</param>
/// <param name="EventId">What the provider calls it; with the presets <c>default</c> and <c>github</c> nobody has signed that.</param>
/// <param name="EventType">What kind of event it is; with the preset <c>github</c> nobody has signed that.</param>
/// <param name="SignedAt">The time that was signed.</param>
/// <param name="Body">As it was sent.</param>
public sealed record IncomingWebhook(
    Id<Webhook> Id, string Tenant, string Provider, Id<WebhookSource>? Source, string? EventId, string? EventType, string? ContentType, DateTimeOffset ReceivedAt, DateTimeOffset? SignedAt,
    ReadOnlyMemory<byte> Body);

/// <summary>Does the work that a webhook asks for, as the handler of a message: it may be called again, its journal commits once, with the end of the message.</summary>
public delegate Task WebhookHandler(IncomingWebhook webhook, MessageContext context);

/// <summary>The message that a webhook waits to be handled. What was sent stands in the log and not here.</summary>
public sealed record WaitingWebhook(Id<Webhook> Webhook);

/// <summary>Who handles which provider's webhooks, named one by one. Those of a provider that is not here are written down, shown and passed on to consumers, and nothing else.</summary>
public sealed class WebhookHandlers
{
    private readonly Dictionary<string, WebhookHandler> handlers = [];
    private readonly Dictionary<string, Func<Id<Webhook>, object>> messages = [];

    /// <summary>Handles a provider's webhooks on the queue <c>webhooks</c>.</summary>
    public WebhookHandlers On(string provider, WebhookHandler handler)
    {
        handlers.Add(provider, handler);
        return OnMessage(provider, id => new WaitingWebhook(id));
    }

    /// <summary>
    /// Makes a provider's webhooks messages of another type, with a queue that has its own attempts, back-off and concurrency; its handler opens the webhook by <see cref="Inbox"/>.
    /// </summary>
    public WebhookHandlers OnMessage(string provider, Func<Id<Webhook>, object> message)
    {
        messages.Add(ProviderName.Parse(provider).Value, message);
        return this;
    }

    internal object? MessageOf(ProviderName provider, Id<Webhook> id) => messages.GetValueOrDefault(provider.Value)?.Invoke(id);

    internal WebhookHandler Of(string provider) => handlers.GetValueOrDefault(provider) ?? throw new InvalidOperationException($"Nobody handles the webhooks of {provider} here.");
}

/// <summary>Opens webhooks for their handlers.</summary>
public sealed class Inbox(Node node, WebhookHandlers handlers)
{
    /// <summary>The webhook; null where it was erased, or is not there.</summary>
    public async Task<IncomingWebhook?> Open(MessageContext context, Id<Webhook> id)
    {
        ArgumentNullException.ThrowIfNull(context);
        // Only what happened to it is remembered of a webhook, so this is read.
        var history = await context.Journal.Read(Streams.Of(id), new Until(Version: 1), context.Cancellation);
        if (history is not [{ Data: WebhookReceived received } envelope]) return null;
        if (await node.Open(context.Tenant, received.Payload, context.Cancellation) is not { } text) return null;
        return new IncomingWebhook(
            id, context.Tenant, received.Provider.Value, received.Source, received.EventId, received.EventType, received.ContentType, envelope.At, received.SignedAt,
            received.IsBase64 == true ? Convert.FromBase64String(text) : Encoding.UTF8.GetBytes(text));
    }

    /// <summary>Handles the message of a webhook. One that was erased is done.</summary>
    public async Task Handle(WaitingWebhook waiting, MessageContext context)
    {
        ArgumentNullException.ThrowIfNull(waiting);
        if (await Open(context, waiting.Webhook) is { } webhook) await handlers.Of(webhook.Provider)(webhook, context);
    }
}
