using Nubabel.Domain;
using Nubabel.Store;

namespace Nubabel.Projections;

/// <summary>One command on one stream, as a part of a commit.</summary>
public abstract class Step
{
    private protected Step() { }

    internal abstract string Stream { get; }
    internal abstract bool Fresh { get; }

    /// <summary>The stream, and what is folded of it.</summary>
    internal abstract Sought Sought { get; }
    internal abstract StreamAppend? Decide(Seen seen, Context at);

    /// <param name="decidedOn">What it was decided on; of a repeated request, what it had led to.</param>
    /// <param name="written">What the commit has added to it.</param>
    /// <returns>The stream after the commit.</returns>
    internal abstract Seen Finish(Journal journal, Seen decidedOn, IReadOnlyList<Recorded> written);
    internal abstract Claim ClaimOf(ClaimValue value);
}

/// <inheritdoc cref="Step"/>
public sealed class Step<T>(StreamName<T> stream, Command<T> command, bool fresh = false, Func<long, bool>? matches = null) : Step where T : IAggregate<T>
{
    private Outcome<T>? outcome;
    private IReadOnlyList<Claim> wanted = [];

    /// <summary>After the commit.</summary>
    public Outcome<T> Outcome => outcome ?? throw new InvalidOperationException("Not committed yet.");

    internal override string Stream => stream.Value;
    internal override bool Fresh => fresh;
    internal override Sought Sought => Streams.Sought(stream);

    internal override StreamAppend? Decide(Seen seen, Context at)
    {
        var before = seen.State<T>();
        IReadOnlyList<Event<T>> events;
        try
        {
            events = T.Decide(before, command, at);
        }
        catch (Refused r) when (r.Kind != RefusalKind.Missing && !Matches())
        {
            // What the caller had seen is gone; that, and not what follows from it, is the answer.
            throw new VersionMismatch(seen.Version);
        }
        if (!Matches()) throw new VersionMismatch(seen.Version);
        if (events.Count == 0) return null;
        var after = events.Aggregate(before, T.Evolve);
        var held = T.Claims(before).Select(c => new ClaimValue(c.Scope, c.Value)).ToHashSet();
        wanted = [.. T.Claims(after)];
        var holds = wanted.Select(c => new ClaimValue(c.Scope, c.Value)).ToHashSet();
        return new StreamAppend(Stream, T.Kind, seen.Version, events, [.. holds.Except(held)], [.. held.Except(holds)]);

        bool Matches() => matches is null || matches(seen.Version);
    }

    internal override Seen Finish(Journal journal, Seen decidedOn, IReadOnlyList<Recorded> written)
    {
        var seen = decidedOn.On(written);
        outcome = new Outcome<T>(journal, stream, seen, written);
        return seen;
    }

    internal override Claim ClaimOf(ClaimValue value) => wanted.First(c => c.Scope == value.Scope && c.Value == value.Value);
}
