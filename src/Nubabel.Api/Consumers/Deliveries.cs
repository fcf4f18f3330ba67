using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Text.Json;
using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Domain.Consumers;
using Nubabel.Projections;
using Nubabel.Projections.Consumers;
using Nubabel.Store;

namespace Nubabel.Api.Consumers;

/// <summary>
/// Delivers events to consumers. A message says which delivery is to be tried; what became of it stands in the log of deliveries, written before the message is
/// done: a process that dies in between has it tried again, under the same id.
/// </summary>
public sealed class Deliveries(Node node, Settings settings, EndpointClient client, Standings standings)
{
    /// <summary>Who acts where a delivery leads to an event.</summary>
    private const string Actor = "system:deliveries";

    private static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(5);
    private static readonly Meter Meter = new("Nubabel.Consumers");
    private static readonly Counter<long> Attempts = Meter.CreateCounter<long>("nubabel.consumers.attempts", "{attempt}", "Attempts to deliver an event, by outcome.");

    /// <summary>How many ordered deliveries of a consumer are under way in this process.</summary>
    private readonly ConcurrentDictionary<Guid, int> underWay = new();

    /// <summary>Handles a delivery's message.</summary>
    public async Task Deliver(EventDelivery message, MessageContext context)
    {
        var ct = context.Cancellation;
        var rows = node.Rows(context.Tenant);
        if (message.Round > 0) await DeliveryLog.Restart(rows, message.Delivery, message.Round, ct);
        if (await DeliveryLog.Find(node.Reader(context.Tenant), message.Delivery, ct) is not { State: DeliveryLog.Waiting } delivery || delivery.Round != message.Round) return;
        var id = new Id<Consumer>(message.Consumer);
        var consumer = await node.Journal(context.Tenant, new Origin(Actor)).Load(id, ct);
        if (await MustEnd(consumer, context.Tenant, ct) is { } reason)
        {
            await DeliveryLog.End(rows, delivery.Id, DeliveryLog.Cancelled, reason, ct);
            return;
        }
        if (delivery.Next - node.Time.GetUtcNow() is { } early && early > TimeSpan.Zero)
        {
            Later(message, context, early);
            return;
        }
        if (message.Ordered && !Enter(message.Consumer)) throw new NotYet(TimeSpan.FromSeconds(0.5 + Random.Shared.NextDouble()));
        try
        {
            await Attempt(message, context, rows, delivery, consumer.State);
        }
        finally
        {
            if (message.Ordered) underWay.AddOrUpdate(message.Consumer, 0, (_, n) => n - 1);
        }
    }

    /// <summary>Sends a test event now, whatever the breaker says, and notes it.</summary>
    public async Task<LoggedDelivery> Test(string tenant, Id<Consumer> id, Consumer consumer, CancellationToken ct)
    {
        var (at, rows) = (node.Time.GetUtcNow(), node.Rows(tenant));
        var e = Guid.CreateVersion7(at);
        var made = new NewDelivery(tenant, ConsumerFanOut.IdOf(id.Value, e, "test"), id.Value, "test", e, 0, Streams.Of(id), 0, IntegrationEvents.Test, at);
        await rows.Write(DeliveryLog.Note([made]), ct);
        var db = node.Reader(tenant);
        var delivery = await DeliveryLog.Find(db, made.Id, ct) ?? throw new InvalidOperationException("The delivery that was just made is not there.");
        var body = CloudEvents.Of(settings, tenant, node.Database.Shard, delivery, JsonSerializer.SerializeToUtf8Bytes(new TestV1(id.Value, "This is a test."), StoredJson.Options));
        var attempted = await Call(tenant, id.Value, consumer, delivery, body, ct);
        await DeliveryLog.Tried(rows, delivery, Entry(delivery, attempted), attempted.Error is null ? DeliveryLog.Delivered : DeliveryLog.Failed, null, ct);
        return await DeliveryLog.Find(db, made.Id, ct) ?? delivery;
    }

    /// <summary>Why nothing is delivered any more; null where something is. What only waits is put off.</summary>
    private async Task<string?> MustEnd(Outcome<Consumer> consumer, string tenant, CancellationToken ct)
    {
        switch (consumer.State.Status)
        {
            case ConsumerStatus.None or ConsumerStatus.Removed: return "consumer_removed";
            case ConsumerStatus.Disabled: return "consumer_disabled";
            case ConsumerStatus.Paused:
                // The longer it has been paused, the more rarely it is looked at again.
                var since = (await consumer.Events(ct)).Last(e => e.Data is ConsumerPaused).At;
                throw new NotYet(Clamp((node.Time.GetUtcNow() - since) / 10));
        }
        return await standings.Organization(tenant) switch
        {
            null => null,
            { Code: "organization.suspended" } => throw new NotYet(LongestPause),
            _ => "organization_closed",
        };
    }

