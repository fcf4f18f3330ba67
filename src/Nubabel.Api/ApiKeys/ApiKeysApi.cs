using System.Globalization;
using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Api.Host.Tokens;
using Nubabel.Domain;
using Nubabel.Domain.ApiKeys;
using Nubabel.Domain.Organizations;
using Nubabel.Projections;
using Nubabel.Projections.ApiKeys;
using Nubabel.Store;

namespace Nubabel.Api.ApiKeys;

/// <summary>A key as its maker wants it.</summary>
/// <param name="Scopes">Permissions, 1 to 50; none that the maker does not hold.</param>
/// <param name="ExpiresAt">Within 5 years; a key without one works until it is revoked.</param>
public sealed record WantedApiKey(ApiKeyName Name, IReadOnlyList<Scope> Scopes, DateTimeOffset? ExpiresAt = null);

/// <summary>A rotation.</summary>
/// <param name="OverlapSeconds">How long the secret that is replaced goes on working: 0 to 604,800, a week.</param>
public sealed record RotatedApiKey(int OverlapSeconds);

/// <summary>The keys by which programs act: an organization's, and the operators'. The same routes, each in its realm.</summary>
public static class ApiKeysApi
{
    private const string Own = "/api/api-keys", Platform = "/api/admin/api-keys";

    /// <summary>Keys of a tenant, unless an operator has set another limit.</summary>
    public const int MostKeys = 100;

    /// <summary>How often a place is looked for where others take it in the same moment.</summary>
    private const int Attempts = 50;

    private const string Members = """
        "name":"nightly export","prefix":"nbk.01936d5e-5a0f-7a11-8e2b-0c4d5e6f7081.01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e55.0.","scopes":["members:read"],"status":"active","createdAt":"2026-11-21T08:15:30.123456Z","createdBy":"user:01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","expiresAt":"2027-11-21T00:00:00Z","generation":0
        """;

    private const string Example = $$"""{"id":"01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e55",{{Members}},"lastUsedAt":"2026-11-21T09:31:00Z"}""";

    private const string WithKey = $$"""
        {"id":"01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e55","key":"nbk.01936d5e-5a0f-7a11-8e2b-0c4d5e6f7081.01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e55.0.bm90LWEtcmVhbC1zZWNyZXQtYnV0LTQzLWNoYXJhY3RlcnMxxxxxx",{{Members}}}
        """;

    public static void MapApiKeys(this IEndpointRouteBuilder app)
    {
        Map(app.MapGroup(Own).WithTags("API keys"), "api-keys:read", "api-keys:write", """["members:read"]""", "apiKeys");
        Map(app.MapGroup(Platform).WithTags("Operators"), "platform:api-keys", "platform:api-keys", """["platform:tenants-read"]""", "platformApiKeys");
    }

    private static void Map(RouteGroupBuilder keys, string read, string write, string scopes, string id)
    {
        keys.MapGet("", List).Needs(read).WithName($"{id}List").Paged<ApiKeyRow>().WithExample(response: $$"""{"items":[{{Example}}],"next":null}""");
        keys.MapPost("", Make).Needs(write).WithName($"{id}Make").Answers201<ApiKeyRow>()
            .WithExample($$"""{"name":"nightly export","scopes":{{scopes}},"expiresAt":"2027-11-21T00:00:00Z"}""", WithKey);
        keys.MapGet("/{id}", Get).Needs(read).WithName($"{id}Get").Answers200<ApiKeyRow>().WithExample(response: Example);
        keys.MapDelete("/{id}", Revoke).Needs(write).WithName($"{id}Revoke").Answers204();
        keys.MapPost("/{id}/rotation", Rotate).Needs(write).WithName($"{id}Rotate").Answers200<ApiKeyRow>().WithExample("""{"overlapSeconds":3600}""", WithKey);
    }

    private static async Task<IResult> List(Paging page, Node node, Reader db, Freshness fresh, CancellationToken ct)
    {
        await fresh.Of(ApiKeyList.Name, ct);
        return page.Answer(await ApiKeyList.Of(db, node.Time.GetUtcNow(), page.After, page.Limit, ct));
    }

    private static async Task<IResult> Make(
        Body<WantedApiKey> body, HttpContext http, RequestScope scope, ApiKeyTexts texts, Standings standings, Answers answers, CancellationToken ct)
    {
        var (wish, caller) = (body.Value, scope.Caller);
        // What was once granted is answered again as it was; the maker may hold less by now.
        if (scope.Replay is null) RequireHeld(wish.Scopes, caller);
        var key = texts.Of(caller.Tenant, scope.Ids.New<ApiKey>(), 0);
        var made = await InFreeSlot(scope.Journal, await Limit(caller, standings), slot => new Step<ApiKey>(key.Key, new MakeApiKey(wish.Name, wish.Scopes, key.Hash, slot, wish.ExpiresAt), fresh: true), ct);
        NeverKept(http);
        return await answers.Created(made, Row(made) is { } row ? row with { Key = key.Text } : null, $"{(caller.Realm == Realm.Platform ? Platform : Own)}/{key.Key}", ct);
    }

