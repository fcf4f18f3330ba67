using System.Globalization;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using Nubabel.Api.Host;
using Nubabel.Api.Host.Rates;
using Nubabel.Domain;
using Nubabel.Domain.Webhooks;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Webhooks;

/// <summary>
/// Takes webhooks: looks whether the signature is right, and writes the fact down with the message of its work, in one transaction and once. The answer goes out
/// then, and the work is done in the background.
/// </summary>
public sealed class Intake(Node node, Settings settings, WebhookKeys keys, Standings standings, RateLimits limits, WebhookHandlers handlers)
{
    /// <summary>How far the signed time may lie from the server's.</summary>
    public static readonly TimeSpan Window = TimeSpan.FromMinutes(5);

    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <param name="address">The tail of a source's address; null for a provider of the platform.</param>
    public async Task<IResult> Take(HttpContext http, RequestScope scope, string provider, string? address, CancellationToken ct)
    {
        ArgumentNullException.ThrowIfNull(http);
        ArgumentNullException.ThrowIfNull(scope);
        var body = (await RawBody.Read(http)).Bytes;
        var sender = await Find(provider, address);
        var scheme = Scheme.Of(sender?.Preset ?? Scheme.Usual(provider));
        var signed = scheme.Read(http.Request.Headers);
        if (signed is null && sender is not null) throw new Problem("webhook.signature_missing", $"The request needs {scheme.Needs}.");
        // The same work whether anybody is there or not: no time tells who is.
        var isRight = (signed ?? Signed.None).IsBy(sender is null ? [] : [.. sender.Secrets.Select(scheme.Key)], body.Span);
        if (sender is null || signed is null) throw new Problem("webhook.missing", "Nobody takes webhooks here.");
        if (!isRight) throw new Problem("webhook.signature_invalid", "The signature is not that of this body under the provider's secret.");
        RequireInTime(signed);
        // Charged once it is certain who sends: a wrong signature spends nobody's limit.
        limits.AdmitSender(http, sender.Meter);
        if (sender.Source is not null && await standings.Organization(sender.Tenant) is { } stopped) throw stopped;
        return scheme.Answer(body) ?? scheme.Taken(await WriteDown(http, scope, sender, scheme.Identify(signed, body), signed, body, ct));
    }

    private async ValueTask<Sender?> Find(string provider, string? address)
    {
        if (!ProviderName.TryParse(provider, out var name)) return null;
        if (address is null)
            return settings.Providers.Find(name) is { } own ? new Sender(Node.Platform, name, null, own.Preset, own.Secrets) : null;
        if (keys.Read(address) is not var (tenant, id)) return null;
        var source = await standings.Of(tenant, id);
        return source.Status == WebhookSourceStatus.Active && source.Provider == name
            ? new Sender(tenant, name, id, source.Preset, [.. source.Secrets(node.Time.GetUtcNow()).Select(s => keys.Open(tenant, id, s))])
            : null;
    }

    private void RequireInTime(Signed signed)
    {
        if (signed.At is not { } at || (at - node.Time.GetUtcNow()) is var skew && skew.Duration() <= Window) return;
        throw new Problem("webhook.timestamp", $"The signed time is more than {Window.TotalMinutes.ToString(CultureInfo.InvariantCulture)} minutes from the server's.")
        {
            Members = new Dictionary<string, object?> { ["skewSeconds"] = (long)Math.Round(skew.TotalSeconds) },
        };
    }

    private async Task<Guid> WriteDown(HttpContext http, RequestScope scope, Sender sender, Identity identity, Signed signed, ReadOnlyMemory<byte> body, CancellationToken ct)
    {
        var id = new Id<Webhook>(IdOf(sender, identity.Name));
        var stream = Streams.Of(id);
        var journal = scope.JournalBeside(sender.Tenant, Actor.System("webhooks"), stream);
        if (handlers.MessageOf(sender.Provider, id) is { } message) journal.Enqueue(new Message(message) { Subject = stream });
        var (text, isBase64) = TextOf(body);
        var received = new ReceiveWebhook(
            sender.Provider, await node.Seal(sender.Tenant, stream, text, ct), body.Length, sender.Source, ContentType(http), identity.EventId, identity.EventType, signed.At, isBase64 ? true : null,
            identity.Twin is null ? null : IdOf(sender, identity.Twin).ToString("N"));
        var holder = await journal.WriteDown<Webhook>(id, received, ct);
        return Guid.Parse(holder.AsSpan(Webhook.Kind.Length + 1));
    }

    /// <summary>A UUID of version 8 from what was signed, and whose it is.</summary>
    private static Guid IdOf(Sender sender, string name)
    {
        var bytes = SHA256.HashData(Encoding.UTF8.GetBytes($"{sender.Tenant}\n{sender.Source?.ToString() ?? sender.Provider.Value}\n{name}")).AsSpan(0, 16);
        bytes[6] = (byte)(0x80 | (bytes[6] & 0x0F));
        bytes[8] = (byte)(0x80 | (bytes[8] & 0x3F));
        return new Guid(bytes, bigEndian: true);
    }

    private static (string Text, bool IsBase64) TextOf(ReadOnlyMemory<byte> body)
    {
        try
        {
            return (Utf8.GetString(body.Span), false);
        }
        catch (DecoderFallbackException)
        {
            return (Convert.ToBase64String(body.Span), true);
        }
    }

    private static string? ContentType(HttpContext http) => MediaTypeHeaderValue.TryParse(http.Request.ContentType, out var type) && type.MediaType is { Length: <= 100 } media ? media : null;

    /// <summary>Who sends, once it is known who that would be.</summary>
    private sealed record Sender(string Tenant, ProviderName Provider, Id<WebhookSource>? Source, WebhookPreset Preset, IReadOnlyList<string> Secrets)
    {
        public Guid Meter => Source?.Value ?? new Guid(SHA256.HashData(Encoding.UTF8.GetBytes(Provider.Value)).AsSpan(0, 16));
        public override string ToString() => $"(sender {Provider})";
    }
}
