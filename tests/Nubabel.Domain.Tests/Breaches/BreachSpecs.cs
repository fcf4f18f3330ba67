using Nubabel.Domain.Breaches;
using Nubabel.Domain.Organizations;
using Nubabel.Domain.Users;
using Nubabel.Testing;

namespace Nubabel.Domain.Tests.Breaches;

public sealed class BreachSpecs : Spec<Breach>
{
    private static readonly Personal Text = new("breach-x", "AAAA");
    private static readonly NoticeText Words = new(Phrase.Parse("S"), Prose.Parse("W"), Prose.Parse("C"), Prose.Parse("M"), Phrase.Parse("privacy@example.com"));
    private static readonly BreachScope Somebody = new(AllUsersOf: [Id<Organization>.Parse("01936d5e-5a0f-7a11-8e2b-0c4d5e6f7081")]);

    [Fact]
    public void A_breach_is_recorded_once()
    {
        Given().When(new RecordBreach(Facts())).Then(new BreachRecorded(Facts()));
        Given(Recorded()).When(new RecordBreach(Facts())).Nothing();
        Given(Recorded()).When(new RecordBreach(Facts() with { Title = Phrase.Parse("Other") })).Refused("breach.exists", RefusalKind.Conflict);
        Given().When(new AssessBreach(Assessment(BreachRisk.Risk))).Refused("breach.missing", RefusalKind.Missing);
    }

    [Fact]
    public void Nobody_became_aware_in_the_future_but_clocks_differ_by_minutes()
    {
        Given().When(new RecordBreach(Facts(Noon + Breach.Tolerance))).Then(new BreachRecorded(Facts(Noon + Breach.Tolerance)));
        Given().When(new RecordBreach(Facts(Noon + Breach.Tolerance + TimeSpan.FromSeconds(1)))).Refused("breach.facts_invalid", RefusalKind.Invalid);
        // Years ago is a typing error, not a breach that is years late.
        Given().When(new RecordBreach(Facts(Breach.Earliest.AddTicks(-1)))).Refused("breach.facts_invalid", RefusalKind.Invalid);
        // What one node has taken, another whose clock is behind lets stand.
        Given(Recorded()).At(Noon.AddHours(-1)).When(new AmendBreach(Title: Phrase.Parse("B"))).Then(new BreachAmended(Facts() with { Title = Phrase.Parse("B") }));
        Given(Recorded()).At(Noon.AddHours(-1)).When(new AmendBreach(AwareAt: Noon.AddMinutes(1))).Refused("breach.facts_invalid", RefusalKind.Invalid);
    }

    [Fact]
    public void What_contradicts_itself_is_refused()
    {
        foreach (var bad in new[]
        {
            Facts() with { Kinds = [] }, Facts() with { Kinds = [BreachKind.Integrity, BreachKind.Integrity] }, Facts() with { OccurredFrom = Noon.AddHours(1) }, Facts() with { OccurredTo = Noon },
            Facts() with { OccurredFrom = Noon.AddHours(-1), OccurredTo = Noon.AddHours(-2) },
        })
            Given().When(new RecordBreach(bad)).Refused("breach.facts_invalid", RefusalKind.Invalid);
        Given(Recorded()).When(new AssessBreach(Assessment(BreachRisk.Risk) with { ApproximatePeople = -1 })).Refused("breach.facts_invalid", RefusalKind.Invalid);
        Given(Recorded()).When(new SetBreachScope(new BreachScope([]))).Refused("breach.scope_invalid", RefusalKind.Invalid);
        Given(Recorded()).When(new SetBreachScope(new BreachScope(Seen: new SeenBetween(Noon, Noon)))).Refused("breach.scope_invalid", RefusalKind.Invalid);
        var many = Enumerable.Range(0, BreachScope.Most).Select(_ => new Id<User>(Guid.NewGuid())).ToArray();
        Given(Recorded()).When(new SetBreachScope(new BreachScope(Users: [new AffectedUsers(Somebody.AllUsersOf![0], many)]))).Refused("breach.scope_invalid", RefusalKind.Invalid);
    }

