using System.Globalization;
using System.Text.Json.Nodes;
using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Domain;
using Nubabel.Domain.Consumers;
using Nubabel.Projections;
using Nubabel.Projections.Consumers;
using Nubabel.Store;

namespace Nubabel.Api.Consumers;

/// <summary>A consumer as it is wanted.</summary>
/// <param name="Types">Types of the catalogue, or <c>*</c> alone for all, also those that come later.</param>
/// <param name="Ordered">Whether the events of one object come one after the other.</param>
public sealed record WantedConsumer(ConsumerName Name, EndpointUrl Url, IReadOnlyList<PublicType> Types, bool Ordered = false, ConsumerDescription? Description = null);

/// <summary>A rotation.</summary>
/// <param name="OverlapSeconds">How long deliveries are signed with the replaced secret too: 0 to 604,800, a week; a day unless it is said.</param>
public sealed record RotatedConsumerSecret(int? OverlapSeconds = null);

/// <summary>A type of the public catalogue.</summary>
/// <param name="Schema">The JSON schema (2020-12) of the event's <c>data</c>.</param>
public sealed record EventTypeRow(string Type, string Description, JsonNode Schema);

/// <summary>The consumers of an organization: endpoints that its events are delivered to.</summary>
public static class ConsumersApi
{
    /// <summary>Consumers of an organization.</summary>
    public const int MostConsumers = 20;

    /// <summary>How often a place is looked for where others take it in the same moment.</summary>
    private const int Attempts = 50;

    private const string Members = """
        "url":"https://hooks.example.com/nubabel","name":"billing","types":["nubabel.member.joined.v1","nubabel.member.removed.v1"],"status":"active","ordered":false,
        "createdAt":"2026-11-21T08:15:30.123456Z","createdBy":"user:01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","generation":0
        """;

    internal const string Example = $$"""{"id":"01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e55",{{Members}}}""";
    private const string WithSecret = $$"""{"id":"01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e55","secret":"whsec_bm90LWEtcmVhbC1zZWNyZXQtYnV0LTMyLWJ5dGVzISE=",{{Members}}}""";

    public static void MapConsumers(this IEndpointRouteBuilder app)
    {
        var consumers = app.MapGroup("/api/consumers").WithTags("Consumers");
        consumers.MapGet("", List).Needs("consumers:read").Paged<ConsumerRow>().WithExample(response: $$"""{"items":[{{Example}}],"next":null}""");
        consumers.MapPost("", Create).Needs("consumers:write").Answers201<ConsumerRow>()
            .WithExample("""{"name":"billing","url":"https://hooks.example.com/nubabel","types":["nubabel.member.joined.v1","nubabel.member.removed.v1"]}""", WithSecret);
        consumers.MapGet("/event-types", EventTypes).Needs("consumers:read").Answers200<Listed<EventTypeRow>>().WithExample(response: """
            {"items":[{"type":"nubabel.device.deleted.v1","description":"A device is gone.","schema":{"type":"object","properties":{"deviceId":{"type":"string","format":"uuid"}},"required":["deviceId"]}}]}
            """);
        consumers.MapGet("/{id}", Get).Needs("consumers:read").Answers200<ConsumerRow>().WithExample(response: Example);
        consumers.MapPatch("/{id}", Change).Needs("consumers:write").Answers200<ConsumerRow>().WithExample("""{"types":["*"],"description":"Everything"}""", Example);
        consumers.MapDelete("/{id}", Remove).Needs("consumers:write").Answers204();
        consumers.MapPut("/{id}/pause", Pause).Needs("consumers:write").Answers200<ConsumerRow>().WithExample(response: Example);
        consumers.MapPut("/{id}/activation", Activate).Needs("consumers:write").Answers200<ConsumerRow>().WithExample(response: Example);
        consumers.MapPost("/{id}/secret/rotate", Rotate).Needs("consumers:write").Answers200<ConsumerRow>().WithExample("""{"overlapSeconds":86400}""", WithSecret);
        consumers.MapDelete("/{id}/secret/previous", EndOverlap).Needs("consumers:write").Answers204();
    }

