using System.Text.Json.Serialization;

namespace Nubabel.Domain.Breaches;

public sealed record BreachRecorded(BreachFacts Facts) : Event<Breach>;
public sealed record BreachAmended(BreachFacts Facts) : Event<Breach>;
public sealed record BreachAssessed(BreachAssessment Assessment) : Event<Breach>;
public sealed record BreachScopeSet(BreachScope Scope) : Event<Breach>;
public sealed record BreachReported(BreachReport Report) : Event<Breach>;
public sealed record BreachWorded(BreachAudience Audience, int Number, NoticeText Text) : Event<Breach>;
public sealed record BreachPeopleExempted(BreachExemption Ground, Prose Reason) : Event<Breach>;

/// <summary>Somebody wants an audience to be told.</summary>
public sealed record BreachNotificationOrdered(BreachAudience Audience, int Number) : Event<Breach>;

/// <summary>All letters are on their way.</summary>
/// <param name="Letters">So many, those included that an earlier attempt had ordered.</param>
public sealed record BreachNotificationCompleted(BreachAudience Audience, int Number, int Organizations, long Letters) : Event<Breach>;

/// <param name="Reason">Why, where something was left undone.</param>
/// <param name="Undone">What.</param>
public sealed record BreachClosed(Prose? Reason, IReadOnlyList<string> Undone) : Event<Breach>
{
    public bool Equals(BreachClosed? other) => other is not null && Reason == other.Reason && Lists.Same(Undone, other.Undone);
    public override int GetHashCode() => HashCode.Combine(Reason, Undone.Count);
}

public sealed record BreachReopened : Event<Breach>;

public sealed record RecordBreach(BreachFacts Facts) : Command<Breach>;

/// <summary>What is null stays as it is, so that two who amend different things at once both get what they want.</summary>
public sealed record AmendBreach(
    Phrase? Title = null, Personal? Description = null, DateTimeOffset? AwareAt = null, IReadOnlyList<BreachKind>? Kinds = null, DateTimeOffset? OccurredFrom = null, DateTimeOffset? OccurredTo = null,
    Phrase? Source = null) : Command<Breach>
{
    public bool Equals(AmendBreach? other) => other is not null && Lists.Same(Kinds, other.Kinds)
        && (Title, Description, AwareAt, OccurredFrom, OccurredTo, Source) == (other.Title, other.Description, other.AwareAt, other.OccurredFrom, other.OccurredTo, other.Source);

    public override int GetHashCode() => HashCode.Combine(Title, AwareAt);

    internal BreachFacts On(BreachFacts facts) => new(
        Title ?? facts.Title, Description ?? facts.Description, AwareAt ?? facts.AwareAt, Kinds ?? facts.Kinds, OccurredFrom ?? facts.OccurredFrom, OccurredTo ?? facts.OccurredTo, Source ?? facts.Source);
}

public sealed record AssessBreach(BreachAssessment Assessment) : Command<Breach>;
public sealed record SetBreachScope(BreachScope Scope) : Command<Breach>;

/// <summary>A report to the authority, as it was made. Once it was said to be complete, none follows.</summary>
public sealed record ReportBreach(Phrase Authority, DateTimeOffset ReportedAt, bool IsComplete = false, Phrase? Reference = null, Prose? Content = null, Prose? DelayReason = null) : Command<Breach>;
public sealed record WordBreach(BreachAudience Audience, NoticeText Text) : Command<Breach>;
public sealed record ExemptPeople(BreachExemption Ground, Prose Reason) : Command<Breach>;
public sealed record OrderBreachNotification(BreachAudience Audience) : Command<Breach>;
public sealed record CompleteBreachNotification(BreachAudience Audience, int Number, int Organizations, long Letters) : Command<Breach>;

/// <param name="Reason">Needed where something is left undone.</param>
public sealed record CloseBreach(Prose? Reason = null) : Command<Breach>;
public sealed record ReopenBreach : Command<Breach>;

/// <summary>Where a breach is in its life.</summary>
[JsonConverter(typeof(BreachStatusConverter))]
public enum BreachStatus { None, Open, Closed }

internal sealed class BreachStatusConverter() : WordConverter<BreachStatus>("breach.status_invalid");

