using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Domain;
using Nubabel.Domain.Webhooks;
using Nubabel.Projections;
using Nubabel.Projections.Webhooks;
using Nubabel.Store;

namespace Nubabel.Api.Webhooks;

/// <summary>A source as it is wanted.</summary>
/// <param name="Preset">How the provider signs; where it is absent, what the provider's name stands for, or <c>default</c>.</param>
/// <param name="Secret">Where the provider gives it; absent, the server makes one, and shows it once.</param>
public sealed record WantedWebhookSource(ProviderName Provider, WebhookPreset? Preset = null, SourceName? Name = null, string? Secret = null)
{
    // A record prints its members; a secret must not be in a log.
    public override string ToString() => $"({Provider})";
}

/// <summary>A rotation.</summary>
/// <param name="OverlapSeconds">How long the secret that is replaced counts too: 0 to 604,800, a week.</param>
/// <param name="Secret">Where the provider gives it; absent, the server makes one, and shows it once.</param>
public sealed record RotatedWebhookSource(int OverlapSeconds, string? Secret = null)
{
    public override string ToString() => "(rotation)";
}

/// <summary>The providers from which an organization takes webhooks, each with an address and a secret of its own.</summary>
public static class WebhookSourcesApi
{
    /// <summary>For so long another request for a new secret is the same one.</summary>
    private static readonly TimeSpan Repeatable = TimeSpan.FromSeconds(30);

    private const string Members = """
        "id":"01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e55","name":"acme/shop","path":"/api/webhooks/github/AZNtXloPehGOKwxNXm9wgQGTbV58KnsenT8vahwLTlVub3QtYS1yZWFsLW1hYw","preset":"github","addedAt":"2026-11-21T08:15:30.123456Z","addedBy":"user:01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","provider":"github","generation":0
        """;

    private const string Example = $$"""{{{Members}}}""";
    private const string WithSecret = $$"""{{{Members}},"secret":"6e6f742d612d7265616c2d7365637265742d6275742d36342d63686172616374"}""";

    public static void MapWebhookSources(this IEndpointRouteBuilder app)
    {
        var sources = app.MapGroup("/api/webhook-sources").WithTags("Webhooks");
        sources.MapGet("", List).Needs("webhooks:read").Paged<WebhookSourceRow>().WithExample(response: $$"""{"items":[{{Example}}],"next":null}""");
        sources.MapPost("", Add).Needs("webhooks:write").Answers201<WebhookSourceRow>().WithExample("""{"provider":"github","name":"acme/shop"}""", WithSecret);
        sources.MapGet("/{id}", Get).Needs("webhooks:read").Answers200<WebhookSourceRow>().WithExample(response: Example);
        sources.MapDelete("/{id}", Remove).Needs("webhooks:write").Answers204();
        sources.MapPost("/{id}/rotation", Rotate).Needs("webhooks:write").Answers200<WebhookSourceRow>().WithExample("""{"overlapSeconds":86400}""", WithSecret);
    }

    private static async Task<IResult> List(Paging page, Caller caller, WebhookKeys keys, Reader db, Freshness fresh, CancellationToken ct)
    {
        await fresh.Of(WebhookSourceList.Name, ct);
        return page.Answer(await WebhookSourceList.Of(db, row => Shown(row, caller, keys), page.After, page.Limit, ct));
    }

    private static async Task<IResult> Add(Body<WantedWebhookSource> body, HttpContext http, RequestScope scope, WebhookKeys keys, Answers answers, CancellationToken ct)
    {
        var (wish, tenant, id) = (body.Value, scope.Caller.Tenant, scope.Ids.New<WebhookSource>());
        var preset = wish.Preset ?? Scheme.Usual(wish.Provider.Value);
        var secret = Secret(Scheme.Of(preset), wish.Secret, keys, tenant, id, 0);
        var source = await scope.Journal.Create(id, new AddWebhookSource(wish.Provider, preset, keys.Seal(tenant, id, secret), keys.Print(tenant, id, secret), wish.Name), ct);
        NeverKept(http);
        return await answers.Created(source, Row(source, scope.Caller, keys, wish.Secret is null ? secret : null), $"/api/webhook-sources/{id}", ct);
    }

