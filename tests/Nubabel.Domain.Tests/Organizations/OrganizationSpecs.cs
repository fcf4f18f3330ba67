using Nubabel.Domain.Organizations;
using Nubabel.Domain.Users;
using Nubabel.Testing;

namespace Nubabel.Domain.Tests.Organizations;

public sealed class OrganizationSpecs : Spec<Organization>
{
    private static readonly Id<User> Ann = Id<User>.Parse("019a0000-0000-7000-8000-00000000000a");
    private static readonly Id<User> Bob = Id<User>.Parse("019a0000-0000-7000-8000-00000000000b");

    [Fact]
    public void An_organization_is_founded_with_its_first_owner()
    {
        Given().When(Found()).Then(Founded());
        Assert.Equal([Ann], Given(Founded()).State.Owners);
    }

    [Fact]
    public void Founding_it_once_more_changes_nothing() => Given(Founded()).When(Found()).Nothing();

    [Fact]
    public void An_id_is_not_used_for_another_slug() =>
        Given(Founded()).When(Found() with { Slug = Slug.Parse("globex") }).Refused("organization.exists", RefusalKind.Conflict);

    [Fact]
    public void An_id_is_not_used_for_another_owner() => Given(Founded()).When(Found() with { Owner = Bob }).Refused("organization.exists", RefusalKind.Conflict);

    [Fact]
    public void An_id_is_not_used_for_another_name() => Given(Founded()).When(Found() with { Name = Name("Globex") }).Refused("organization.exists", RefusalKind.Conflict);

    [Fact]
    public void An_organization_is_renamed() => Given(Founded()).When(new RenameOrganization(Name("Globex"))).Then(new OrganizationRenamed(Name("Globex")));

    [Fact]
    public void A_new_name_leaves_slug_and_owners_alone()
    {
        var state = Given(Founded(), new OrganizationRenamed(Name("Globex"))).State;
        Assert.Equal(("Globex", "acme", 1), (state.Name?.Value, state.Slug?.Value, state.Owners.Count));
    }

    [Fact]
    public void The_same_name_is_no_change() => Given(Founded()).When(new RenameOrganization(Name("Acme"))).Nothing();

    [Fact]
    public void An_organization_that_never_was_is_missing() =>
        Given().When(new RenameOrganization(Name("Acme"))).Refused("organization.missing", RefusalKind.Missing);

    [Fact]
    public void A_slug_is_the_directorys_and_no_claim() => Given(Founded()).Holds();

    [Fact]
    public void A_second_owner_is_added() => Given(Founded()).When(new AddOwner(Bob)).Then(new OrganizationOwnerAdded(Bob));

    [Fact]
    public void An_owner_is_added_once() => Given(Founded()).When(new AddOwner(Ann)).Nothing();

    [Fact]
    public void An_owner_goes_while_another_stays() =>
        Given(Founded(), new OrganizationOwnerAdded(Bob)).When(new RemoveOwner(Ann)).Then(new OrganizationOwnerRemoved(Ann));

    [Fact]
    public void The_last_owner_stays() =>
        Given(Founded(), new OrganizationOwnerAdded(Bob), new OrganizationOwnerRemoved(Ann)).When(new RemoveOwner(Bob)).Refused("organization.last_owner", RefusalKind.Conflict);

    [Fact]
    public void Who_is_no_owner_needs_no_removal() => Given(Founded()).When(new RemoveOwner(Bob)).Nothing();

    [Fact]
    public void An_organization_is_suspended_with_a_reason() =>
        Given(Founded()).When(new SuspendOrganization(Reason.Parse("unpaid"))).Then(new OrganizationSuspended(Reason.Parse("unpaid")));

    [Fact]
    public void A_suspended_organization_is_not_suspended_again() => Given(Founded(), new OrganizationSuspended(null)).When(new SuspendOrganization()).Nothing();

    [Fact]
    public void A_suspended_organization_is_reactivated() => Given(Founded(), new OrganizationSuspended(null)).When(new ReactivateOrganization()).Then(new OrganizationReactivated());

    [Fact]
    public void An_active_organization_needs_no_reactivation() => Given(Founded()).When(new ReactivateOrganization()).Nothing();

    [Fact]
    public void A_closure_is_scheduled() =>
        Given(Founded()).When(new ScheduleClosure(Noon.AddDays(30))).Then(new OrganizationClosureScheduled(Noon.AddDays(30), null));