/// <summary>
/// A personal data breach, from when it became known until all is done that has to be: it is assessed, the authority, the organizations and the people are told. It is the
/// platform's. Nothing of it is ever overwritten: the history is the documentation that Art. 33(5) asks for.
/// </summary>
/// <param name="Wordings">The last one of each audience counts.</param>
public sealed record Breach(
    BreachStatus Status, BreachFacts? Facts, BreachAssessment? Assessment, BreachScope? Scope, IReadOnlyList<BreachReport> Reports, IReadOnlyList<BreachWording> Wordings,
    BreachExemption? Exemption = null, Prose? ExemptionReason = null, Prose? ClosureReason = null) : IAggregate<Breach>
{
    /// <summary>Clocks of operators and servers differ: what is this little ahead is now.</summary>
    public static TimeSpan Tolerance { get; } = TimeSpan.FromMinutes(5);

    /// <summary>Since when article 33 applies (GDPR Art. 99(2)).</summary>
    public static DateTimeOffset Earliest { get; } = new(2018, 5, 25, 0, 0, 0, TimeSpan.Zero);

    /// <summary>Reports to the authority.</summary>
    public const int MostReports = 100;

    public static string Kind => "breach";
    public static Breach Initial { get; } = new(BreachStatus.None, null, null, null, [], []);

    /// <summary>What an audience is told now; null where nothing is worded.</summary>
    public BreachWording? WordingOf(BreachAudience audience) => Wordings.LastOrDefault(w => w.Audience == audience);

    /// <summary>What has still to be done before it can be closed without a reason.</summary>
    public IReadOnlyList<string> Undone()
    {
        if (Assessment is null) return ["assessment"];
        if (Assessment.Risk == BreachRisk.None) return [];
        List<string> undone = [];
        if (Reports is [] or [.., { IsComplete: false }]) undone.Add(Reports.Count == 0 ? "authority" : "authorityComplete");
        if (Scope is null) undone.Add("affected");
        if (WordingOf(BreachAudience.Tenants) is not { IsDone: true }) undone.Add("tenants");
        if (Assessment.Risk == BreachRisk.High && Exemption is null && WordingOf(BreachAudience.People) is not { IsDone: true }) undone.Add("people");
        return undone;
    }

    public static Breach Evolve(Breach state, Event<Breach> e) => e switch
    {
        BreachRecorded r => Initial with { Status = BreachStatus.Open, Facts = r.Facts },
        BreachAmended a => state with { Facts = a.Facts },
        BreachAssessed a => state with { Assessment = a.Assessment },
        BreachScopeSet s => state with { Scope = s.Scope },
        BreachReported r => state with { Reports = [.. state.Reports, r.Report] },
        BreachWorded w => state with { Wordings = [.. state.Wordings, new BreachWording(w.Audience, w.Number, w.Text)] },
        BreachPeopleExempted x => state with { Exemption = x.Ground, ExemptionReason = x.Reason },
        BreachNotificationOrdered o => state.With(o.Audience, o.Number, w => w with { IsOrdered = true }),
        BreachNotificationCompleted c => state.With(c.Audience, c.Number, w => w with { IsOrdered = true, IsDone = true }),
        BreachClosed c => state with { Status = BreachStatus.Closed, ClosureReason = c.Reason },
        BreachReopened => state with { Status = BreachStatus.Open, ClosureReason = null },
        _ => state,
    };

    public static IReadOnlyList<Event<Breach>> Decide(Breach state, Command<Breach> command, Context at) => command switch
    {
        RecordBreach c => state.Record(c.Facts, at.Now),
        _ when state.Status == BreachStatus.None => throw Missing(),
        CompleteBreachNotification c => state.Complete(c),
        CloseBreach c => state.Close(c),
        ReopenBreach => state.Status == BreachStatus.Open ? [] : [new BreachReopened()],
        _ when state.Status == BreachStatus.Closed => throw new Refused(RefusalKind.Conflict, "breach.closed", "The breach is closed: open it again first."),
        AmendBreach c => c.On(state.Facts!) is var facts && facts == state.Facts ? [] : [new BreachAmended(Checked(facts, state.Facts, at.Now))],
        AssessBreach c => state.Assessment == c.Assessment ? [] : [new BreachAssessed(Checked(c.Assessment))],
        SetBreachScope c => state.Scope == c.Scope ? [] : [new BreachScopeSet(Checked(c.Scope))],
        ReportBreach c => state.Report(c, at.Now),
        WordBreach c => state.Word(c),
        ExemptPeople c => (state.Exemption, state.ExemptionReason) == (c.Ground, c.Reason) ? [] : [new BreachPeopleExempted(c.Ground, c.Reason)],
        OrderBreachNotification c => state.Order(c.Audience),
        _ => throw new NotSupportedException(command.GetType().Name),
    };

    private Event<Breach>[] Record(BreachFacts facts, DateTimeOffset now) => Status switch
    {
        BreachStatus.None => [new BreachRecorded(Checked(facts, null, now))],
        BreachStatus.Open when Facts == facts => [],
        _ => throw new Refused(RefusalKind.Conflict, "breach.exists", "Another breach has this id."),
    };

    private Event<Breach>[] Report(ReportBreach c, DateTimeOffset now)
    {
        var report = new BreachReport(Reports.Count + 1, c.Authority, c.ReportedAt, c.IsComplete, c.Reference, c.Content, c.DelayReason);
        if (Reports is [.., var last] && last == report with { Phase = last.Phase }) return [];
        if (Reports is [.., { IsComplete: true }]) throw new Refused(RefusalKind.Conflict, "breach.report_complete", "The last report was said to be complete.");
        if (Reports.Count == MostReports) throw new Refused(RefusalKind.Conflict, "breach.reports_limit", $"A breach has at most {MostReports} reports.");
        if (c.ReportedAt > now + Tolerance || c.ReportedAt < Facts!.AwareAt) throw Invalid("reportedAt", "A report is made between when the breach became known and now.");
        if (Reports.Count == 0 && c.ReportedAt > Facts.AwareAt + BreachClock.Limit && c.DelayReason is null)
            throw new Refused(RefusalKind.Invalid, "breach.delay_reason_missing", "A report after 72 hours says why it is late (Art. 33(1)).", "delayReason");
        return [new BreachReported(report)];
    }

    private Event<Breach>[] Word(WordBreach c)
    {
        var before = WordingOf(c.Audience);
        return before?.Text == c.Text ? [] : [new BreachWorded(c.Audience, (before?.Number ?? 0) + 1, c.Text)];
    }

    private Event<Breach>[] Order(BreachAudience audience)
    {
        if (Scope is null) throw new Refused(RefusalKind.Conflict, "breach.scope_missing", "Nobody has said yet who is affected.");
        if (WordingOf(audience) is not { } wording) throw new Refused(RefusalKind.Conflict, "breach.wording_missing", "Nobody has written yet what they are told.");
        return wording.IsOrdered ? [] : [new BreachNotificationOrdered(audience, wording.Number)];
    }

    // Also of a closed breach: its letters are on their way whatever became of it meanwhile.
    private Event<Breach>[] Complete(CompleteBreachNotification c) =>
        Wordings.FirstOrDefault(w => w.Audience == c.Audience && w.Number == c.Number) is not { IsDone: false } ? [] : [new BreachNotificationCompleted(c.Audience, c.Number, c.Organizations, c.Letters)];

    private Event<Breach>[] Close(CloseBreach c)
    {
        if (Status == BreachStatus.Closed) return [];
        var undone = Undone();
        return undone.Count == 0 || c.Reason is not null
            ? [new BreachClosed(c.Reason, undone)]
            : throw new Refused(RefusalKind.Conflict, "breach.undone", $"Still to be done: {string.Join(", ", undone)}. To close it all the same takes a reason.", "reason");
    }

    private Breach With(BreachAudience audience, int number, Func<BreachWording, BreachWording> change) =>
        this with { Wordings = [.. Wordings.Select(w => w.Audience == audience && w.Number == number ? change(w) : w)] };

    /// <param name="before">What was said before: a time that stays is not looked at again, by another node's clock.</param>
    private static BreachFacts Checked(BreachFacts facts, BreachFacts? before, DateTimeOffset now)
    {
        if (facts.Kinds is [] || facts.Kinds.Distinct().Count() != facts.Kinds.Count) throw Invalid("kinds", "At least one kind, and each once.");
        if (facts.AwareAt != before?.AwareAt && facts.AwareAt > now + Tolerance) throw Invalid("awareAt", "Nobody has become aware in the future.");
        // Before there was a clock for it, it is a typing error, and would be the loudest alarm of all.
        if (facts.AwareAt != before?.AwareAt && facts.AwareAt < Earliest) throw Invalid("awareAt", $"It became known on {Earliest:yyyy-MM-dd} at the earliest: since then there are the 72 hours.");
        if (facts.OccurredFrom is { } from && from > facts.AwareAt + Tolerance) throw Invalid("occurredFrom", "It began before it became known.");
        if (facts.OccurredTo is { } to && (facts.OccurredFrom is null || to < facts.OccurredFrom)) throw Invalid("occurredTo", "It ended after it began.");
        return facts;
    }

    private static BreachAssessment Checked(BreachAssessment c)
    {
        if (c.ApproximatePeople < 0 || c.ApproximateRecords < 0) throw Invalid("approximatePeople", "Numbers are not below 0.");
        if (c.DataCategories.Count > 100 || c.PeopleCategories.Count > 100) throw Invalid("dataCategories", "At most 100 categories.");
        return c;
    }

    private static BreachScope Checked(BreachScope c)
    {
        if (c.IsEmpty) throw new Refused(RefusalKind.Invalid, "breach.scope_invalid", "It names nobody.");
        if (c.Named > BreachScope.Most) throw new Refused(RefusalKind.Invalid, "breach.scope_invalid", $"At most {BreachScope.Most} are named one by one; more are told by a rule.");
        if (c.Seen is { } seen && seen.To <= seen.From) throw new Refused(RefusalKind.Invalid, "breach.scope_invalid", "It ends after it begins.", "seen");
        return c;
    }

    /// <summary>There is none with this id.</summary>
    public static Refused Missing() => new(RefusalKind.Missing, "breach.missing", "There is no such breach.");

    private static Refused Invalid(string field, string message) => new(RefusalKind.Invalid, "breach.facts_invalid", message, field);
}
