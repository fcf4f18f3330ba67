using Nubabel.Domain;
using Nubabel.Domain.Organizations;
using Nubabel.Domain.Users;
using Nubabel.Projections.Organizations;

namespace Nubabel.Projections.Tests.Organizations;

public sealed class OrganizationProfileTests
{
    private static readonly Id<Organization> Id = Id<Organization>.Parse("0198aaaa-0000-7000-8000-000000000001");
    private static readonly OrganizationFounded Founded = new(OrganizationName.Parse("Acme"), Slug.Parse("acme"), Id<User>.Parse("0198aaaa-0000-7000-8000-000000000002"));

    [Fact]
    public void An_organization_shows_its_latest_name()
    {
        var events = Given.Stream<Organization>(Id, Founded, new OrganizationRenamed(OrganizationName.Parse("Acme Ltd")));
        Assert.Equal(
            new OrganizationProfile(Id, OrganizationName.Parse("Acme"), Slug.Parse("acme"), OrganizationStatus.Active, Given.Noon),
            Given.Fold<OrganizationProfile>(OrganizationProfile.Evolve, events.Take(1)));
        Assert.Equal(OrganizationName.Parse("Acme Ltd"), Given.Fold<OrganizationProfile>(OrganizationProfile.Evolve, events)!.Name);
    }

    [Fact]
    public void What_was_never_founded_shows_nothing() =>
        Assert.Null(Given.Fold<OrganizationProfile>(OrganizationProfile.Evolve, Given.Stream<Organization>(Id, new OrganizationRenamed(OrganizationName.Parse("Acme")))));
}
