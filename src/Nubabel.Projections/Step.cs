using Nubabel.Domain;
using Nubabel.Store;

namespace Nubabel.Projections;

/// <summary>One command on one stream, as a part of a commit.</summary>
public abstract class Step
{
    private protected Step() { }

    internal abstract string Stream { get; }
    internal abstract bool Fresh { get; }
    internal abstract StreamAppend? Decide(IReadOnlyList<Recorded> history, Context at);

    /// <param name="decidedOn">The history that it was decided on; of a repeated request, the one that it had led to.</param>
    /// <param name="written">What the commit has added to it.</param>
    internal abstract void Finish(IReadOnlyList<Recorded> decidedOn, IReadOnlyList<Recorded> written);

    /// <summary>The stream after the commit.</summary>
    internal abstract IReadOnlyList<Recorded> History { get; }
    internal abstract Claim ClaimOf(ClaimValue value);
}

/// <inheritdoc cref="Step"/>
public sealed class Step<T>(StreamName<T> stream, Command<T> command, bool fresh = false, Func<long, bool>? matches = null) : Step where T : IAggregate<T>
{
    private Outcome<T>? outcome;
    private IReadOnlyList<Claim> wanted = [];
    private (IReadOnlyList<Recorded> On, T Before, T After)? decided;

    /// <summary>After the commit.</summary>
    public Outcome<T> Outcome => outcome ?? throw new InvalidOperationException("Not committed yet.");

    internal override string Stream => stream.Value;
    internal override bool Fresh => fresh;

    internal override StreamAppend? Decide(IReadOnlyList<Recorded> history, Context at)
    {
        var before = Streams.Fold<T>(history);
        IReadOnlyList<Event<T>> events;
        try
        {
            events = T.Decide(before, command, at);
        }
        catch (Refused r) when (r.Kind != RefusalKind.Missing && !Matches())
        {
            // What the caller had seen is gone; that, and not what follows from it, is the answer.
            throw new VersionMismatch(Version());
        }
        if (!Matches()) throw new VersionMismatch(Version());
        var after = events.Aggregate(before, T.Evolve);
        decided = (history, before, after);
        if (events.Count == 0) return null;
        var held = T.Claims(before).Select(c => new ClaimValue(c.Scope, c.Value)).ToHashSet();
        wanted = [.. T.Claims(after)];
        var holds = wanted.Select(c => new ClaimValue(c.Scope, c.Value)).ToHashSet();
        return new StreamAppend(Stream, T.Kind, Version(), events, [.. holds.Except(held)], [.. held.Except(holds)]);

        bool Matches() => matches is null || matches(Version());
        long Version() => history.Count == 0 ? 0 : history[^1].Version;
    }

    internal override void Finish(IReadOnlyList<Recorded> decidedOn, IReadOnlyList<Recorded> written)
    {
        IReadOnlyList<Recorded> history = written.Count == 0 ? decidedOn : [.. decidedOn, .. written];
        // What it was decided on is not folded again.
        var state = decided is { } d && ReferenceEquals(d.On, decidedOn) ? written.Count == 0 ? d.Before : d.After : Streams.Fold<T>(history);
        outcome = new Outcome<T>(stream, state, history, written.Count);
    }

    internal override IReadOnlyList<Recorded> History => Outcome.History;

    internal override Claim ClaimOf(ClaimValue value) => wanted.First(c => c.Scope == value.Scope && c.Value == value.Value);
}
