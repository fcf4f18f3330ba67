using System.Globalization;
using System.Text.Json.Serialization;

namespace Nubabel.Domain.ApiKeys;

/// <summary>A key was made.</summary>
/// <param name="SecretHash">Of the secret of generation 0; the secret itself is nowhere.</param>
/// <param name="Maker">The actor who made it, <c>user:&lt;id&gt;</c> or <c>operator:&lt;id&gt;</c>. An organization's key outlives its maker's account; an operator's ends with the operator.</param>
/// <param name="Slot">Which of the tenant's places for keys it takes: no two keys hold the same one, so their number is exact.</param>
public sealed record ApiKeyMade(ApiKeyName Name, IReadOnlyList<Scope> Scopes, string SecretHash, string Maker, int Slot, DateTimeOffset? ExpiresAt = null) : Event<ApiKey>
{
    // By what it holds: a list alone would be equal to itself only.
    public bool Equals(ApiKeyMade? other) => other is not null && Scopes.SequenceEqual(other.Scopes)
        && (Name, SecretHash, Maker, Slot, ExpiresAt) == (other.Name, other.SecretHash, other.Maker, other.Slot, other.ExpiresAt);
    public override int GetHashCode() => HashCode.Combine(Name, SecretHash);
}

/// <summary>The secret has a successor.</summary>
/// <param name="Generation">Of the successor.</param>
/// <param name="OldValidUntil">Until when the secret before it works too. It stands in the event because a fold sees no envelope.</param>
/// <param name="OverlapSeconds">From the rotation to that time.</param>
public sealed record ApiKeyRotated(int Generation, string SecretHash, DateTimeOffset OldValidUntil, int OverlapSeconds) : Event<ApiKey>;
public sealed record ApiKeyRevoked : Event<ApiKey>;

/// <summary>The maker is the actor. The edge has looked at the scopes: whether they exist, and whether the maker holds them.</summary>
public sealed record MakeApiKey(ApiKeyName Name, IReadOnlyList<Scope> Scopes, string SecretHash, int Slot, DateTimeOffset? ExpiresAt = null) : Command<ApiKey>
{
    public bool Equals(MakeApiKey? other) => other is not null && Scopes.SequenceEqual(other.Scopes)
        && (Name, SecretHash, Slot, ExpiresAt) == (other.Name, other.SecretHash, other.Slot, other.ExpiresAt);
    public override int GetHashCode() => HashCode.Combine(Name, SecretHash);
}

/// <summary>
/// Replaces the secret of a generation by the next one. The edge derives the successor from key and generation, so all who rotate the same
/// generation bring the same <paramref name="SecretHash"/> and get the same answer.
/// </summary>
/// <param name="Generation">The one that is replaced.</param>
/// <param name="SecretHash">Of the successor.</param>
/// <param name="OverlapSeconds">How long the replaced secret goes on working.</param>
public sealed record RotateApiKey(int Generation, string SecretHash, int OverlapSeconds) : Command<ApiKey>;
public sealed record RevokeApiKey : Command<ApiKey>;

/// <summary>Where a key is in its life. <see cref="Expired"/> is only shown: no event says that time has passed.</summary>
[JsonConverter(typeof(ApiKeyStatusConverter))]
public enum ApiKeyStatus { None, Active, Revoked, Expired }

internal sealed class ApiKeyStatusConverter() : WordConverter<ApiKeyStatus>("api_key.status_invalid");

/// <summary>The secret before the current one.</summary>
public sealed record ReplacedSecret(string Hash, DateTimeOffset ValidUntil, int OverlapSeconds)
{
    /// <summary>Until when a rotation that asks for the same is taken for a repetition of the one that replaced this secret.</summary>
    public DateTimeOffset RepeatableUntil => ValidUntil.AddSeconds(ApiKey.RepeatSeconds - OverlapSeconds);
}

