namespace Nubabel.Domain.Breaches;

/// <summary>What an organization is told of a breach that affects it.</summary>
/// <param name="AffectedUsers">How many of its users are affected, as far as that is known.</param>
public sealed record NoticeContent(
    NoticeText Text, DateTimeOffset AwareAt, IReadOnlyList<BreachKind> Kinds, DateTimeOffset? OccurredFrom, DateTimeOffset? OccurredTo, BreachRisk? Risk, IReadOnlyList<Phrase> DataCategories, long AffectedUsers)
{
    public bool Equals(NoticeContent? other) => other is not null
        && (Text, AwareAt, OccurredFrom, OccurredTo, Risk, AffectedUsers) == (other.Text, other.AwareAt, other.OccurredFrom, other.OccurredTo, other.Risk, other.AffectedUsers)
        && Lists.Same(Kinds, other.Kinds) && Lists.Same(DataCategories, other.DataCategories);

    public override int GetHashCode() => HashCode.Combine(Text, AwareAt);
}

/// <summary>The organization was told: the entry in its own audit trail.</summary>
/// <param name="Number">Of the wording.</param>
public sealed record BreachNoticeGiven(int Number, NoticeContent Content) : Event<BreachNotice>;

public sealed record GiveBreachNotice(int Number, NoticeContent Content) : Command<BreachNotice>;

/// <summary>A breach as an organization knows it. Its stream is the organization's and is named by the breach's id.</summary>
/// <param name="Number">The last wording that was given; 0 for none.</param>
public sealed record BreachNotice(int Number) : IAggregate<BreachNotice>
{
    public static string Kind => "breach-notice";
    public static BreachNotice Initial { get; } = new(0);

    public static BreachNotice Evolve(BreachNotice state, Event<BreachNotice> e) => e switch
    {
        BreachNoticeGiven g => new BreachNotice(g.Number),
        _ => state,
    };

    public static IReadOnlyList<Event<BreachNotice>> Decide(BreachNotice state, Command<BreachNotice> command, Context at) => command switch
    {
        // Each wording once, however often it is sent, and an old one never behind a new one.
        GiveBreachNotice c => c.Number <= state.Number ? [] : [new BreachNoticeGiven(c.Number, c.Content)],
        _ => throw new NotSupportedException(command.GetType().Name),
    };
}
