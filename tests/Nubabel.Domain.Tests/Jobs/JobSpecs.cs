using System.Text.Json;
using Nubabel.Domain.Jobs;
using Nubabel.Testing;

namespace Nubabel.Domain.Tests.Jobs;

public sealed class JobSpecs : Spec<Job>
{
    private static readonly JobKind Kind = JobKind.Parse("data-export");
    private static readonly JobResult Result = new("/api/things/1", Noon.AddDays(7), JobData.Of(JsonElement.Parse("""{"rows":3,"first":[{"b":1,"a":null}]}""")));
    private static readonly JobError Error = JobError.GaveUp;
    private static readonly JobError Refusal = new("device.revoked", "The device is revoked.");

    private static readonly JobStarted Started = new(Kind, "system:spec");

    [Fact]
    public void A_job_is_started_once_by_its_starter()
    {
        Given().When(new StartJob(Kind)).Then(Started);
        Given(Started).When(new StartJob(Kind)).Nothing();
        Given(Started).By(Actor.System("another")).When(new StartJob(Kind)).Refused("job.exists", RefusalKind.Conflict);
        Given(Started).When(new StartJob(JobKind.Parse("other"))).Refused("job.exists", RefusalKind.Conflict);
    }

    [Fact]
    public void A_job_is_completed_with_what_it_led_to()
    {
        Given(Started).When(new CompleteJob(Result)).Then(new JobCompleted(Result));
        Given(Started).When(new CompleteJob()).Then(new JobCompleted());
        Given(Started, new JobCompleted(Result)).When(new CompleteJob()).Nothing();
    }

    [Fact]
    public void What_was_cancelled_is_not_completed() => Given(Started, new JobCancelled()).When(new CompleteJob(Result)).Refused("job.cancelled", RefusalKind.Conflict);

    [Fact]
    public void What_was_completed_is_not_cancelled()
    {
        Given(Started, new JobCompleted()).When(new CancelJob()).Refused("job.finished", RefusalKind.Conflict);
        Given(Started, new JobFailed(Error)).When(new CancelJob()).Refused("job.finished", RefusalKind.Conflict);
    }

    [Fact]
    public void A_job_is_cancelled_once()
    {
        Given(Started).When(new CancelJob()).Then(new JobCancelled());
        Given(Started, new JobCancelled()).When(new CancelJob()).Nothing();
    }

    [Fact]
    public void A_job_fails_once_and_only_while_it_is_open()
    {
        Given(Started).When(new FailJob(Error)).Then(new JobFailed(Error));
        Given(Started, new JobFailed(Error)).When(new FailJob(Error)).Nothing();
        Given(Started, new JobCompleted()).When(new FailJob(Error)).Nothing();
        Given(Started, new JobCancelled()).When(new FailJob(Error)).Nothing();
    }

    [Fact]
    public void A_refusal_stands_and_comes_after_a_job_was_given_up_too()
    {
        Given(Started).When(new FailJob(Refusal)).Then(new JobFailed(Refusal));
        Given(Started, new JobFailed(Refusal)).When(new FailJob(Error)).Nothing();
        Given(Started, new JobFailed(Refusal)).When(new RequeueJob()).Nothing();
        Given(Started, new JobFailed(Error)).When(new FailJob(Refusal)).Then(new JobFailed(Refusal));
    }

    [Fact]
    public void A_failed_job_is_queued_again_and_may_then_end_in_any_way()
    {
        Given(Started, new JobFailed(Error)).When(new RequeueJob()).Then(new JobRequeued());
        Given(Started, new JobCompleted()).When(new RequeueJob()).Nothing();
        Given(Started, new JobCancelled()).When(new RequeueJob()).Nothing();
        Given(Started, new JobFailed(Error), new JobRequeued()).When(new CompleteJob()).Then(new JobCompleted());
        Given(Started, new JobFailed(Error), new JobRequeued()).When(new FailJob(Error)).Then(new JobFailed(Error));
        Given(Started, new JobFailed(Error), new JobRequeued()).When(new CancelJob()).Then(new JobCancelled());
    }

    [Fact]
    public void A_replayed_job_is_completed_also_before_anybody_has_noted_that_it_is_queued_again() =>
        Given(Started, new JobFailed(Error)).When(new CompleteJob()).Then(new JobCompleted());

    [Fact]
    public void What_was_never_started_is_missing()
    {
        foreach (Command<Job> command in (Command<Job>[])[new CompleteJob(), new FailJob(Error), new RequeueJob(), new CancelJob()]) Given().When(command).Refused("job.missing", RefusalKind.Missing);
    }

    [Fact]
    public void Data_is_the_same_in_any_order_of_its_members()
    {
        static JobData Of(string json) => JobData.Of(JsonElement.Parse(json));
        Assert.Equal(Of("{\"a\":1,\"b\":{\"c\":[1,2],\"d\":\"x\"}}"), Of("{ \"b\": {\"d\":\"x\",\"c\":[1,2]}, \"a\": 1 }"));
        Assert.NotEqual(Of("{\"a\":[1,2]}"), Of("{\"a\":[2,1]}"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("Export")]
    [InlineData("1st")]
    [InlineData("a b")]
    [InlineData("export\n")]
    public void A_bad_kind_is_refused(string kind) => Assert.Equal("job.kind_invalid", Assert.Throws<Refused>(() => JobKind.Parse(kind)).Code);
}