    [Fact]
    public void A_scheduled_closure_keeps_its_day() => Given(Founded(), Closing()).When(new ScheduleClosure(Noon.AddDays(40))).Nothing();

    [Fact]
    public void A_closure_lies_ahead() => Given(Founded()).When(new ScheduleClosure(Noon.AddSeconds(-1))).Refused("organization.closure_past", RefusalKind.Invalid);

    [Fact]
    public void A_closure_is_cancelled() => Given(Founded(), Closing()).When(new CancelClosure()).Then(new OrganizationClosureCancelled());

    [Fact]
    public void No_closure_needs_no_cancelling() => Given(Founded()).When(new CancelClosure()).Nothing();

    [Fact]
    public void An_organization_is_closed_when_its_time_has_come() => Given(Founded(), Closing()).At(Noon.AddDays(30)).When(new CloseOrganization()).Then(new OrganizationClosed());

    [Fact]
    public void A_suspended_organization_is_closed_as_well() =>
        Given(Founded(), Closing(), new OrganizationSuspended(null)).At(Noon.AddDays(30)).When(new CloseOrganization()).Then(new OrganizationClosed());

    [Fact]
    public void An_organization_is_not_closed_early() => Given(Founded(), Closing()).At(Noon.AddDays(30).AddTicks(-1)).When(new CloseOrganization()).Nothing();

    [Fact]
    public void An_organization_whose_closure_was_cancelled_stays() =>
        Given(Founded(), Closing(), new OrganizationClosureCancelled()).At(Noon.AddDays(30)).When(new CloseOrganization()).Nothing();

    [Fact]
    public void A_closed_organization_takes_no_commands() =>
        Given(Founded(), Closing(), new OrganizationClosed()).When(new RenameOrganization(Name("Globex"))).Refused("organization.closed", RefusalKind.Denied);

    [Fact]
    public void From_the_closing_time_on_nothing_brings_an_organization_back()
    {
        foreach (Command<Organization> command in new Command<Organization>[] { new CancelClosure(ByOperator: true), new SuspendOrganization(), new ScheduleClosure(Noon.AddDays(40), ByOperator: true) })
            Given(Founded(), Closing()).At(Noon.AddDays(30)).When(command).Refused("organization.closed", RefusalKind.Denied);
    }

    [Fact]
    public void Nobody_gets_into_an_organization_from_the_closing_time_on()
    {
        var state = Given(Founded(), Closing()).State;
        Assert.Equal((true, false), (state.IsOpen(Noon.AddDays(30).AddTicks(-1)), state.IsOpen(Noon.AddDays(30))));
        Assert.False(Given(Founded(), new OrganizationSuspended(null)).State.IsOpen(Noon));
        Assert.False(Given().State.IsOpen(Noon));
    }

    [Fact]
    public void An_operator_moves_the_day_and_makes_the_closure_the_platforms()
    {
        Given(Founded(), Closing()).When(new ScheduleClosure(Noon.AddDays(1), ByOperator: true)).Then(new OrganizationClosureScheduled(Noon.AddDays(1), null, true));
        Given(Founded(), Closing()).When(new ScheduleClosure(Noon.AddDays(30), ByOperator: true)).Then(new OrganizationClosureScheduled(Noon.AddDays(30), null, true));
        Given(Founded(), Ending()).When(new ScheduleClosure(Noon.AddDays(30), Reason.Parse("said before"), ByOperator: true)).Nothing();
    }

    [Fact]
    public void An_operator_does_not_close_in_the_past_either() =>
        Given(Founded(), Closing()).When(new ScheduleClosure(Noon.AddSeconds(-1), ByOperator: true)).Refused("organization.closure_past", RefusalKind.Invalid);

    [Fact]
    public void An_owner_leaves_an_operators_closure_as_it_is()
    {
        Given(Founded(), Ending()).When(new ScheduleClosure(Noon.AddDays(40))).Nothing();
        Given(Founded(), Ending()).When(new CancelClosure()).Refused("organization.closure_by_operator", RefusalKind.Denied);
        Given(Founded(), Ending()).When(new CancelClosure(ByOperator: true)).Then(new OrganizationClosureCancelled());
    }

    [Fact]
    public void An_operator_takes_an_owners_closure_back() => Given(Founded(), Closing()).When(new CancelClosure(ByOperator: true)).Then(new OrganizationClosureCancelled());

