using System.Collections.Concurrent;
using Nubabel.Domain;
using Nubabel.Domain.Operators;
using Nubabel.Domain.Organizations;
using Nubabel.Domain.Users;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Host;

/// <summary>
/// What is true now of those who call: the role and status of accounts, keys, organizations and sources of webhooks. A token says only what was true when it was issued, so
/// each request is held against this. A node loads a state from its stream when it first needs it and keeps it until the live tail shows a new event
/// of that stream; so a change counts on every node as soon as it is visible, and no read model takes part.
/// </summary>
public sealed class Standings(Node node) : ITailSubscriber
{
    /// <summary>How many states a node keeps; beyond it, it begins anew.</summary>
    private const int Bound = 50_000;

    /// <summary>A kept state is believed no longer than this, should the tail have broken unnoticed.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(5);

    private readonly ConcurrentDictionary<(string Tenant, string Stream), Kept> kept = new();

    public IReadOnlyCollection<string> Aliases { get; } =
        [.. EventCatalog.All.Select(e => e.Alias).Where(a => a.StartsWith("user_", StringComparison.Ordinal) || a.StartsWith("organization_", StringComparison.Ordinal)
            || a.StartsWith("operator_", StringComparison.Ordinal) || a.StartsWith("api_key_", StringComparison.Ordinal)
            || a.StartsWith("webhook_source_", StringComparison.Ordinal))];

    // A newer build may have written what this one cannot read, and what is kept is old all the same.
    public bool NeedsData => false;

    /// <summary>The state of a stream, as fresh as the tail. An id that names nothing gives the initial state, which is not kept.</summary>
    public async ValueTask<T> Of<T>(string tenant, Id<T> id) where T : IAggregate<T>
    {
        var key = (tenant, Streams.Of(id));
        if (kept.TryGetValue(key, out var found) && node.Time.GetUtcNow() < found.Until) return (T)await found.State.Value;
        if (kept.Count >= Bound) kept.Clear();
        // It stands here before it is read: an event that the tail brings meanwhile removes it, and nobody after that gets the old state.
        var made = new Kept(node.Time.GetUtcNow() + Longest, new Lazy<Task<object>>(async () => await Load(tenant, id)));
        kept[key] = made;
        var keep = false;
        try
        {
            var state = (T)await made.State.Value;
            keep = !state.Equals(T.Initial);
            return state;
        }
        finally
        {
            if (!keep) kept.TryRemove(new(key, made));
        }
    }

    /// <summary>Whether a state is in this node's memory.</summary>
    internal bool Keeps<T>(string tenant, Id<T> id) where T : IAggregate<T> => kept.ContainsKey((tenant, Streams.Of(id)));

    /// <summary>The caller as of now: with today's role, or refused.</summary>
    /// <exception cref="Problem">401: the account is gone. 403: it, or its organization, is stopped.</exception>
    public async ValueTask<Caller> Now(Caller caller)
    {
        // A key's own state is where its secret was compared, and it belongs to nobody's account.
        if (caller.IsKey) return caller.Realm == Realm.Organization && await Organization(caller.Tenant) is { } stopped ? throw stopped : caller;
        if (caller.Realm == Realm.Platform)
        {
            var account = await Of(Node.Platform, new Id<Operator>(caller.Id));
            return account.Status == OperatorStatus.Active ? caller : throw Authentication.Unauthorized("credential.revoked", "The operator's account is gone.");
        }
        var organization = await Organization(caller.Tenant);
        if (organization is not null) throw organization;
        var user = await Of(caller.Tenant, new Id<User>(caller.Id));
        return user.Status switch
        {
            UserStatus.Active => Permissions.Name(user.Role) is var role && role == caller.Role ? caller : caller with { Role = role },
            UserStatus.Suspended => throw new Problem("user.suspended", "The account is suspended."),
            _ => throw Authentication.Unauthorized("credential.revoked", "The account is gone."),
        };
    }

    /// <summary>Why nobody of this organization gets in; null when they do.</summary>
    public async ValueTask<Problem?> Organization(string tenant)
    {
        var organization = await Of(tenant, Id<Organization>.Parse(tenant));
        if (organization.IsOpen(node.Time.GetUtcNow())) return null;
        return organization.Status switch
        {
            OrganizationStatus.None => Authentication.Unauthorized("credential.revoked", "The organization is gone."),
            OrganizationStatus.Suspended => new Problem("organization.suspended", "The organization is suspended; an operator can reactivate it."),
            _ => new Problem("organization.closed", "The organization is closed."),
        };
    }

    public async Task<long> Load(CancellationToken ct)
    {
        // The position first: what is read into the cache after it has been emptied is not older than that.
        var position = (await node.Everyones.Query<long>(
            [$"select coalesce((select last_seq_id from events.mt_event_progression where name = 'HighWaterMark'), 0)"], row => row.GetInt64(0), ct))[0][0];
        kept.Clear();
        return position;
    }

    public void OnEvent(Recorded e) => kept.TryRemove((e.Tenant, e.Stream), out _);

    private async Task<object> Load<T>(string tenant, Id<T> id) where T : IAggregate<T> =>
        (await node.Journal(tenant, new Origin("system:standing")).Load(id, CancellationToken.None)).State;

    private sealed record Kept(DateTimeOffset Until, Lazy<Task<object>> State);
}
