using Nubabel.Domain.Projections;
using Nubabel.Testing;

namespace Nubabel.Domain.Tests.Projections;

public sealed class ProjectionControlSpecs : Spec<ProjectionControl>
{
    private const string Tenant = "019a2b3c-4d5e-7f60-8123-456789abc001", Key = "device-019a2b3c-4d5e-7f60-8123-456789abc002";

    private static readonly Reason Why = Reason.Parse("the import wrote a name that is too long");

    private static readonly SkipEvent Skip = new(1, Tenant, Key, 17, Why);
    private static readonly ProjectionEventSkipped Skipped = new(1, Tenant, Key, 17, Why);

    [Fact]
    public void A_projection_is_paused_with_a_reason() => Given().When(new PauseProjection(1, Why)).Then(new ProjectionPaused(1, Why));

    [Fact]
    public void What_is_paused_is_not_paused_again() => Given(new ProjectionPaused(1)).When(new PauseProjection(1, Why)).Nothing();

    [Fact]
    public void Another_version_runs_while_one_is_paused() => Given(new ProjectionPaused(1)).When(new PauseProjection(2)).Then(new ProjectionPaused(2));

    [Fact]
    public void What_is_paused_is_resumed_once()
    {
        Given(new ProjectionPaused(1)).When(new ResumeProjection(1)).Then(new ProjectionResumed(1));
        Given(new ProjectionPaused(1), new ProjectionResumed(1)).When(new ResumeProjection(1)).Nothing();
        Given(new ProjectionPaused(2)).When(new ResumeProjection(1)).Nothing();
    }

    [Fact]
    public void What_was_resumed_can_be_paused_again() =>
        Given(new ProjectionPaused(1), new ProjectionResumed(1)).When(new PauseProjection(1)).Then(new ProjectionPaused(1));

    [Fact]
    public void An_event_is_skipped_once_for_a_version()
    {
        Given().When(Skip).Then(Skipped);
        Given(Skipped).When(Skip with { Reason = Reason.Parse("another reason") }).Nothing();
        Given(Skipped).When(Skip with { Version = 2 }).Then(Skipped with { Version = 2 });
        Given(Skipped).When(Skip with { Position = 18 }).Then(Skipped with { Position = 18 });
    }

    [Fact]
    public void No_event_is_skipped_while_the_version_is_rebuilt()
    {
        Given(new ProjectionRebuildStarted(1, RebuildKind.Same)).When(Skip).Refused("projection.rebuilding", RefusalKind.Conflict);
        Given(new ProjectionRebuildStarted(2, RebuildKind.Version)).When(Skip).Then(Skipped);
        Given(Skipped, new ProjectionRebuildStarted(1, RebuildKind.Same)).When(Skip).Nothing();
    }

    [Fact]
    public void A_retry_is_recorded_each_time()
    {
        Given().When(new RetryKey(1, Tenant, Key)).Then(new ProjectionKeyRetried(1, Tenant, Key));
        Given(new ProjectionKeyRetried(1)).When(new RetryKey(1)).Then(new ProjectionKeyRetried(1));
    }

    [Fact]
    public void That_a_rebuild_has_begun_is_said_once()
    {
        var started = new ProjectionRebuildStarted(1, RebuildKind.Same, Forced: true, Noon);
        Given().When(new StartRebuild(1, RebuildKind.Same, Forced: true, Noon)).Then(started);
        Given(started).When(new StartRebuild(1, RebuildKind.Same, false, Noon)).Nothing();
        Given(started).When(new StartRebuild(1, RebuildKind.Same, false, Noon.AddHours(-1))).Nothing();
        Given(started).When(new StartRebuild(2, RebuildKind.Version, false, Noon)).Then(new ProjectionRebuildStarted(2, RebuildKind.Version, false, Noon));
        Given(started, new ProjectionRebuildEnded(1, RebuildOutcome.Cancelled, 0, 0))
            .When(new StartRebuild(1, RebuildKind.Same, false, Noon.AddTicks(10))).Then(new ProjectionRebuildStarted(1, RebuildKind.Same, false, Noon.AddTicks(10)));
    }

    [Fact]
    public void A_rebuild_whose_end_nobody_has_said_has_failed_when_the_next_one_begins()
    {
        var next = new StartRebuild(1, RebuildKind.Same, false, Noon);
        foreach (var before in (ProjectionRebuildStarted[])[new(1, RebuildKind.Same), new(1, RebuildKind.Same, false, Noon.AddHours(-1))])
            Given(before).When(next).Then(new ProjectionRebuildEnded(1, RebuildOutcome.Failed, 0, 0), new ProjectionRebuildStarted(1, RebuildKind.Same, false, Noon));
    }

    [Fact]
    public void A_rebuild_ends_once()
    {
        var end = new EndRebuild(1, RebuildOutcome.Published, 500, 2, Noon);
        var (ended, started) = (new ProjectionRebuildEnded(1, RebuildOutcome.Published, 500, 2), new ProjectionRebuildStarted(1, RebuildKind.Same, false, Noon));
        Given(started).When(end).Then(ended);
        Given(new ProjectionRebuildStarted(1, RebuildKind.Same)).When(end).Then(ended);
        Given(started, ended).When(end).Nothing();
        Given().When(end).Nothing();
        // It is another one that has begun meanwhile.
        Given(started with { Ordered = Noon.AddHours(1) }).When(end).Nothing();
    }

    [Fact]
    public void It_holds_nothing() => Given(new ProjectionPaused(1), Skipped).Holds();
}