    [Fact]
    public void A_closure_after_an_operators_that_was_taken_back_is_the_owners() =>
        Given(Founded(), Ending(), new OrganizationClosureCancelled(), Closing()).When(new CancelClosure()).Then(new OrganizationClosureCancelled());

    [Fact]
    public void A_closed_organization_is_closed_once() => Given(Founded(), Closing(), new OrganizationClosed()).At(Noon.AddDays(31)).When(new CloseOrganization()).Nothing();

    [Fact]
    public void A_plan_is_changed_once()
    {
        Given(Founded()).When(new ChangeTerms(Team)).Then(new OrganizationPlanChanged(Team));
        Given(Founded(), new OrganizationPlanChanged(Team)).When(new ChangeTerms(Team)).Nothing();
    }

    [Fact]
    public void Limits_are_set_as_a_whole()
    {
        var limits = new OrganizationLimits(RequestsPerMinute: 12_000, Members: 500);
        Given(Founded()).When(new ChangeTerms(Limits: limits)).Then(new OrganizationLimitsSet(limits));
        Given(Founded(), new OrganizationLimitsSet(limits)).When(new ChangeTerms(Limits: limits)).Nothing();
        Given(Founded(), new OrganizationLimitsSet(limits)).When(new ChangeTerms(Limits: new OrganizationLimits(Members: 5))).Then(new OrganizationLimitsSet(new OrganizationLimits(Members: 5)));
    }

    [Fact]
    public void Limits_are_cleared_where_there_are_any()
    {
        Given(Founded(), new OrganizationLimitsSet(new OrganizationLimits(Members: 5))).When(new ChangeTerms(Limits: OrganizationLimits.None)).Then(new OrganizationLimitsSet(OrganizationLimits.None));
        Given(Founded()).When(new ChangeTerms(Limits: OrganizationLimits.None)).Nothing();
    }

    [Fact]
    public void Plan_and_limits_change_together_and_neither_without_being_named()
    {
        var limits = new OrganizationLimits(ApiKeys: 0);
        Given(Founded()).When(new ChangeTerms(Team, limits)).Then(new OrganizationPlanChanged(Team), new OrganizationLimitsSet(limits));
        Given(Founded(), new OrganizationPlanChanged(Team), new OrganizationLimitsSet(limits)).When(new ChangeTerms()).Nothing();
    }

    public static TheoryData<OrganizationLimits, string> Unkept() => new()
    {
        { new(RequestsPerMinute: 0), "requestsPerMinute" }, { new(RequestsPerMinute: 1_000_001), "requestsPerMinute" }, { new(UserRequestsPerMinute: 0), "userRequestsPerMinute" },
        { new(UserRequestsPerMinute: 1_000_001), "userRequestsPerMinute" }, { new(Members: 0), "members" }, { new(Members: 1_000_001), "members" }, { new(ApiKeys: -1), "apiKeys" },
        { new(ApiKeys: 10_001), "apiKeys" },
    };

    [Theory]
    [MemberData(nameof(Unkept))]
    public void A_limit_that_cannot_be_kept_is_refused_by_name(OrganizationLimits limits, string member)
    {
        Given(Founded()).When(new ChangeTerms(Limits: limits)).Refused("organization.limits_invalid", RefusalKind.Invalid);
        var refused = Assert.Throws<Refused>(() => Organization.Decide(Given(Founded()).State, new ChangeTerms(Limits: limits), new Context(Noon, Actor.System("test"))));
        Assert.Equal($"limits.{member}", refused.Field);
    }

    [Theory]
    [InlineData("")]
    [InlineData("Team")]
    [InlineData("a plan")]
    [InlineData("12345678901234567890123456789012345678901")]
    public void A_plan_is_a_short_plain_word(string text) => Assert.Equal("organization.plan_invalid", Assert.Throws<Refused>(() => Plan.Parse(text)).Code);

    private static Plan Team { get; } = Plan.Parse("team");
    private static OrganizationClosureScheduled Ending() => new(Noon.AddDays(30), null, ByOperator: true);
    private static OrganizationClosureScheduled Closing() => new(Noon.AddDays(30), null);
    private static FoundOrganization Found() => new(Name("Acme"), Slug.Parse("acme"), Ann);
    private static OrganizationFounded Founded() => new(Name("Acme"), Slug.Parse("acme"), Ann);
    private static OrganizationName Name(string name) => OrganizationName.Parse(name);
}
