using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Api.Jobs;
using Nubabel.Domain;
using Nubabel.Domain.Consumers;
using Nubabel.Projections;
using Nubabel.Projections.Audit;
using Nubabel.Projections.Consumers;
using Nubabel.Store;

namespace Nubabel.Api.Consumers;

/// <summary>From where events are to be delivered again: one of both.</summary>
/// <param name="Position">A position of this server: what stands behind it is delivered.</param>
/// <param name="Time">What has happened from then on is delivered.</param>
public sealed record WantedReplay(string? Position = null, DateTimeOffset? Time = null);

/// <summary>What a replay's job is told.</summary>
/// <param name="After">The position behind which it begins; null where the time says it.</param>
/// <param name="To">The last position: what comes behind it is delivered as it happens.</param>
public sealed record ReplayOrder(Guid Consumer, long? After, DateTimeOffset? Time, long To);

/// <summary>How a replay has ended.</summary>
/// <param name="Events">So many were enqueued.</param>
/// <param name="Next">From where the next replay goes on, where one was not enough.</param>
public sealed record ReplayEnd(int Events, string? Next);

/// <summary>
/// Delivers events of the past to a consumer: as a job, a part at a time. A delivery's id follows from the job and the event, and so does its message's, so a
/// part that is done again is not sent again.
/// </summary>
public sealed class Replays(Node node, Store.Positions positions)
{
    /// <summary>So many events of a replay are looked at in one part.</summary>
    private const int Part = 500;

    /// <summary>So many are delivered by one replay.</summary>
    public const int MostEvents = 100_000;

    private static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(2);

    public static JobDefinition<ReplayOrder> Kind { get; } = new("consumer-replay", "consumers:write") { IsLong = true };

    public static void Map(RouteGroupBuilder consumer) =>
        consumer.MapPost("/replay", Order).Starts(Kind).WithExample("""{"time":"2026-11-20T00:00:00Z"}""", """
            {"id":"01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e55","kind":"consumer-replay","state":"queued","starter":"user:01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","attempts":0,"queuedAt":"2026-11-21T08:15:30.123456Z"}
            """);

    private static async Task<IResult> Order(Id<Consumer> id, Body<WantedReplay> body, RequestScope scope, Node node, Journal journal, JobStarts jobs, CancellationToken ct)
    {
        var consumer = (await journal.Load(id, ct)).State;
        if (consumer.Status is ConsumerStatus.None or ConsumerStatus.Removed) throw ConsumersApi.Missing();
        if (scope.Replay is null && consumer.Status == ConsumerStatus.Disabled) throw new Problem("consumer.disabled", "The consumer is disabled.");
        var wish = body.Value;
        if (wish.Position is null == wish.Time is null) throw new Problem("consumer.replay_invalid", "A replay begins at a position or at a time.");
        long? after = null;
        if (wish.Position is { } text) after = Host.Positions.TryParse(text, node.Database.Shard, out var position) ? position : throw Problem.At("position", "consumer.replay_invalid", "This is no position that the server has given out.");
        // Drawn numbers may lie behind it that are not yet to be seen; what they become is delivered as it happens, or waited for.
        var to = (await scope.Reader.Query($"select last_value from events.mt_events_sequence", row => row.GetInt64(0), ct))[0];
        return await jobs.Start(Kind, new ReplayOrder(id.Value, after, wish.Time, to), ct);
    }

    /// <summary>Does the job.</summary>
    public async Task<JobEnd> Run(ReplayOrder order, JobContext context)
    {
        var ct = context.Cancellation;
        var id = new Id<Consumer>(order.Consumer);
        var db = node.Reader(context.Tenant);
        // The trail must know all that is to be found in it.
        if (!(await positions.Reached(AuditTrail.Name, order.To, LongestWait, ct)).Reached) throw new TimeoutException("The audit trail is behind.");
        var at = order.After ?? await ReplayedEvents.Before(db, order.Time!.Value, order.To, ct);
        var (first, sent) = (at, 0);
        while (at < order.To && sent < MostEvents)
        {
            // Another one may have paused or removed it meanwhile, or chosen other types.
            var consumer = (await node.Journal(context.Tenant, new Origin(context.Starter)).Load(id, ct)).State;
            if (consumer.Status is ConsumerStatus.None or ConsumerStatus.Removed) throw ConsumersApi.Missing();
            if (consumer.Status == ConsumerStatus.Disabled) throw new Refused(RefusalKind.Conflict, "consumer.disabled", "The consumer is disabled.");
            var part = await ReplayedEvents.Next(db, at, order.To, Math.Min(Part, MostEvents - sent), ct);
            if (part.Count == 0)
            {
                at = order.To;
                break;
            }
            sent += await Send(order.Consumer, consumer, [.. part.Where(e => order.Time is null || e.At >= order.Time)], context, ct);
            at = part[^1].Position;
            context.Report(at - first, order.To - first, $"{sent} events");
        }
        var next = at < order.To ? Host.Positions.Format(node.Database.Shard, at) : null;
        return JobEnd.With(new ReplayEnd(sent, next)) with { Steps = [new Step<Consumer>(id, new NoteReplay(context.Job.Value, first, at, sent))] };
    }

    /// <summary>The rows first and their messages behind them: what is cut off in between is done again and finds the rows there.</summary>
    private async Task<int> Send(Guid id, Consumer consumer, PastEvent[] part, JobContext context, CancellationToken ct)
    {
        var route = new ConsumerRoute([.. consumer.Types.Select(t => t.Value)], consumer.Ordered);
        var wanted = part.Select(e => (Event: e, Type: IntegrationEvents.Find(e.Type)?.Type)).Where(e => e.Type is not null && route.Wants(e.Type)).ToArray();
        if (wanted.Length == 0) return 0;
        var made = wanted.Select(e => new NewDelivery(
            context.Tenant, ConsumerFanOut.IdOf(id, e.Event.Id, $"replay {context.Job}"), id, "replay", e.Event.Id, e.Event.Position, e.Event.Stream, e.Event.Version, e.Type!, e.Event.At)).ToArray();
        await node.Rows(context.Tenant).Write(DeliveryLog.Note(made), ct);
        var journal = context.Beside();
        foreach (var delivery in made)
        {
            journal.Enqueue(new Message(new EventDelivery(delivery.Id, id, delivery.Stream, delivery.Version, consumer.Ordered))
            {
                Key = ConsumerFanOut.KeyOf(id, consumer.Ordered, delivery.Stream, delivery.Position),
                Once = $"replay {delivery.Id:D}",
            });
        }
        await journal.Send(ct);
        return made.Length;
    }
}