    private static async Task<IResult> Get(Id<ApiKey> id, At at, HttpContext http, Node node, Reader db, Journal journal, Answers answers, CancellationToken ct)
    {
        var key = await journal.Load(id, ct);
        // Uses stand beside the log, so of an earlier time there are none to show.
        var used = at.Until is null ? await KeyUses.Last(db, id.Value, ct) : null;
        // It is used and expires without a new version, so an If-None-Match is not answered by 304 here.
        http.Request.Headers.IfNoneMatch = default;
        return await answers.Found(http, key, at, shown => Row(shown)?.At(at.Moment(shown, node.Time), used), Missing(), ct);
    }

    private static async Task<IResult> Rotate(
        Id<ApiKey> id, Body<RotatedApiKey> body, HttpContext http, Caller caller, ApiKeyTexts texts, Journal journal, Answers answers, CancellationToken ct)
    {
        var before = (await journal.Load(id, ct)).State;
        var next = texts.Of(caller.Tenant, id, before.Generation + 1);
        var rotated = await journal.Handle(id, new RotateApiKey(before.Generation, next.Hash, body.Value.OverlapSeconds), ct, ETags.IfMatch(http.Request));
        NeverKept(http);
        // The successor that counts, whoever brought it.
        var key = texts.Of(caller.Tenant, id, rotated.State.Generation);
        return await answers.Changed(rotated, Row(rotated) is { } row ? row with { Key = key.Text } : null, ct);
    }

    private static async Task<IResult> Revoke(Id<ApiKey> id, HttpRequest request, Journal journal, Answers answers, CancellationToken ct) =>
        answers.Gone(await journal.Handle(id, new RevokeApiKey(), ct, ETags.IfMatch(request)));

    /// <summary>A key gets no permission that keys of its realm cannot hold, and none that its maker does not hold now.</summary>
    internal static void RequireHeld(IReadOnlyList<Scope> scopes, Caller caller)
    {
        var wrong = scopes.Select((scope, i) => (scope, i)).Where(s => !IsForKeys(s.scope, caller.Realm))
            .Select(s => new FieldError($"scopes[{s.i.ToString(CultureInfo.InvariantCulture)}]", "api_key.scope_invalid", "No key of this realm can hold this permission.")).ToArray();
        if (wrong.Length > 0) throw new Problem("api_key.scope_invalid", "A scope is no permission that a key of this realm can hold.") { Errors = wrong };
        if (scopes.FirstOrDefault(scope => !caller.May(scope.Value)) is { } missing) throw PermissionDenied.Of(missing.Value);
    }

    private static bool IsForKeys(Scope scope, Realm realm) => Permissions.Find(scope.Value) is { ForKeys: true } && new Access(scope.Value).Realm == realm;

    private static async Task<int> Limit(Caller caller, Standings standings) =>
        caller.Realm == Realm.Platform ? MostKeys : (await standings.Of(caller.Tenant, Id<Organization>.Parse(caller.Tenant))).Limits?.ApiKeys ?? MostKeys;

    /// <summary>
    /// Each key holds a numbered place by a claim, so that their number is exact whoever makes keys at the same time. Which of the free ones is left to
    /// chance: those who come together rarely meet, and who finds a place taken looks again.
    /// </summary>
    private static async Task<Outcome<ApiKey>> InFreeSlot(Journal journal, int limit, Func<int, Step<ApiKey>> make, CancellationToken ct)
    {
        for (var attempt = 0; ; attempt++)
        {
            var taken = await journal.Claimed(ApiKey.SlotScope, ct);
            // No more than the limit leaves: places beyond a limit that was lowered may be taken too.
            var free = Enumerable.Range(0, limit).Where(slot => !taken.Contains(slot.ToString(CultureInfo.InvariantCulture))).Take(limit - taken.Count).ToArray();
            // A repeated request is answered from its record, whatever is free by now.
            if (journal.Replay is null && (taken.Count >= limit || free.Length == 0)) throw TooMany();
            var step = make(free.Length == 0 ? 0 : free[Random.Shared.Next(free.Length)]);
            try
            {
                await journal.Commit([step], ct);
                return step.Outcome;
            }
            catch (Refused refused) when (refused.Code == TooManyCode && attempt < Attempts)
            {
            }
        }
    }

    private const string TooManyCode = "api_key.limit";

    private static Refused TooMany() => new(RefusalKind.Conflict, TooManyCode, "The organization has as many keys as it may; revoke one.");

    // The answer holds a secret: no cache keeps it, although it has a version.
    private static void NeverKept(HttpContext http) => http.Response.Headers.CacheControl = "no-store";

    private static ApiKeyRow? Row(Outcome<ApiKey> key) => key.Row<ApiKeyRow>();

    private static Refused Missing() => new(RefusalKind.Missing, "api_key.missing", "There is no such api key.");
}
