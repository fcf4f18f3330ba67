namespace Nubabel.Domain.Retention;

/// <summary>Data of this category is kept for so many days, in this organization or, where the platform says so, in all that have not said otherwise.</summary>
public sealed record RetentionPolicySet(int Days) : Event<RetentionPolicy>;

/// <summary>From now on the period of the platform, or of the product, counts again.</summary>
public sealed record RetentionPolicyCleared : Event<RetentionPolicy>;

/// <param name="Shortest">What the category allows, from the table in the code.</param>
public sealed record SetRetentionPolicy(int Days, int Shortest, int Longest) : Command<RetentionPolicy>;
public sealed record ClearRetentionPolicy : Command<RetentionPolicy>;

/// <summary>
/// How long one category of data is kept, where an organization or the platform has said so. Its stream is named by the category, in the log of whoever said it.
/// </summary>
/// <param name="Days">Null where nobody has said anything.</param>
public sealed record RetentionPolicy(int? Days) : IAggregate<RetentionPolicy>
{
    public static string Kind => "retention-policy";
    public static RetentionPolicy Initial { get; } = new((int?)null);

    public static RetentionPolicy Evolve(RetentionPolicy state, Event<RetentionPolicy> e) => e switch
    {
        RetentionPolicySet s => new RetentionPolicy(s.Days),
        RetentionPolicyCleared => Initial,
        _ => state,
    };

    public static IReadOnlyList<Event<RetentionPolicy>> Decide(RetentionPolicy state, Command<RetentionPolicy> command, Context at) => command switch
    {
        SetRetentionPolicy c => state.Set(c),
        ClearRetentionPolicy => state.Days is null ? [] : [new RetentionPolicyCleared()],
        _ => throw new NotSupportedException(command.GetType().Name),
    };

    private Event<RetentionPolicy>[] Set(SetRetentionPolicy c)
    {
        if (c.Days < c.Shortest || c.Days > c.Longest)
            throw new Refused(RefusalKind.Invalid, "retention.period_invalid", $"This category is kept for {c.Shortest} to {c.Longest} days.", "days");
        return c.Days == Days ? [] : [new RetentionPolicySet(c.Days)];
    }
}
