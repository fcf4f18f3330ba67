using System.Globalization;
using Nubabel.Domain;
using Nubabel.Domain.ApiKeys;
using Nubabel.Store;

namespace Nubabel.Projections.ApiKeys;

/// <summary>An API key as those see it who look after it. The members stand in the order in which <c>jsonb</c> keeps them.</summary>
/// <param name="Key">The key itself: in the answer that makes or rotates it and nowhere else; never stored.</param>
/// <param name="Prefix">What the key begins with, to recognise it by; it holds nothing of the secret.</param>
/// <param name="Status">Of one that is read: <c>expired</c> once its time is over.</param>
/// <param name="LastUsedAt">To the minute, and up to a minute late; filled in when it is read.</param>
/// <param name="PreviousValidUntil">Until when the secret before the last rotation works too.</param>
public sealed record ApiKeyRow(
    Id<ApiKey> Id, string? Key, ApiKeyName Name, string Prefix, IReadOnlyList<Scope> Scopes, ApiKeyStatus Status, DateTimeOffset CreatedAt, string CreatedBy, DateTimeOffset? ExpiresAt,
    DateTimeOffset? RevokedAt, DateTimeOffset? RotatedAt, int Generation, DateTimeOffset? LastUsedAt, DateTimeOffset? PreviousValidUntil)
{
    // A record prints its members; a key must not be in a log.
    public override string ToString() => $"(API key {Id})";

    /// <summary>What no event says.</summary>
    public ApiKeyRow At(DateTimeOffset now, DateTimeOffset? lastUsed) =>
        this with { Status = Status == ApiKeyStatus.Active && ExpiresAt <= now ? ApiKeyStatus.Expired : Status, LastUsedAt = lastUsed };
}

/// <summary>All API keys, revoked and expired ones included.</summary>
public sealed class ApiKeyList : IDocument<ApiKeyRow>
{
    public static string Name => "api_keys";
    public static int Version => 1;
    public static IReadOnlyList<string> Types { get; } = ["api_key_made", "api_key_rotated", "api_key_revoked"];

    public static Columns<ApiKeyRow> Columns { get; } = new Columns<ApiKeyRow>()
        .Add("key_id", row => row.Id.Value)
        .Add("created_at", row => row.CreatedAt)
        .Index("The keys, newest first.", "created_at desc", "key desc");

    public static ApiKeyRow? Evolve(ApiKeyRow? row, Recorded e) => (row, e.Data) switch
    {
        (null, ApiKeyMade m) => new ApiKeyRow(
            new Id<ApiKey>(e.StreamGuid), null, m.Name, PrefixOf(e, 0), m.Scopes, ApiKeyStatus.Active, e.At, m.Maker, m.ExpiresAt, null, null, 0, null, null),
        (null, _) => null,
        (_, ApiKeyRotated r) => row with { Prefix = PrefixOf(e, r.Generation), RotatedAt = e.At, Generation = r.Generation, PreviousValidUntil = Earlier(r.OldValidUntil, row.ExpiresAt) },
        (_, ApiKeyRevoked) => row with { Status = ApiKeyStatus.Revoked, RevokedAt = row.RevokedAt ?? e.At },
        _ => row,
    };

    /// <summary>When keys were last used that are over, revoked or expired.</summary>
    public static Sql UsesOfEnded(Due due) => Sql.Of($"""
        select u.tenant_id, u.key_id::text as id, null::text as person, u.last_used as at
          from nubabel.key_uses u
         where (select k.doc ->> 'status' = 'revoked' or {due.Is(new Name("u.tenant_id"), Sql.Of($"(k.doc ->> 'expiresAt')::timestamptz"))}
                  from read.api_keys_v1 k where k.tenant_id = u.tenant_id and k.key = 'api-key-' || u.key_id)
           and {due.Is(new Name("u.tenant_id"), new Name("u.last_used"))} {due.PartById(new Name("u.key_id"))}
        """);

    /// <summary>The data subjects that keys are which are over, revoked or expired: where they were used from is sealed under theirs.</summary>
    public static Sql Ended(Due due) => Sql.Of($"""
        select s.tenant_id, s.subject as id, null::text as person, {EndOf} as at from nubabel.subject_keys s
         where left(s.subject, -37) = 'key' and s.wrapped is not null and {due.Is(new Name("s.tenant_id"), EndOf)} {due.Part(new Name("s.subject"), "key-")}
        """);

    private static Sql EndOf => Sql.Of($"""
        (select least((k.doc ->> 'revokedAt')::timestamptz, (k.doc ->> 'expiresAt')::timestamptz) from read.api_keys_v1 k where k.tenant_id = s.tenant_id and k.key = 'api-' || s.subject)
        """);

    /// <summary>What keys begin with: all of them that is no secret.</summary>
    public static string PrefixOf(string tenant, Guid key, int generation) =>
        string.Create(CultureInfo.InvariantCulture, $"nbk.{(tenant == Projection.PlatformTenant ? "platform" : tenant)}.{key:D}.{generation}.");

    /// <summary>The tenant's keys, newest first, as they stand at a time.</summary>
    /// <param name="after">The place of the last row of the page before: time and id.</param>
    public static async Task<Page> Of(Reader db, DateTimeOffset now, IReadOnlyList<string>? after, int limit, CancellationToken ct)
    {
        var rows = await db.Query($"""
            select k.doc, k.created_at, k.key, u.last_used
              from read.api_keys_v1 k left join nubabel.key_uses u on u.tenant_id = k.tenant_id and u.key_id = k.key_id
             where k.tenant_id = {db.Tenant} {After(after)}
             order by k.created_at desc, k.key desc limit {limit + 1}
            """, row => (Row: StoredJson.Read<ApiKeyRow>(row.GetFieldValue<byte[]>(0)), At: row.GetDateTime(1), Key: row.GetString(2), Used: row.IsDBNull(3) ? (DateTime?)null : row.GetDateTime(3)), ct);
        return await Page.Open(db, rows, limit, row => row.Row.At(now, row.Used is { } used ? new DateTimeOffset(used, TimeSpan.Zero) : null),
            row => [row.At.ToString("O", CultureInfo.InvariantCulture), row.Key], ct);
    }

    private static string PrefixOf(Recorded e, int generation) => PrefixOf(e.Tenant, e.StreamGuid, generation);

    private static DateTimeOffset Earlier(DateTimeOffset a, DateTimeOffset? b) => b < a ? b.Value : a;

    private static Sql After(IReadOnlyList<string>? place) => place is [var at, var key]
        ? Sql.Of($"and (k.created_at, k.key) < ({DateTime.Parse(at, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind)}, {key})")
        : Sql.None;
}
