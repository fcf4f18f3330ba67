using System.Text.Json;
using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Domain;
using Nubabel.Domain.Consumers;
using Nubabel.Projections;
using Nubabel.Projections.Consumers;
using Nubabel.Store;

namespace Nubabel.Api.Consumers;

/// <summary>A delivery as it is shown.</summary>
/// <param name="Source"><c>event</c>, <c>replay</c> or <c>test</c>.</param>
/// <param name="Subject">What the event happened to.</param>
/// <param name="State"><c>waiting</c>, <c>delivered</c>, <c>failed</c> or <c>cancelled</c>.</param>
/// <param name="Resends">How often somebody had it sent again.</param>
/// <param name="Status">The last answer's.</param>
/// <param name="Error">Why the last attempt failed, or why there is none.</param>
/// <param name="Attempts">In order; in the answer for one delivery only.</param>
public sealed record DeliveryRow(
    Guid Id, string Source, Guid EventId, string Position, string Subject, string Type, string State, int Resends, DateTimeOffset HappenedAt, DateTimeOffset CreatedAt,
    DateTimeOffset? NextAttemptAt, DateTimeOffset? EndedAt, int? Status, string? Error, IReadOnlyList<DeliveryAttempt>? Attempts);

/// <summary>How the events of a consumer were delivered.</summary>
public static class DeliveriesApi
{
    private const string Attempt = """{"at":"2026-11-21T08:15:30.2Z","round":0,"milliseconds":87,"status":503,"error":"refused","answer":"try later"}""";

    private const string Members = """
        "id":"01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e60","source":"event","eventId":"01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e56","position":"main-000000000000002a",
        "subject":"device-01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e55","type":"nubabel.device.registered.v1","state":"waiting","resends":0,"happenedAt":"2026-11-21T08:15:30.123456Z",
        "createdAt":"2026-11-21T08:15:30.130Z","nextAttemptAt":"2026-11-21T08:15:35.2Z","status":503,"error":"refused"
        """;

    private const string Example = $$"""{{{Members}},"attempts":[{{Attempt}}]}""";

    public static void MapDeliveries(this IEndpointRouteBuilder app)
    {
        var deliveries = app.MapGroup("/api/consumers/{id}").WithTags("Consumers");
        deliveries.MapGet("/deliveries", List).Needs("consumers:read").Paged<DeliveryRow>().WithExample(response: $$"""{"items":[{{{Members}}}],"next":null}""");
        deliveries.MapGet("/deliveries/{deliveryId}", Get).Needs("consumers:read").Answers200<DeliveryRow>().WithExample(response: Example);
        deliveries.MapPost("/deliveries/{deliveryId}/resend", Resend).Needs("consumers:write").Answers202();
        Replays.Map(deliveries);
        deliveries.MapPost("/test", Test).Needs("consumers:write").Answers200<DeliveryRow>().WithExample(response: Example);
    }

    private static async Task<IResult> List(
        Id<Consumer> id, Paging page, Node node, Reader db, Journal journal, Freshness fresh, CancellationToken ct, string? state = null, string? type = null)
    {
        if (state is not null && !DeliveryLog.States.Contains(state)) throw Problem.At("state", "query.invalid", $"A state is one of {string.Join(", ", DeliveryLog.States)}.");
        await Known(id, journal, ct);
        await fresh.Of(ConsumerFanOut.Name, ct);
        var rows = await DeliveryLog.Of(db, id, state, type, page.After, page.Limit, ct);
        return page.Answer(Page.Cut(rows, page.Limit, row => JsonSerializer.SerializeToUtf8Bytes(Shown(row, node, attempts: false), StoredJson.Options), DeliveryLog.PlaceOf));
    }

    private static async Task<IResult> Get(Id<Consumer> id, string deliveryId, Node node, Reader db, Journal journal, CancellationToken ct)
    {
        await Known(id, journal, ct);
        return Results.Json(Shown(await Found(id, deliveryId, db, ct), node, attempts: true), StoredJson.Options);
    }

    /// <summary>The event goes out once more, with all its attempts. What the receiver sees is the same id.</summary>
    private static async Task<IResult> Resend(Id<Consumer> id, string deliveryId, Reader db, Journal journal, Answers answers, CancellationToken ct)
    {
        await Known(id, journal, ct);
        var delivery = await Found(id, deliveryId, db, ct);
        if (delivery.Source == "test") throw new Refused(RefusalKind.Conflict, "consumer.delivery_is_test", "A test is not sent again; send another one.");
        var ordered = (await journal.Load(id, ct)).State.Ordered;
        var message = new EventDelivery(delivery.Id, id.Value, delivery.Stream, delivery.Version, ordered, delivery.Round + 1);
        if (journal.Replay is null) journal.Enqueue(new Message(message) { Key = ConsumerFanOut.KeyOf(id.Value, ordered, delivery.Stream, delivery.Position) });
        return answers.Accepted(await journal.Handle(id, new ResendDelivery(delivery.Id, delivery.Round + 1), ct));
    }

    /// <summary>Sends a signed event of the type <c>nubabel.consumer.test.v1</c> now, once, and says what came back. Also to a consumer that is paused or disabled.</summary>
    private static async Task<IResult> Test(Id<Consumer> id, Deliveries deliveries, Node node, Journal journal, CancellationToken ct) =>
        Results.Json(Shown(await deliveries.Test(journal.Tenant, id, await Known(id, journal, ct), ct), node, attempts: true), StoredJson.Options);

    private static async Task<Consumer> Known(Id<Consumer> id, Journal journal, CancellationToken ct) =>
        (await journal.Load(id, ct)).State is { Status: not (ConsumerStatus.None or ConsumerStatus.Removed) } consumer ? consumer : throw ConsumersApi.Missing();

    private static async Task<LoggedDelivery> Found(Id<Consumer> consumer, string id, Reader db, CancellationToken ct) =>
        // A malformed id is an unknown one.
        Id<LoggedDelivery>.TryParse(id, null, out var known) && await DeliveryLog.Find(db, known.Value, ct) is { } found && found.Consumer == consumer.Value
            ? found
            : throw new Refused(RefusalKind.Missing, "consumer.delivery_missing", "There is no such delivery.");

    private static DeliveryRow Shown(LoggedDelivery d, Node node, bool attempts) => new(
        d.Id, d.Source, d.EventId, Host.Positions.Format(node.Database.Shard, d.Position), d.Stream, d.Type, d.State, d.Round, d.At, d.Created, d.State == DeliveryLog.Waiting ? d.Next : null,
        d.Ended, d.Status, d.Error, attempts ? d.Attempts : null);
}