    [Fact]
    public void What_is_said_again_is_not_recorded_again()
    {
        Event<Breach>[] all = [Recorded(), new BreachAssessed(Assessment(BreachRisk.High)), new BreachScopeSet(Somebody), new BreachWorded(BreachAudience.People, 1, Words), new BreachPeopleExempted(BreachExemption.Unintelligible, Prose.Parse("E"))];
        Given(all).When(new AmendBreach(Facts().Title, Text, Noon, [BreachKind.Confidentiality])).Nothing();
        Given(all).When(new AssessBreach(Assessment(BreachRisk.High))).Nothing();
        Given(all).When(new SetBreachScope(Somebody)).Nothing();
        Given(all).When(new WordBreach(BreachAudience.People, Words)).Nothing();
        Given(all).When(new ExemptPeople(BreachExemption.Unintelligible, Prose.Parse("E"))).Nothing();
        Given(Recorded()).When(new AssessBreach(Assessment(BreachRisk.High))).Then(new BreachAssessed(Assessment(BreachRisk.High)));
        Given(Recorded()).When(new SetBreachScope(Somebody)).Then(new BreachScopeSet(Somebody));
        Given(Recorded()).When(new ExemptPeople(BreachExemption.RiskRemoved, Prose.Parse("E"))).Then(new BreachPeopleExempted(BreachExemption.RiskRemoved, Prose.Parse("E")));
    }

    [Fact]
    public void The_clock_runs_for_72_hours_from_when_it_became_known()
    {
        var open = Given(Recorded()).State;
        Assert.Equal(new BreachClock(Noon.AddHours(72), BreachClockState.Running, 72 * 3600), BreachClock.Of(open, Noon));
        Assert.Equal(BreachClockState.Running, BreachClock.Of(open, Noon.AddHours(48).AddTicks(-1)).State);
        Assert.Equal(BreachClockState.DueSoon, BreachClock.Of(open, Noon.AddHours(48)).State);
        Assert.Equal((BreachClockState.DueSoon, 0L), BreachClock.Of(open, Noon.AddHours(72)) is var last ? (last.State, last.RemainingSeconds!.Value) : default);
        Assert.Equal((BreachClockState.Overdue, -3600L), BreachClock.Of(open, Noon.AddHours(73)) is var over ? (over.State, over.RemainingSeconds!.Value) : default);
        Assert.Equal("noRisk", BreachClock.Of(Given(Recorded(), new BreachAssessed(Assessment(BreachRisk.None))).State, Noon.AddHours(99)).StoppedBecause);
        // What turns out to be a risk after all had the same time from the beginning.
        var worse = Given(Recorded(), new BreachAssessed(Assessment(BreachRisk.None)), new BreachAssessed(Assessment(BreachRisk.Risk))).State;
        Assert.Equal(BreachClockState.Overdue, BreachClock.Of(worse, Noon.AddHours(99)).State);
        Assert.Equal(("reported", false), Stopped(Noon.AddHours(72)));
        Assert.Equal(("reported", true), Stopped(Noon.AddHours(72).AddSeconds(1)));
        Assert.Equal("closed", BreachClock.Of(Given(Recorded(), new BreachClosed(Prose.Parse("why"), ["assessment"])).State, Noon).StoppedBecause);

        (string?, bool) Stopped(DateTimeOffset at) => BreachClock.Of(Given(Recorded(), Report(1, at)).State, Noon.AddHours(99)) is var clock ? (clock.StoppedBecause, clock.WasLate) : default;
    }

    [Fact]
    public void A_late_report_says_why_and_reports_follow_one_another()
    {
        var late = Noon.AddHours(73);
        Given(Recorded()).At(late).When(Says(Noon.AddHours(72))).Then(Report(1, Noon.AddHours(72)));
        Given(Recorded()).At(late).When(Says(late)).Refused("breach.delay_reason_missing", RefusalKind.Invalid);
        Given(Recorded()).At(late).When(Says(late) with { DelayReason = Prose.Parse("R") }).Then(new BreachReported(Report(1, late).Report with { DelayReason = Prose.Parse("R") }));
        // The first was in time, so the others are not late.
        Given(Recorded(), Report(1, Noon)).At(late).When(Says(late) with { IsComplete = true }).Then(new BreachReported(Report(2, late).Report with { IsComplete = true }));
        Given(Recorded(), Report(1, Noon)).When(Says(Noon)).Nothing();
        Given(Recorded(), new BreachReported(Report(1, Noon).Report with { IsComplete = true })).When(Says(Noon) with { Reference = Phrase.Parse("2") }).Refused("breach.report_complete", RefusalKind.Conflict);
        Given(Recorded()).When(Says(Noon.AddSeconds(-1))).Refused("breach.facts_invalid", RefusalKind.Invalid);
        Given(Recorded()).When(Says(Noon.AddMinutes(6))).Refused("breach.facts_invalid", RefusalKind.Invalid);
    }

