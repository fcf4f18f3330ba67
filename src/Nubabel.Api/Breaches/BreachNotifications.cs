using Nubabel.Api.Host;
using Nubabel.Api.Host.Mail;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Api.Jobs;
using Nubabel.Domain;
using Nubabel.Domain.Breaches;
using Nubabel.Domain.Organizations;
using Nubabel.Domain.Users;
using Nubabel.Projections;
using Nubabel.Projections.Audit;
using Nubabel.Projections.Breaches;
using Nubabel.Store;

namespace Nubabel.Api.Breaches;

/// <summary>Who is to be told now.</summary>
public sealed record WantedNotification(BreachAudience Audience);

/// <summary>What the job of a notification is told.</summary>
/// <param name="Number">Of the wording, as it was when it was ordered.</param>
public sealed record NotificationOrder(Guid Breach, BreachAudience Audience, int Number);

/// <summary>How a notification has ended.</summary>
public sealed record NotificationEnd(int Organizations, long Letters);

/// <summary>Whom a breach affects, as far as that is known now.</summary>
public sealed record AffectedCounts(int Organizations, long Users);

/// <summary>
/// Tells the owners of affected organizations, and affected people, as a job. Each letter is ordered under an id that follows from whom it is for, so a job that is done
/// again, or twice at once, orders none twice.
/// </summary>
public sealed class BreachNotifications(Node node, Store.Positions positions, AffectedPeople affected, BreachLetters letters)
{
    private static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(2);

    public static JobDefinition<NotificationOrder> Kind { get; } = new("breach-notification", BreachesApi.Write) { IsLong = true };

    public static void Map(IEndpointRouteBuilder app)
    {
        var breach = app.MapGroup("/api/admin/breaches/{id}").WithTags("Breaches");
        breach.MapPost("/notifications", Order).Starts(Kind).WithExample("""{"audience":"people"}""", """
            {"id":"01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e55","kind":"breach-notification","state":"queued","starter":"operator:01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","attempts":0,"queuedAt":"2026-11-21T08:15:30.123456Z"}
            """);
        breach.MapGet("/notifications", Counts).Needs(BreachesApi.Read).Answers200<Listed<BreachLetterCounts>>()
            .WithExample(response: """{"items":[{"audience":"people","number":1,"waiting":12,"sent":1180,"erased":3,"unreachable":5}]}""");
        breach.MapGet("/letters", Letters).Needs(BreachesApi.Read).Paged<BreachLetterRow>().WithExample(response: """
            {"items":[{"id":"7d0e5a10-11c4-8f0e-8b1d-2c3a4f506172","breachId":"01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e55","organizationId":"01936d5e-5a0f-7a11-8e2b-0c4d5e6f7081",
            "userId":"01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","audience":"people","number":1,"state":"failed","fault":"badAddress","orderedAt":"2026-11-21T08:15:30Z","endedAt":"2026-11-21T08:15:31Z"}],"next":null}
            """);
        breach.MapGet("/affected", Affected).Needs(BreachesApi.Read).Answers200<AffectedCounts>().WithExample(response: """{"organizations":1,"users":1200}""");
    }

    private static async Task<IResult> Order(Id<Breach> id, Body<WantedNotification> body, RequestScope scope, Node node, Post post, JobStarts jobs, CancellationToken ct)
    {
        var audience = body.Value.Audience;
        if ((await scope.Journal.Load(id, ct)).Version == 0) throw Breach.Missing();
        if (scope.Replay is null && !post.IsConfigured) throw new Problem("breach.mail_missing", "Mail__Host is not set, so nobody can be told by letter.");
        // A commit of its own, beside the request's, which is the job's: that it was ordered holds whether or not the job can be started.
        var journal = node.Journal(Node.Platform, scope.Origin(scope.Caller.Actor, scope.Caller.Actor.Subject));
        var breach = scope.Replay is null ? await journal.Handle(id, new OrderBreachNotification(audience), ct) : await journal.Load(id, ct);
        return await jobs.Start(Kind, new NotificationOrder(id.Value, audience, breach.State.WordingOf(audience)!.Number), ct);
    }