    private static async Task<IResult> List(Paging page, Reader db, Freshness fresh, CancellationToken ct)
    {
        await fresh.Of(ConsumerList.Name, ct);
        return page.Answer(await ConsumerList.Of(db, page.After, page.Limit, ct));
    }

    /// <summary>What can be asked for. The same for everybody, until the next release.</summary>
    private static IResult EventTypes() =>
        Results.Json(new Listed<EventTypeRow>([.. IntegrationEvents.All.OrderBy(e => e.Type, StringComparer.Ordinal).Select(e => new EventTypeRow(e.Type, e.Description, IntegrationEvents.SchemaOf(e)))]), Json.Options);

    private static async Task<IResult> Create(
        Body<WantedConsumer> body, HttpContext http, RequestScope scope, Node node, EndpointGuard guard, Answers answers, CancellationToken ct)
    {
        var (wish, tenant) = (body.Value, scope.Caller.Tenant);
        CheckTypes(wish.Types);
        // What was once let through is answered again as it was.
        if (scope.Replay is null) await guard.Check(wish.Url, ct);
        var id = scope.Ids.New<Consumer>();
        var secret = await ConsumerSecrets.Seal(node, tenant, id.Value, Signatures.NewSecret(), ct);
        var made = await InFreeSlot(scope.Journal, slot => new Step<Consumer>(id, new CreateConsumer(wish.Name, wish.Url, wish.Types, wish.Ordered, secret, slot, wish.Description), fresh: true), ct);
        return await answers.Created(made, await WithSecretOf(made, http, node, tenant, ct), $"/api/consumers/{id}", ct);
    }

    private static async Task<IResult> Get(Id<Consumer> id, At at, HttpContext http, Journal journal, Answers answers, CancellationToken ct) =>
        await answers.Found(http, await journal.Load(id, ct), at, Row, Missing(), ct);

    private static async Task<IResult> Change(
        Id<Consumer> id, Body<ChangeConsumer> body, HttpRequest request, Node node, EndpointGuard guard, Journal journal, Answers answers, CancellationToken ct)
    {
        CheckTypes(body.Value.Types ?? []);
        // What would be a 404 is one before anything is said about the URL, and before a name is looked up for nothing.
        if ((await journal.Load(id, ct)).State.Status is ConsumerStatus.None or ConsumerStatus.Removed) throw Missing();
        if (body.Value.Url is { } url && journal.Replay is null) await guard.Check(url, ct);
        var changed = await journal.Handle(id, body.Value, ct, ETags.IfMatch(request));
        // Another endpoint has not failed yet.
        if (changed.Written.Any(e => e.Data is ConsumerUrlChanged)) await Forget(node, journal.Tenant, id, ct);
        return await answers.Changed(changed, Row(changed), ct);
    }

    private static async Task<IResult> Pause(Id<Consumer> id, HttpRequest request, Journal journal, Answers answers, CancellationToken ct) =>
        await Changed(await journal.Handle(id, new PauseConsumer(), ct, ETags.IfMatch(request)), answers, ct);

    private static async Task<IResult> Activate(Id<Consumer> id, HttpRequest request, Node node, Journal journal, Answers answers, CancellationToken ct)
    {
        var activated = await journal.Handle(id, new ActivateConsumer(), ct, ETags.IfMatch(request));
        // Else the days of failing before would disable it again.
        if (activated.Appended > 0) await Forget(node, journal.Tenant, id, ct);
        return await Changed(activated, answers, ct);
    }