    private static async Task<IResult> Get(Id<WebhookSource> id, At at, HttpContext http, Caller caller, WebhookKeys keys, Journal journal, Answers answers, CancellationToken ct) =>
        await answers.Found(http, await journal.Load(id, ct), at, shown => Row(shown, caller, keys, null), Missing(), ct);

    private static async Task<IResult> Rotate(Id<WebhookSource> id, Body<RotatedWebhookSource> body, HttpContext http, RequestScope scope, WebhookKeys keys, Answers answers, CancellationToken ct)
    {
        var (wish, tenant, journal) = (body.Value, scope.Caller.Tenant, scope.Journal);
        var loaded = await journal.Load(id, ct);
        var before = loaded.State;
        if (before.Status == WebhookSourceStatus.None) throw Missing();
        // A repeated request shows the successor that it made, not another one. So does one that comes soon after, since its answer may have been lost: a second
        // successor would end the overlap of the secret that the provider still signs with.
        var next = scope.Replay is { } replay ? (await loaded.AsOf(new Until(Version: replay.Versions.GetValueOrDefault(Streams.Of(id))), ct)).State.Generation
            : wish.Secret is null && await WasJustMade(loaded, wish.OverlapSeconds, journal.Now(), keys, tenant, id, ct) ? before.Generation
            : before.Generation + 1;
        var secret = Secret(Scheme.Of(before.Preset), wish.Secret, keys, tenant, id, next);
        var rotated = await journal.Handle(
            id, new RotateWebhookSource(before.Generation, keys.Seal(tenant, id, secret), keys.Print(tenant, id, secret), wish.OverlapSeconds), ct, ETags.IfMatch(http.Request));
        NeverKept(http);
        return await answers.Changed(rotated, Row(rotated, scope.Caller, keys, wish.Secret is null ? secret : null), ct);
    }

    // With another overlap it is another wish: whoever ends a secret that leaked must not be shown the rotation before.
    private static async Task<bool> WasJustMade(
        Outcome<WebhookSource> loaded, int overlapSeconds, DateTimeOffset now, WebhookKeys keys, string tenant, Id<WebhookSource> id, CancellationToken ct)
    {
        var (source, last) = (loaded.State, (await loaded.Events(ct)).LastOrDefault(e => e.Data is WebhookSourceRotated));
        return last is { Data: WebhookSourceRotated rotated } && last.At > now - Repeatable
            && Math.Abs((rotated.OldValidUntil - last.At).TotalSeconds - overlapSeconds) < 1
            && keys.Print(tenant, id, keys.Make(Scheme.Of(source.Preset), tenant, id, source.Generation)) == source.SecretHash;
    }

    private static async Task<IResult> Remove(Id<WebhookSource> id, HttpRequest request, Journal journal, Answers answers, CancellationToken ct) =>
        answers.Gone(await journal.Handle(id, new RemoveWebhookSource(), ct, ETags.IfMatch(request)));

    private static string Secret(Scheme scheme, string? given, WebhookKeys keys, string tenant, Id<WebhookSource> id, int generation)
    {
        if (given is not null && scheme.Fault(given) is { } fault) throw new Refused(RefusalKind.Invalid, "webhook_source.secret_invalid", $"With this preset a secret is {fault}.", "secret");
        return given ?? keys.Make(scheme, tenant, id, generation);
    }

    // The answer holds a secret: no cache keeps it, although it has a version.
    private static void NeverKept(HttpContext http) => http.Response.Headers.CacheControl = "no-store";

    private static WebhookSourceRow? Row(Outcome<WebhookSource> source, Caller caller, WebhookKeys keys, string? secret) =>
        source.Row<WebhookSourceRow>() is { } row ? Shown(row, caller, keys) with { Secret = secret } : null;

    private static WebhookSourceRow Shown(WebhookSourceRow row, Caller caller, WebhookKeys keys) => row with { Path = keys.Path(caller.Tenant, row.Id, row.Provider) };

    private static Refused Missing() => new(RefusalKind.Missing, "webhook_source.missing", "There is no such webhook source.");
}
