using Nubabel.Domain.Retention;
using Nubabel.Testing;

namespace Nubabel.Domain.Tests.Retention;

public sealed class RetentionPolicySpecs : Spec<RetentionPolicy>
{
    [Theory]
    [InlineData(0)]
    [InlineData(6)]
    [InlineData(91)]
    public void A_period_is_within_the_bounds_of_its_category(int days) => Given().When(new SetRetentionPolicy(days, 7, 90)).Refused("retention.period_invalid", RefusalKind.Invalid);

    [Theory]
    [InlineData(7)]
    [InlineData(90)]
    public void The_bounds_themselves_are_allowed(int days) => Given().When(new SetRetentionPolicy(days, 7, 90)).Then(new RetentionPolicySet(days));

    [Fact]
    public void What_was_said_already_is_not_said_again()
    {
        Given(new RetentionPolicySet(30)).When(new SetRetentionPolicy(30, 1, 90)).Nothing();
        Given(new RetentionPolicySet(30)).When(new SetRetentionPolicy(31, 1, 90)).Then(new RetentionPolicySet(31));
        Given(new RetentionPolicySet(30), new RetentionPolicyCleared()).When(new SetRetentionPolicy(30, 1, 90)).Then(new RetentionPolicySet(30));
        Given(new RetentionPolicySet(30)).When(new ClearRetentionPolicy()).Then(new RetentionPolicyCleared());
        Given().When(new ClearRetentionPolicy()).Nothing();
    }
}

public sealed class RetentionRunSpecs : Spec<RetentionRun>
{
    private static readonly CategoryResult Webhooks = new("webhooks", 90, Noon.AddDays(-90), Noon.AddDays(-120), 7, 2, "ab");
    private static readonly CategoryResult Deliveries = new("deliveries", 30, Noon.AddDays(-30), null, 0, 1, "00", "TimeoutException");

    [Fact]
    public void A_run_begins_once_and_keeps_the_time_it_began_with()
    {
        Given().When(new BeginRetentionRun(Noon, RetentionTrigger.Schedule)).Then(new RetentionRunBegun(Noon, RetentionTrigger.Schedule));
        Given(new RetentionRunBegun(Noon, RetentionTrigger.Schedule)).When(new BeginRetentionRun(Noon.AddDays(1), RetentionTrigger.Person)).Nothing();
        Assert.Equal(Noon, Given(new RetentionRunBegun(Noon, RetentionTrigger.Schedule)).State.At);
    }

    [Fact]
    public void Its_end_says_what_was_done_in_each_category() => Given(new RetentionRunBegun(Noon, RetentionTrigger.Schedule)).When(new EndRetentionRun(RetentionEnd.Completed, [Webhooks, Deliveries])).Then(
        new RetentionRunCarriedOut("webhooks", 90, Noon.AddDays(-90), Noon.AddDays(-120), 7, 2, "ab"),
        new RetentionRunCarriedOut("deliveries", 30, Noon.AddDays(-30), null, 0, 1, "00", "TimeoutException"),
        new RetentionRunEnded(RetentionEnd.Completed, 7, 3, 1));

    [Fact]
    public void One_that_found_nothing_is_one_line() =>
        Given(new RetentionRunBegun(Noon, RetentionTrigger.Person)).When(new EndRetentionRun(RetentionEnd.Completed, [])).Then(new RetentionRunEnded(RetentionEnd.Completed, 0, 0, 0));

    [Fact]
    public void The_first_end_counts()
    {
        Given(new RetentionRunBegun(Noon, RetentionTrigger.Schedule), new RetentionRunEnded(RetentionEnd.Cancelled, 0, 0, 0)).When(new EndRetentionRun(RetentionEnd.Completed, [Webhooks])).Nothing();
        Given().When(new EndRetentionRun(RetentionEnd.Completed, [])).Refused("retention.run_missing", RefusalKind.Missing);
        Assert.Equal(RetentionRunState.Cancelled, Given(new RetentionRunBegun(Noon, RetentionTrigger.Schedule), new RetentionRunEnded(RetentionEnd.Cancelled, 0, 0, 0)).State.State);
    }
}

public sealed class RetentionRoundSpecs : Spec<RetentionRound>
{
    [Fact]
    public void A_look_through_all_organizations_is_written_down_once()
    {
        Given().When(new MakeRetentionRound(Noon, 3, "webhooks")).Then(new RetentionRoundMade(Noon, 3, "webhooks"));
        Given(new RetentionRoundMade(Noon, 3)).When(new MakeRetentionRound(Noon, 4)).Nothing();
    }
}
