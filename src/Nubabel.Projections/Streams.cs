using Nubabel.Domain;
using Nubabel.Store;

namespace Nubabel.Projections;

/// <summary>
/// The name of a <typeparamref name="T"/>'s stream. An id is one by itself (<c>device-0198…</c>); what people name, and nothing else identifies, is named
/// by its key (<c>flag-dark-mode</c>, <see cref="Streams.Named"/>), so that the stream itself keeps the key unique.
/// </summary>
public readonly record struct StreamName<T>(string Value) where T : IAggregate<T>
{
    public static implicit operator StreamName<T>(Id<T> id) => new(Streams.Of(id));
    public override string ToString() => Value;
}

/// <summary>Addresses and folds of typed streams.</summary>
public static class Streams
{
    /// <summary><c>flag-dark-mode</c></summary>
    public static StreamName<T> Named<T>(string key) where T : IAggregate<T> => new($"{T.Kind}-{key}");

    /// <summary><c>device-0198…</c></summary>
    public static string Of<T>(Id<T> id) where T : IAggregate<T> => $"{T.Kind}-{id}";

    /// <summary>What is folded of the streams of an aggregate: its state, and the rows that are shown of it.</summary>
    public static StreamFolds FoldsOf<T>() where T : IAggregate<T> => Folded<T>.All;

    /// <summary>The state of a stream. An event of another or an unknown type (a foreign writer's) changes nothing.</summary>
    public static StreamFold<T> StateOf<T>() where T : IAggregate<T> => Folded<T>.State;

    /// <summary>The state that a history makes.</summary>
    /// <exception cref="UnreadableEvent">An event does not fit what stands before it.</exception>
    public static T Fold<T>(IReadOnlyList<Recorded> history) where T : IAggregate<T> => Seen.Nothing(new StreamFolds(StateOf<T>())).On(history).Value(StateOf<T>());

    /// <summary>A stream to be read with all that is folded of it.</summary>
    public static Sought Sought<T>(StreamName<T> stream) where T : IAggregate<T> => new(stream.Value, FoldsOf<T>());

    /// <summary>The state of a stream as it was seen.</summary>
    /// <exception cref="UnreadableEvent">An event does not fit what stands before it.</exception>
    public static T State<T>(this Seen seen) where T : IAggregate<T>
    {
        ArgumentNullException.ThrowIfNull(seen);
        return seen.Value(StateOf<T>());
    }

    /// <summary>One object for each aggregate.</summary>
    private static class Folded<T> where T : IAggregate<T>
    {
        public static readonly StreamFold<T> State = new(T.Initial, static (state, e) => e.Data is Event<T> known ? T.Evolve(state, known) : state);
        public static readonly StreamFolds All = new([State, .. Rows.Of(typeof(T))]);
    }
}
