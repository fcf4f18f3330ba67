namespace Nubabel.Domain.Attempts;

/// <summary>The actor asked for what it has no permission for.</summary>
/// <param name="Operation">Method and route, <c>PUT /api/devices/{id}/name</c>; never the path as it was written.</param>
/// <param name="Required">The permission that was missing.</param>
/// <param name="Count">How many times, in one minute at most.</param>
/// <param name="Object">The id that the path named, where it named one.</param>
public sealed record AttemptDenied(string Operation, string Required, long Count, string? Object = null) : Event<Attempt>;

/// <summary>The actor sent a command that a decision refused.</summary>
/// <param name="Operation">Method and route, <c>PUT /api/devices/{id}/name</c>; never the path as it was written.</param>
/// <param name="Code">Why, as the answer said it.</param>
/// <param name="Count">How many times, in one minute at most.</param>
/// <param name="Object">The id that the path named, where it named one.</param>
public sealed record AttemptRefused(string Operation, string Code, long Count, string? Object = null) : Event<Attempt>;

/// <summary>The actor was turned away in more different ways within a minute than are told one by one.</summary>
/// <param name="Count">How many times beyond those.</param>
public sealed record AttemptOverflowed(long Count) : Event<Attempt>;

public sealed record RecordDenied(string Operation, string Required, long Count, string? Object = null) : Command<Attempt>, IRecordsEachTime;

public sealed record RecordRefused(string Operation, string Code, long Count, string? Object = null) : Command<Attempt>, IRecordsEachTime;

public sealed record RecordOverflow(long Count) : Command<Attempt>, IRecordsEachTime;

/// <summary>
/// What an actor tried and was not let through to. One stream for each actor, named by the actor's subject (<c>attempt-user-0198…</c>). It is only ever
/// written: no decision depends on what stands in it, so there is no state, and nobody loads it.
/// </summary>
public sealed record Attempt : IAggregate<Attempt>
{
    public static string Kind => "attempt";
    public static Attempt Initial { get; } = new();

    public static Attempt Evolve(Attempt state, Event<Attempt> e) => e switch
    {
        AttemptDenied => state,
        AttemptRefused => state,
        AttemptOverflowed => state,
        _ => state,
    };

    public static IReadOnlyList<Event<Attempt>> Decide(Attempt state, Command<Attempt> command, Context at) => command switch
    {
        RecordDenied c => [new AttemptDenied(c.Operation, c.Required, c.Count, c.Object)],
        RecordRefused c => [new AttemptRefused(c.Operation, c.Code, c.Count, c.Object)],
        RecordOverflow c => [new AttemptOverflowed(c.Count)],
        _ => throw new NotSupportedException(command.GetType().Name),
    };
}
