using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Domain.Retention;
using Nubabel.Projections;
using Nubabel.Projections.Retention;
using Nubabel.Store;

namespace Nubabel.Api.Retention;

/// <summary>How long a category is kept somewhere.</summary>
/// <param name="Source">Who says so: <c>product</c>, <c>platform</c> or <c>organization</c>.</param>
/// <param name="Inherited">The period without what was said here.</param>
public sealed record EffectivePolicy(RetentionCategory Category, int Days, string Source, int Inherited);

/// <summary>Which periods count: an organization's own, else the platform's, else the product's, each within the bounds of today's code.</summary>
public sealed class RetentionPolicies(Node node, RetentionCategories categories)
{
    public static StreamName<RetentionPolicy> StreamOf(string category) => Streams.Named<RetentionPolicy>(category);

    /// <summary>All periods of an organization, or of the platform's own data, as they stand in the log now.</summary>
    public async Task<IReadOnlyList<EffectivePolicy>> Of(string tenant, CancellationToken ct) => await Of(tenant, categories.All, ct);

    /// <summary>The period of one category.</summary>
    public async Task<int> DaysOf(string tenant, string category, CancellationToken ct) =>
        (await Of(tenant, [categories.Find(category) ?? throw new ArgumentException($"There is no category {category}.")], ct))[0].Days;

    /// <summary>From when on things are due in all organizations, by category: the read model's, which a run does not rely on.</summary>
    public async Task<Func<RetentionCategory, Due>> Everywhere(DateTimeOffset at, CancellationToken ct)
    {
        var set = (await RetentionPolicyList.All(node.Everyones, ct)).ToLookup(e => e.Category);
        return category =>
        {
            var said = set[category.Name].ToDictionary(e => e.Tenant, e => e.Days);
            var usual = DaysOf(category, null, said.TryGetValue(Node.Platform, out var platform) ? platform : null).Days;
            var own = category.Setter == PeriodSetter.Organization ? said.Where(s => s.Key != Node.Platform) : [];
            return Due.InAll(at.AddDays(-usual), own.ToDictionary(s => s.Key, s => at.AddDays(-Within(category, s.Value))));
        };
    }

    private async Task<IReadOnlyList<EffectivePolicy>> Of(string tenant, IReadOnlyList<RetentionCategory> asked, CancellationToken ct)
    {
        var streams = asked.Select(c => StreamOf(c.Name)).ToArray();
        var platform = await Read(Node.Platform, streams, ct);
        var own = tenant == Node.Platform ? null : await Read(tenant, streams, ct);
        return [.. asked.Select((c, i) => DaysOf(c, own?[i], platform[i]))];
    }

    private async Task<int?[]> Read(string tenant, StreamName<RetentionPolicy>[] streams, CancellationToken ct) =>
        [.. (await node.Journal(tenant, new Origin(Actor.System("retention").ToString())).Load<RetentionPolicy>(streams, ct)).Select(policy => policy.State.Days)];

    // Bounds may have become narrower since it was said.
    private static EffectivePolicy DaysOf(RetentionCategory category, int? own, int? platform)
    {
        var inherited = category.Setter != PeriodSetter.Nobody && platform is { } p ? Within(category, p) : category.Days;
        return own is { } o && category.Setter == PeriodSetter.Organization
            ? new EffectivePolicy(category, Within(category, o), "organization", inherited)
            : new EffectivePolicy(category, inherited, category.Setter != PeriodSetter.Nobody && platform is not null ? "platform" : "product", inherited);
    }

    private static int Within(RetentionCategory category, int days) => Math.Clamp(days, category.Shortest, category.Longest);
}
