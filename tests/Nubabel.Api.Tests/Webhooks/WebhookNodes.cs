using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Tests.Races;
using Nubabel.Api.Webhooks;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Webhooks;

/// <summary>Three servers on one database, which take webhooks of the platform and of organizations; what their handlers were given is kept here.</summary>
[CollectionDefinition(Name)]
public sealed class WebhookNodes : IAsyncLifetime, ICollectionFixture<WebhookNodes>
{
    public const string Name = "webhooks";
    public const string Secret = "the platform's secret of acme", Previous = "the one before, still counting";
    public const string StandardSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    public TestDatabase Database { get; private set; } = null!;
    public IReadOnlyList<TestApi> Nodes { get; private set; } = [];
    public TestApi Api => Nodes[0];
    internal MovableTime Time { get; } = new();

    /// <summary>What the handler of acme was given, by all nodes.</summary>
    public ConcurrentQueue<IncomingWebhook> Handled { get; } = new();

    public async Task InitializeAsync()
    {
        Database = await TestDatabase.New();
        Nodes = [await Start(), await Start(), await Start()];
    }

    public async Task DisposeAsync()
    {
        foreach (var node in Nodes) await node.DisposeAsync();
        await Database.DisposeAsync();
    }

    internal Task<TestApi> Start(Action<Dictionary<string, string?>>? configure = null) => TestApi.Start(Database, settings =>
    {
        settings["WEBHOOK_SECRET_ACME"] = Secret;
        settings["WEBHOOK_SECRET_PREVIOUS_ACME"] = Previous;
        settings["WEBHOOK_SECRET_SLACK"] = "the signing secret of slack";
        settings["WEBHOOK_SECRET_ACME_PAY"] = StandardSecret;
        settings["WEBHOOK_PRESET_ACME_PAY"] = "standard";
        settings["Limits:WebhookRequestsPerMinute"] = "0";
        configure?.Invoke(settings);
    }, builder => builder.Services.AddSingleton(new WebhookHandlers().On("acme", Handle)), Time);

    /// <summary>Waits until the handler has been given webhooks of this body.</summary>
    internal async Task<IncomingWebhook> HandledOne(string body)
    {
        await Burst.Until($"{body} is handled", TimeSpan.FromSeconds(20), () => Task.FromResult(Given(body).Any()));
        return Given(body).First();
    }

    internal IEnumerable<IncomingWebhook> Given(string body) => Handled.Where(h => Encoding.UTF8.GetString(h.Body.Span) == body);

    /// <summary>How many webhooks a tenant has been sent.</summary>
    internal Task<long> Events(string tenant = "*DEFAULT*") => Database.Scalar<long>($"select count(*) from events.mt_events where tenant_id = '{tenant}' and type = 'webhook_received'");

    private async Task Handle(IncomingWebhook webhook, MessageContext context)
    {
        await Task.Yield();
        Handled.Enqueue(webhook);
        if (webhook.EventId == "hopeless") throw new Hopeless("Nobody can do that.");
    }

    /// <summary>A delivery as the default preset has it.</summary>
    internal Dictionary<string, string> Signed(string secret, string body, string id, DateTimeOffset? at = null)
    {
        var time = (at ?? Time.GetUtcNow()).ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        return new() { ["x-webhook-event-id"] = id, ["x-webhook-timestamp"] = time, ["x-webhook-signature"] = Hex(secret, $"{time}.{body}") };
    }

    internal static string Hex(string secret, string text) => Convert.ToHexStringLower(HMACSHA256.HashData(Encoding.UTF8.GetBytes(secret), Encoding.UTF8.GetBytes(text)));

    internal static Task<Reply> Send(HttpClient client, string path, string body, IReadOnlyDictionary<string, string> headers) => Send(client, path, Encoding.UTF8.GetBytes(body), headers);

    internal static async Task<Reply> Send(HttpClient client, string path, byte[] body, IReadOnlyDictionary<string, string> headers)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new ByteArrayContent(body) };
        request.Content.Headers.TryAddWithoutValidation("Content-Type", "application/json");
        foreach (var (name, value) in headers) request.Headers.TryAddWithoutValidation(name, value);
        using var response = await client.SendAsync(request);
        return new Reply((int)response.StatusCode, await response.Content.ReadAsStringAsync(), null, null, null, response.Headers.RetryAfter?.ToString());
    }
}
