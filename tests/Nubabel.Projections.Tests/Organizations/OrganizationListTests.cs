using Nubabel.Domain;
using Nubabel.Domain.Organizations;
using Nubabel.Domain.Users;
using Nubabel.Projections.Organizations;

namespace Nubabel.Projections.Tests.Organizations;

public sealed class OrganizationListTests
{
    private static readonly Id<Organization> Id = Id<Organization>.Parse("0198aaaa-0000-7000-8000-000000000001");
    private static readonly DateTimeOffset Later = Given.Noon.AddDays(30);
    private static readonly Reason Unpaid = Reason.Parse("unpaid");
    private static readonly OrganizationFounded Founded = new(OrganizationName.Parse("Acme"), Slug.Parse("acme"), Id<User>.Parse("0198aaaa-0000-7000-8000-000000000002"));

    [Fact]
    public void An_organization_appears_when_it_is_founded_and_shows_its_latest_name()
    {
        Assert.Equal(
            new OrganizationRow(Id, OrganizationName.Parse("Acme"), null, Slug.Parse("acme"), null, OrganizationStatus.Active, null, null, Given.Noon, null, null, null, null), Row());
        Assert.Equal("Acme Ltd", Row(new OrganizationRenamed(OrganizationName.Parse("Acme Ltd"))).Name.Value);
        Assert.Null(Given.Fold<OrganizationRow>(OrganizationList.Evolve, Given.Stream<Organization>(Id, new OrganizationReactivated())));
    }

    [Fact]
    public void A_suspension_shows_since_when_and_why_until_it_ends()
    {
        var suspended = Row(new OrganizationSuspended(Unpaid));
        Assert.Equal((OrganizationStatus.Suspended, Given.Noon.AddMinutes(1), Unpaid), (suspended.Status, suspended.SuspendedAt, suspended.SuspensionReason));
        Assert.Equal(Row(), Row(new OrganizationSuspended(Unpaid), new OrganizationReactivated()));
    }

    [Fact]
    public void A_closure_shows_when_why_and_whose_until_it_is_taken_back()
    {
        var closing = Row(new OrganizationClosureScheduled(Later, Unpaid, ByOperator: true));
        Assert.Equal((OrganizationStatus.Active, Later, Unpaid, true), (closing.Status, closing.ClosesAt, closing.ClosureReason, closing.ClosesByOperator));
        Assert.Equal(Row(), Row(new OrganizationClosureScheduled(Later, Unpaid), new OrganizationClosureCancelled()));
    }

    [Fact]
    public void A_closed_organization_stays_and_is_due_no_more()
    {
        var closed = Row(new OrganizationClosureScheduled(Later, null), new OrganizationClosed());
        Assert.Equal((OrganizationStatus.Closed, Later, Given.Noon.AddMinutes(2)), (closed.Status, closed.ClosesAt, closed.ClosedAt));
        Assert.Null(Column("closes_at", closed));
        Assert.Equal(Later, Column("closes_at", Row(new OrganizationClosureScheduled(Later, null))));
    }

    [Fact]
    public void Limits_that_are_the_platforms_are_not_shown()
    {
        var limits = new OrganizationLimits(Members: 5);
        Assert.Equal((Plan.Parse("team"), limits), (Row(new OrganizationPlanChanged(Plan.Parse("team"))).Plan, Row(new OrganizationLimitsSet(limits)).Limits));
        Assert.Equal(Row(), Row(new OrganizationLimitsSet(limits), new OrganizationLimitsSet(OrganizationLimits.None)));
    }

    [Fact]
    public void A_name_is_found_in_any_case() =>
        Assert.Equal("straße und söhne", Column("folded_name", Row(new OrganizationRenamed(OrganizationName.Parse("STRAẞE und SÖHNE")))));

    [Fact]
    public void Members_see_status_closure_plan_and_limits()
    {
        var profile = Given.Fold<OrganizationProfile>(OrganizationProfile.Evolve, Given.Stream<Organization>(
            Id, Founded, new OrganizationSuspended(null), new OrganizationClosureScheduled(Later, null), new OrganizationPlanChanged(Plan.Parse("team")), new OrganizationLimitsSet(new(Members: 5))));
        Assert.Equal(
            new OrganizationProfile(Id, Founded.Name, Founded.Slug, OrganizationStatus.Suspended, Given.Noon, Later, Plan.Parse("team"), new OrganizationLimits(Members: 5)), profile);
    }

    private static OrganizationRow Row(params Event<Organization>[] after) =>
        Given.Fold<OrganizationRow>(OrganizationList.Evolve, Given.Stream<Organization>(Id, [Founded, .. after]))!;

    private static object? Column(string name, OrganizationRow row) => OrganizationList.Columns.All.Single(c => c.Name == name).Value(row);
}
