using Nubabel.Domain;
using Nubabel.Domain.Organizations;
using Nubabel.Store;

namespace Nubabel.Projections.Organizations;

/// <summary>An organization as its members see it.</summary>
public sealed record OrganizationProfile(Id<Organization> Id, OrganizationName Name, Slug Slug, OrganizationStatus Status, DateTimeOffset FoundedAt)
{
    /// <summary>Folded from the organization's own stream when it is asked for; no table holds it.</summary>
    public static OrganizationProfile? Evolve(OrganizationProfile? row, Recorded e) => (row, e.Data) switch
    {
        (null, OrganizationFounded f) => new OrganizationProfile(new Id<Organization>(e.StreamGuid), f.Name, f.Slug, OrganizationStatus.Active, e.At),
        ({ }, OrganizationRenamed r) => row with { Name = r.Name },
        _ => row,
    };
}