    [Fact]
    public void Nobody_is_told_before_it_is_said_who_and_what()
    {
        Given(Recorded()).When(new OrderBreachNotification(BreachAudience.People)).Refused("breach.scope_missing", RefusalKind.Conflict);
        Given(Recorded(), new BreachScopeSet(Somebody)).When(new OrderBreachNotification(BreachAudience.People)).Refused("breach.wording_missing", RefusalKind.Conflict);
        Event<Breach>[] ready = [Recorded(), new BreachScopeSet(Somebody), new BreachWorded(BreachAudience.People, 1, Words)];
        Given(ready).When(new OrderBreachNotification(BreachAudience.People)).Then(new BreachNotificationOrdered(BreachAudience.People, 1));
        Given(ready).When(new CompleteBreachNotification(BreachAudience.People, 1, 1, 7)).Then(new BreachNotificationCompleted(BreachAudience.People, 1, 1, 7));
        Given([.. ready, new BreachNotificationCompleted(BreachAudience.People, 1, 1, 7)]).When(new CompleteBreachNotification(BreachAudience.People, 1, 1, 8)).Nothing();
        Given(ready).When(new WordBreach(BreachAudience.People, Words with { Advice = Prose.Parse("A") })).Then(new BreachWorded(BreachAudience.People, 2, Words with { Advice = Prose.Parse("A") }));
        Given(ready).When(new WordBreach(BreachAudience.Tenants, Words)).Then(new BreachWorded(BreachAudience.Tenants, 1, Words));
    }

    [Fact]
    public void It_is_closed_when_all_is_done_or_with_a_reason()
    {
        Given(Recorded()).When(new CloseBreach()).Refused("breach.undone", RefusalKind.Conflict);
        Given(Recorded()).When(new CloseBreach(Prose.Parse("A duplicate."))).Then(new BreachClosed(Prose.Parse("A duplicate."), ["assessment"]));
        Given(Recorded(), new BreachAssessed(Assessment(BreachRisk.None))).When(new CloseBreach()).Then(new BreachClosed(null, []));
        List<Event<Breach>> so = [Recorded(), new BreachAssessed(Assessment(BreachRisk.High))];
        Assert.Equal(["authority", "affected", "tenants", "people"], Given([.. so]).State.Undone());
        so.AddRange([Report(1, Noon), new BreachScopeSet(Somebody), new BreachWorded(BreachAudience.Tenants, 1, Words), new BreachNotificationCompleted(BreachAudience.Tenants, 1, 1, 1)]);
        Assert.Equal(["authorityComplete", "people"], Given([.. so]).State.Undone());
        so.AddRange([new BreachReported(Report(2, Noon).Report with { IsComplete = true }), new BreachPeopleExempted(BreachExemption.Unintelligible, Prose.Parse("E"))]);
        Given([.. so]).When(new CloseBreach()).Then(new BreachClosed(null, []));
        // A new wording that nobody has got yet is something to be done.
        Assert.Equal(["tenants"], Given([.. so, new BreachWorded(BreachAudience.Tenants, 2, Words with { Advice = Prose.Parse("A") })]).State.Undone());
        Given([.. so, new BreachClosed(null, [])]).When(new AmendBreach(Title: Phrase.Parse("B"))).Refused("breach.closed", RefusalKind.Conflict);
        Given([.. so, new BreachClosed(null, [])]).When(new CloseBreach()).Nothing();
        Given([.. so, new BreachClosed(null, [])]).When(new ReopenBreach()).Then(new BreachReopened());
    }

    private static BreachFacts Facts(DateTimeOffset? aware = null) => new(Phrase.Parse("A backup"), Text, aware ?? Noon, [BreachKind.Confidentiality]);
    private static BreachRecorded Recorded() => new(Facts());
    private static BreachAssessment Assessment(BreachRisk risk) => new(risk, Prose.Parse("R"), [Phrase.Parse("names")], []);
    private static ReportBreach Says(DateTimeOffset at) => new(Phrase.Parse("Authority"), at);
    private static BreachReported Report(int phase, DateTimeOffset at) => new(new BreachReport(phase, Phrase.Parse("Authority"), at, false));
}