/// <summary>
/// A key by which a program acts for an organization, or for the operators (then it belongs to the platform's tenant). What it may is fixed when it is
/// made. Its secret can be rotated; at most two work at a time. Once revoked it never comes back, and its name and place are free again.
/// </summary>
public sealed record ApiKey(
    ApiKeyStatus Status, ApiKeyName? Name, IReadOnlyList<Scope> Scopes, string Maker, int Slot, DateTimeOffset? ExpiresAt, int Generation, string SecretHash, ReplacedSecret? Replaced)
    : IAggregate<ApiKey>
{
    public const int MostScopes = 50;
    public const int MostYears = 5;

    /// <summary>A week.</summary>
    public const int MostOverlapSeconds = 7 * 24 * 60 * 60;

    /// <summary>How long a rotation may be repeated (a lost answer, a second click) and get the same successor.</summary>
    public const int RepeatSeconds = 30;

    /// <summary>The scope of the claims on places.</summary>
    public const string SlotScope = "api-key-slot";

    public static string Kind => "api-key";
    public static ApiKey Initial { get; } = new(ApiKeyStatus.None, null, [], "", 0, null, 0, "", null);

    /// <summary>Whether its time is over, revoked or not.</summary>
    public bool IsExpired(DateTimeOffset now) => ExpiresAt <= now;

    public static ApiKey Evolve(ApiKey state, Event<ApiKey> e) => e switch
    {
        ApiKeyMade m => new ApiKey(ApiKeyStatus.Active, m.Name, m.Scopes, m.Maker, m.Slot, m.ExpiresAt, 0, m.SecretHash, null),
        ApiKeyRotated r => state with { Generation = r.Generation, SecretHash = r.SecretHash, Replaced = new ReplacedSecret(state.SecretHash, r.OldValidUntil, r.OverlapSeconds) },
        ApiKeyRevoked => state with { Status = ApiKeyStatus.Revoked },
        _ => state,
    };

    public static IReadOnlyList<Event<ApiKey>> Decide(ApiKey state, Command<ApiKey> command, Context at) => command switch
    {
        MakeApiKey c => state.Make(c, at),
        _ when state.Status == ApiKeyStatus.None => throw new Refused(RefusalKind.Missing, "api_key.missing", "There is no such api key."),
        RotateApiKey c => state.Rotate(c, at.Now),
        RevokeApiKey => state.Status == ApiKeyStatus.Revoked ? [] : [new ApiKeyRevoked()],
        _ => throw new NotSupportedException(command.GetType().Name),
    };

    // A key that has expired holds both until it is revoked: no event frees them when its time is over.
    public static IEnumerable<Claim> Claims(ApiKey state) => state is { Status: ApiKeyStatus.Active, Name: { } name }
        ? [
            new Claim("api-key-name", name.Folded, "api_key.name_taken", "name"),
            new Claim(SlotScope, state.Slot.ToString(CultureInfo.InvariantCulture), "api_key.limit"),
        ]
        : [];

    private Event<ApiKey>[] Make(MakeApiKey c, Context at)
    {
        if (at.Actor.Kind is not ("user" or "operator")) throw new Refused(RefusalKind.Denied, "api_key.maker_required", "A person makes keys.");
        if (Status != ApiKeyStatus.None)
        {
            // Whatever place it was given: a command that is repeated may have found another one free.
            return Name == c.Name && SecretHash == c.SecretHash && ExpiresAt == c.ExpiresAt && Maker == at.Actor.ToString() && Scopes.SequenceEqual(c.Scopes)
                ? []
                : throw new Refused(RefusalKind.Conflict, "api_key.exists", "Another key has this id.");
        }
        if (c.Scopes.Count is 0 or > MostScopes || c.Scopes.Distinct().Count() < c.Scopes.Count)
            throw new Refused(RefusalKind.Invalid, "api_key.scopes_invalid", $"A key has 1 to {MostScopes} scopes, each once.", "scopes");
        if (c.ExpiresAt <= at.Now || c.ExpiresAt > at.Now.AddYears(MostYears))
            throw new Refused(RefusalKind.Invalid, "api_key.expiry_invalid", $"A key expires in the future, and within {MostYears} years.", "expiresAt");
        return [new ApiKeyMade(c.Name, c.Scopes, c.SecretHash, at.Actor.ToString(), c.Slot, c.ExpiresAt)];
    }

    private Event<ApiKey>[] Rotate(RotateApiKey c, DateTimeOffset now)
    {
        if (c.OverlapSeconds is < 0 or > MostOverlapSeconds)
            throw new Refused(RefusalKind.Invalid, "api_key.overlap_invalid", $"The overlap is 0 to {MostOverlapSeconds} seconds.", "overlapSeconds");
        if (Status == ApiKeyStatus.Revoked) throw new Refused(RefusalKind.Conflict, "api_key.revoked", "The key is revoked.");
        if (IsExpired(now)) throw new Refused(RefusalKind.Conflict, "api_key.expired", "The key has expired.");
        // Somebody else has brought the same successor.
        if (c.SecretHash == SecretHash) return [];
        if (Replaced is { } replaced && replaced.OverlapSeconds == c.OverlapSeconds && now < replaced.RepeatableUntil) return [];
        if (c.Generation != Generation) throw new Refused(RefusalKind.Conflict, "api_key.rotated", "The key was rotated meanwhile.");
        return [new ApiKeyRotated(Generation + 1, c.SecretHash, now.AddSeconds(c.OverlapSeconds), c.OverlapSeconds)];
    }
}
