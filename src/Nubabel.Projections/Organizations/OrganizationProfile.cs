using Nubabel.Domain;
using Nubabel.Domain.Organizations;
using Nubabel.Store;

namespace Nubabel.Projections.Organizations;

/// <summary>An organization as its members see it.</summary>
/// <param name="ClosesAt">When it is closed for good; null where nobody wants that.</param>
/// <param name="Limits">Where its bounds differ from the platform's.</param>
public sealed record OrganizationProfile(
    Id<Organization> Id, OrganizationName Name, Slug Slug, OrganizationStatus Status, DateTimeOffset FoundedAt, DateTimeOffset? ClosesAt = null, Plan? Plan = null, OrganizationLimits? Limits = null)
{
    /// <summary>Folded from the organization's own stream when it is asked for; no table holds it.</summary>
    public static OrganizationProfile? Evolve(OrganizationProfile? row, Recorded e) => (row, e.Data) switch
    {
        (null, OrganizationFounded f) => new OrganizationProfile(new Id<Organization>(e.StreamGuid), f.Name, f.Slug, OrganizationStatus.Active, e.At),
        (null, _) => null,
        (_, OrganizationRenamed r) => row with { Name = r.Name },
        (_, OrganizationSuspended) => row with { Status = OrganizationStatus.Suspended },
        (_, OrganizationReactivated) => row with { Status = OrganizationStatus.Active },
        (_, OrganizationClosureScheduled c) => row with { ClosesAt = c.ClosesAt },
        (_, OrganizationClosureCancelled) => row with { ClosesAt = null },
        (_, OrganizationClosed) => row with { Status = OrganizationStatus.Closed },
        (_, OrganizationPlanChanged c) => row with { Plan = c.Plan },
        (_, OrganizationLimitsSet s) => row with { Limits = s.Limits == OrganizationLimits.None ? null : s.Limits },
        _ => row,
    };
}
