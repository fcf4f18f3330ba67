using System.Runtime.CompilerServices;
using System.Text.Json;
using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Domain.Breaches;
using Nubabel.Domain.Organizations;
using Nubabel.Domain.Users;
using Nubabel.Projections.Audit;
using Nubabel.Projections.Organizations;
using Nubabel.Store;

namespace Nubabel.Api.Breaches;

/// <summary>An affected organization.</summary>
/// <param name="Users">Its affected users, those who have left included.</param>
public sealed record AffectedOrganization(Id<Organization> Id, IReadOnlyList<Id<User>> Users);

/// <summary>Finds out whom a breach affects: from the log, so that whoever has left since, and is still known, is among them.</summary>
public sealed class AffectedPeople(Node node)
{
    private const int AtOnce = 200;

    /// <summary>Whoever is signed in leaves an entry at least this often: access tokens live no longer.</summary>
    private static readonly TimeSpan QuietFor = TimeSpan.FromMinutes(15);

    /// <summary>The affected organizations, one after the other.</summary>
    public async IAsyncEnumerable<AffectedOrganization> Of(BreachScope scope, [EnumeratorCancellation] CancellationToken ct)
    {
        ArgumentNullException.ThrowIfNull(scope);
        var all = (scope.AllUsersOf ?? []).ToHashSet();
        var named = (scope.Users ?? []).GroupBy(u => u.OrganizationId).ToDictionary(g => g.Key, g => g.SelectMany(u => u.Users).ToArray());
        var certain = (scope.Organizations ?? []).Concat(all).Concat(named.Keys).ToHashSet();
        var seen = scope.Seen?.Organizations?.ToHashSet();
        await foreach (var organization in Organizations(certain, scope.Seen, seen, ct))
        {
            var users = new HashSet<Id<User>>(named.GetValueOrDefault(organization, []));
            if (all.Contains(organization)) users.UnionWith(await Everybody(organization, ct));
            if (scope.Seen is { } between && seen?.Contains(organization) != false) users.UnionWith(await Seen(organization, between, ct));
            // Looked at only for who was seen there, and nobody was.
            if (users.Count == 0 && !certain.Contains(organization)) continue;
            yield return new AffectedOrganization(organization, [.. users.OrderBy(u => u.Value)]);
        }
    }

    private async IAsyncEnumerable<Id<Organization>> Organizations(HashSet<Id<Organization>> certain, SeenBetween? between, HashSet<Id<Organization>>? seen, [EnumeratorCancellation] CancellationToken ct)
    {
        foreach (var organization in certain.Union(seen ?? []).OrderBy(o => o.Value)) yield return organization;
        if (between is null || seen is not null) yield break;
        for (IReadOnlyList<string>? after = null; ;)
        {
            var page = await OrganizationList.Search(node.Reader(Node.Platform), new OrganizationList.Filter(), after, AtOnce, ct);
            foreach (var row in page.Rows)
            {
                using var json = JsonDocument.Parse(row);
                var id = Id<Organization>.Parse(json.RootElement.GetProperty("id").GetString()!);
                if (!certain.Contains(id)) yield return id;
            }
            if (page.Next is null) yield break;
            after = page.Next;
        }
    }

    private async Task<IEnumerable<Id<User>>> Everybody(Id<Organization> organization, CancellationToken ct)
    {
        var users = new List<Id<User>>();
        for (IReadOnlyList<string>? after = null; ;)
        {
            var page = await AuditTrail.Begun(node.Reader(organization.ToString()), "user.registered", null, long.MaxValue, after, AtOnce, ct);
            users.AddRange(page.Select(p => Id<User>.Parse(p.Stream.AsSpan(User.Kind.Length + 1), null)));
            if (page.Count < AtOnce) return users;
            after = page[^1].Place;
        }
    }

    private async Task<IEnumerable<Id<User>>> Seen(Id<Organization> organization, SeenBetween between, CancellationToken ct) =>
        (await AuditTrail.Seen(node.Reader(organization.ToString()), between.From - QuietFor, between.To, ct))
            .Select(actor => Id<User>.TryParse(actor.AsSpan(actor.IndexOf(':', StringComparison.Ordinal) + 1), null, out var id) ? id : (Id<User>?)null).OfType<Id<User>>();
}