    private async Task Attempt(EventDelivery message, MessageContext context, TenantRows rows, LoggedDelivery delivery, Consumer consumer)
    {
        var ct = context.Cancellation;
        if (await Body(context.Tenant, delivery, ct) is not { } body)
        {
            await DeliveryLog.End(rows, delivery.Id, DeliveryLog.Failed, "event_unreadable", ct);
            return;
        }
        var breaker = BreakerOf(message.Consumer);
        var passage = await CircuitBreakers.Enter(rows, breaker, ct);
        // No connection and no attempt: the whole lane stays where it is.
        if (passage.Wait is { } wait) throw new NotYet(wait * (1 + 0.1 * Random.Shared.NextDouble()));
        var attempted = await Call(context.Tenant, message.Consumer, consumer, delivery, body, ct);
        var entry = Entry(delivery, attempted);
        if (attempted.Error is null)
        {
            await DeliveryLog.Tried(rows, delivery, entry, DeliveryLog.Delivered, null, ct);
            if (passage.HasFailed) await CircuitBreakers.Succeeded(rows, breaker, ct);
            return;
        }
        var (failures, failingFor, since) = await CircuitBreakers.Failed(rows, breaker, attempted.Error, ct);
        var gone = attempted.Status == StatusCodes.Status410Gone;
        var pause = gone ? null : RetrySchedule.After(delivery.Tried + 1, delivery.Since ?? attempted.At, node.Time.GetUtcNow(), attempted.RetryAfter, Random.Shared.NextDouble());
        await DeliveryLog.Tried(rows, delivery, entry, pause is null ? DeliveryLog.Failed : DeliveryLog.Waiting, pause is { } p ? node.Time.GetUtcNow() + p : null, ct);
        if (gone) await Disable(context.Tenant, message.Consumer, new DisableConsumer(DisabledBecause.Gone), ct);
        else if (failingFor >= RetrySchedule.DisabledAfter && failures >= RetrySchedule.DisabledAfterFailures)
            await Disable(context.Tenant, message.Consumer, new DisableConsumer(DisabledBecause.Failing, since), ct);
        if (pause is { } later) Later(message, context, later);
    }

    /// <summary>Later events of the object wait behind an ordered one; any other makes room for those behind it in its lane.</summary>
    private static void Later(EventDelivery message, MessageContext context, TimeSpan pause)
    {
        if (message.Ordered) throw new NotYet(pause);
        context.Journal.Enqueue(new Message(message) { Key = context.Delivery.Key, After = pause });
    }

    private async Task<Attempted> Call(string tenant, Guid id, Consumer consumer, LoggedDelivery delivery, ReadOnlyMemory<byte> body, CancellationToken ct)
    {
        // The secrets of now and not those of when it happened: a secret may have been rotated while the delivery waited.
        var secrets = new List<string>();
        foreach (var cipher in consumer.SecretsAt(node.Time.GetUtcNow())) secrets.Add(await ConsumerSecrets.Open(node, tenant, id, cipher, ct));
        var (webhook, at) = (delivery.EventId.ToString("D"), node.Time.GetUtcNow());
        var attempted = await client.Post(consumer.Url!.Value, body,
            [new("webhook-id", webhook), new("webhook-timestamp", Signatures.Seconds(at)), new("webhook-signature", Signatures.Of(secrets, webhook, at, body.Span))], ct);
        Attempts.Add(1, new KeyValuePair<string, object?>("outcome", attempted.Error ?? "delivered"));
        return attempted;
    }

    /// <summary>The body as it is now: personal values of an erased person are null. Null where this build cannot read the event.</summary>
    private async Task<ReadOnlyMemory<byte>?> Body(string tenant, LoggedDelivery delivery, CancellationToken ct)
    {
        try
        {
            if (await node.Journal(tenant, new Origin(Actor)).ReadOne(delivery.Stream, delivery.Version, ct) is not { } e || IntegrationEvents.Find(e.Type) is not { } type) return null;
            var data = await node.Reader(tenant).Open(JsonSerializer.SerializeToUtf8Bytes(type.Map(e), type.Shape, StoredJson.Options), ct);
            return CloudEvents.Of(settings, tenant, node.Database.Shard, delivery, data.Span);
        }
        catch (Exception unreadable) when (unreadable is JsonException or UnreadableEvent)
        {
            return null;
        }
    }

    private async Task Disable(string tenant, Guid consumer, DisableConsumer command, CancellationToken ct)
    {
        try
        {
            await node.Journal(tenant, new Origin(Actor, CausationId: "delivery")).Handle(new Id<Consumer>(consumer), command, ct);
        }
        catch (Refused)
        {
            // Somebody has removed it meanwhile.
        }
    }

    private bool Enter(Guid consumer)
    {
        if (underWay.AddOrUpdate(consumer, 1, (_, n) => n + 1) <= ConsumerFanOut.AtOnce) return true;
        underWay.AddOrUpdate(consumer, 0, (_, n) => n - 1);
        return false;
    }

    private static DeliveryAttempt Entry(LoggedDelivery delivery, Attempted a) => new(a.At, delivery.Round, (long)a.Took.TotalMilliseconds, a.Status, a.Error, a.Answer);

    /// <summary>The name of a consumer's circuit breaker.</summary>
    public static string BreakerOf(Guid consumer) => $"consumer-{consumer:D}";

    private static TimeSpan Clamp(TimeSpan pause) => pause < TimeSpan.FromSeconds(5) ? TimeSpan.FromSeconds(5) : pause > LongestPause ? LongestPause : pause;
}
