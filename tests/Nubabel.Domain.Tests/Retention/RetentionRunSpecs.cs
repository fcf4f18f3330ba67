using Nubabel.Domain.Retention;
using Nubabel.Testing;

namespace Nubabel.Domain.Tests.Retention;

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
        Given().When(new EndRetentionRun(RetentionEnd.Completed, [])).Refused("retention_run.missing", RefusalKind.Missing);
        Assert.Equal(RetentionRunState.Cancelled, Given(new RetentionRunBegun(Noon, RetentionTrigger.Schedule), new RetentionRunEnded(RetentionEnd.Cancelled, 0, 0, 0)).State.State);
    }
}
