using System.Collections.Frozen;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Text;
using Nubabel.Api.Host.Tokens;
using Nubabel.Domain;
using Nubabel.Domain.ApiKeys;
using Nubabel.Domain.Operators;
using Nubabel.Domain.Sessions;

namespace Nubabel.Api.Host;

/// <summary>
/// Who calls with an API key. The key's state is as fresh as the live tail, so a revocation counts within a second on every node. What is unknown, forged
/// or another tenant's gets one and the same answer; that a key has ended is told only to whoever has its secret.
/// </summary>
public sealed class ApiKeyCheck(Node node, Standings standings, LastUses uses)
{
    /// <summary>What callers with a key have for a role: none of the table.</summary>
    public const string Role = "key";

    // A state that is loaded anew is another object, so what is worked out here never outlives it.
    private readonly ConditionalWeakTable<ApiKey, FrozenSet<string>> scopes = [];

    /// <summary>Who calls with this key. Whether its organization is open is asked after this, as for everybody.</summary>
    /// <exception cref="Problem">401: it is not one of ours, or has ended.</exception>
    public async ValueTask<Caller> Check(string credential)
    {
        var text = ApiKeyText.Parse(credential) ?? throw Invalid();
        // An id that names nothing is not kept, so whoever makes ids up cannot fill the memory of the node.
        var state = await standings.Of(text.Tenant, text.Key);
        var now = node.Time.GetUtcNow();
        var (presented, replaced) = (text.Hash, state.Replaced);
        var isCurrent = state.Generation == text.Generation && AreEqual(presented, state.SecretHash);
        var isReplaced = replaced is not null && state.Generation - 1 == text.Generation && AreEqual(presented, replaced.Hash);
        if (!isCurrent && !isReplaced) throw Invalid();
        if (state.Status != ApiKeyStatus.Active || state.IsExpired(now) || (isReplaced && now >= replaced!.ValidUntil))
            throw Authentication.Unauthorized("credential.revoked", "The API key is revoked, has expired, or was replaced.");
        var realm = text.Tenant == Node.Platform ? Realm.Platform : Realm.Organization;
        if (realm == Realm.Platform && !await IsServing(state.Maker)) throw Authentication.Unauthorized("credential.revoked", "The operator who made the API key is gone.");
        uses.Note(text.Tenant, text.Key.Value, now);
        return new Caller(realm, text.Tenant, text.Key.Value, default(Id<Session>), Role, scopes.GetValue(state, Held));
    }

    /// <summary>An organization's key is the organization's. An operator's ends with the operator: its removal revokes it, and this one made at the same moment.</summary>
    private async ValueTask<bool> IsServing(string maker) =>
        Id<Operator>.TryParse(maker.AsSpan(maker.IndexOf(':', StringComparison.Ordinal) + 1), null, out var id) && (await standings.Of(Node.Platform, id)).Status == OperatorStatus.Active;

    private static Problem Invalid() => Authentication.Unauthorized("credential.invalid", "The API key is not valid.");

    // A permission that keys may no longer hold is not held by old keys either.
    private static FrozenSet<string> Held(ApiKey key) => key.Scopes.Select(scope => scope.Value).Where(name => Permissions.Find(name) is { ForKeys: true }).ToFrozenSet();

    private static bool AreEqual(string a, string b) => CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(a), Encoding.ASCII.GetBytes(b));
}