    private static async Task<IResult> Counts(Id<Breach> id, Reader db, Journal journal, Freshness fresh, CancellationToken ct)
    {
        await fresh.Of(BreachLetterList.Name, ct);
        if ((await journal.Load(id, ct)).Version == 0) throw Breach.Missing();
        return Results.Json(new Listed<BreachLetterCounts>(await BreachLetterList.Count(db, id, ct)), Json.Options);
    }

    private static async Task<IResult> Letters(Id<Breach> id, Paging page, string? audience, string? state, Reader db, Journal journal, Freshness fresh, CancellationToken ct)
    {
        var filter = new BreachLetterList.Filter(
            BreachesApi.Word(nameof(audience), audience, Enum.GetValues<BreachAudience>()), BreachesApi.Word(nameof(state), state, BreachLetterState.Ordered, BreachLetterState.Sent, BreachLetterState.Failed));
        await fresh.Of(BreachLetterList.Name, ct);
        if ((await journal.Load(id, ct)).Version == 0) throw Breach.Missing();
        return page.Answer(await BreachLetterList.Of(db, id, filter, page.After, page.Limit, ct));
    }

    private static async Task<IResult> Affected(Id<Breach> id, AffectedPeople affected, Journal journal, Freshness fresh, CancellationToken ct)
    {
        await fresh.Of(AuditTrail.Name, ct);
        var breach = await journal.Load(id, ct);
        if (breach.Version == 0) throw Breach.Missing();
        var (organizations, users) = (0, 0L);
        if (breach.State.Scope is { } scope)
            await foreach (var organization in affected.Of(scope, ct)) (organizations, users) = (organizations + 1, users + organization.Users.Count);
        return Results.Json(new AffectedCounts(organizations, users), Json.Options);
    }

    /// <summary>Does the job.</summary>
    public async Task<JobEnd> Run(NotificationOrder order, JobContext context)
    {
        var (ct, id, origin) = (context.Cancellation, new Id<Breach>(order.Breach), new Origin(context.Starter));
        await UpToDate(ct);
        var breach = (await context.Message.Journal.Load(id, ct)).State;
        var wording = breach.Wordings.First(w => w.Audience == order.Audience && w.Number == order.Number);
        var (organizations, ordered) = (0, 0L);
        await foreach (var organization in affected.Of(breach.Scope!, ct))
        {
            var tenant = organization.Id.ToString();
            var known = (await node.Journal(tenant, origin).Load(organization.Id, ct)).State;
            // Named by a slip: there is nobody to be told.
            if (known.Status == OrganizationStatus.None) continue;
            organizations++;
            if (order.Audience == BreachAudience.Tenants)
                await node.Journal(tenant, origin).Handle(new Id<BreachNotice>(id.Value), new GiveBreachNotice(order.Number, Content(breach, wording.Text, organization.Users.Count)), ct);
            foreach (var user in order.Audience == BreachAudience.Tenants ? [.. known.Owners.OrderBy(o => o.Value)] : organization.Users)
            {
                await letters.Order(tenant, origin, id, order.Audience, order.Number, user, ct);
                context.Report(++ordered, null, $"{ordered} letters, {organizations} organizations");
            }
        }
        return JobEnd.With(new NotificationEnd(organizations, ordered)) with { Steps = [new Step<Breach>(id, new CompleteBreachNotification(order.Audience, order.Number, organizations, ordered))] };
    }

    /// <summary>The trail, by which people are found, must know all that has happened by now.</summary>
    private async Task UpToDate(CancellationToken ct)
    {
        var written = (await node.Reader(Node.Platform).Query($"select last_value from events.mt_events_sequence", row => row.GetInt64(0), ct))[0];
        if (!(await positions.Reached(AuditTrail.Name, written, LongestWait, ct)).Reached) throw new TimeoutException("The audit trail is behind.");
    }

    private static NoticeContent Content(Breach breach, NoticeText text, long users) => new(
        text, breach.Facts!.AwareAt, breach.Facts.Kinds, breach.Facts.OccurredFrom, breach.Facts.OccurredTo, breach.Assessment?.Risk, breach.Assessment?.DataCategories ?? [], users);
}