    private static async Task<IResult> Rotate(
        Id<Consumer> id, Body<RotatedConsumerSecret>? body, HttpContext http, Node node, Journal journal, Answers answers, CancellationToken ct)
    {
        var before = (await journal.Load(id, ct)).State;
        if (before.Status is ConsumerStatus.None or ConsumerStatus.Removed) throw Missing();
        var next = await ConsumerSecrets.Seal(node, journal.Tenant, id.Value, Signatures.NewSecret(), ct);
        var wanted = new RotateConsumerSecret(before.Generation, next, body?.Value.OverlapSeconds ?? Consumer.UsualOverlapSeconds);
        var rotated = await journal.Handle(id, wanted, ct, ETags.IfMatch(http.Request));
        // The successor that counts, whoever brought it.
        return await answers.Changed(rotated, await WithSecretOf(rotated, http, node, journal.Tenant, ct), ct);
    }

    private static async Task<IResult> EndOverlap(Id<Consumer> id, HttpRequest request, Journal journal, Answers answers, CancellationToken ct) =>
        answers.Gone(await journal.Handle(id, new EndConsumerOverlap(), ct, ETags.IfMatch(request)));

    private static async Task<IResult> Remove(Id<Consumer> id, HttpRequest request, Node node, Journal journal, Answers answers, CancellationToken ct)
    {
        var removed = await journal.Handle(id, new RemoveConsumer(), ct, ETags.IfMatch(request));
        await Forget(node, journal.Tenant, id, ct);
        return answers.Gone(removed);
    }

    private static Task<IResult> Changed(Outcome<Consumer> consumer, Answers answers, CancellationToken ct) => answers.Changed(consumer, Row(consumer), ct);

    /// <summary>The row with the secret in it, for the one answer that shows it.</summary>
    private static async Task<ConsumerRow?> WithSecretOf(Outcome<Consumer> consumer, HttpContext http, Node node, string tenant, CancellationToken ct)
    {
        // No cache keeps it, although it has a version.
        http.Response.Headers.CacheControl = "no-store";
        return Row(consumer) is { } row ? row with { Secret = await ConsumerSecrets.Open(node, tenant, row.Id.Value, consumer.State.Secret, ct) } : null;
    }

    private static Task Forget(Node node, string tenant, Id<Consumer> id, CancellationToken ct) => CircuitBreakers.Succeeded(node.Rows(tenant), Deliveries.BreakerOf(id.Value), ct);

    private static void CheckTypes(IReadOnlyList<PublicType> types)
    {
        var wrong = types.Select((type, i) => (type, i)).Where(t => !IntegrationEvents.Knows(t.type))
            .Select(t => new FieldError($"types[{t.i.ToString(CultureInfo.InvariantCulture)}]", "consumer.type_unknown", "No type of the catalogue is called so.")).ToArray();
        if (wrong.Length > 0) throw new Problem("consumer.type_unknown", "A type is not in the catalogue.") { Errors = wrong };
    }

    /// <summary>
    /// Each consumer holds a numbered place by a claim, so that their number is exact whoever makes some at the same time. Which of the free ones is left to
    /// chance: those who come together rarely meet, and who finds a place taken looks again.
    /// </summary>
    private static async Task<Outcome<Consumer>> InFreeSlot(Journal journal, Func<int, Step<Consumer>> make, CancellationToken ct)
    {
        for (var attempt = 0; ; attempt++)
        {
            var taken = await journal.Claimed(Consumer.SlotScope, ct);
            var free = Enumerable.Range(0, MostConsumers).Where(slot => !taken.Contains(slot.ToString(CultureInfo.InvariantCulture))).ToArray();
            // A repeated request is answered from its record, whatever is free by now.
            if (journal.Replay is null && free.Length == 0) throw new Refused(RefusalKind.Conflict, LimitCode, "The organization has as many consumers as it may; remove one.");
            var step = make(free.Length == 0 ? 0 : free[Random.Shared.Next(free.Length)]);
            try
            {
                await journal.Commit([step], ct);
                return step.Outcome;
            }
            catch (Refused refused) when (refused.Code == LimitCode && attempt < Attempts)
            {
            }
        }
    }

    private const string LimitCode = "consumer.limit";

    private static ConsumerRow? Row(Outcome<Consumer> consumer) => consumer.Row<ConsumerRow>();

    internal static Refused Missing() => new(RefusalKind.Missing, "consumer.missing", "There is no such consumer.");
}
