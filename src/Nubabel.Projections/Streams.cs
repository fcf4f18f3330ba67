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

    /// <summary>The state of a stream. An event of another or an unknown type (a foreign writer's) changes nothing.</summary>
    /// <exception cref="UnreadableEvent">An event does not fit what stands before it.</exception>
    public static T Fold<T>(IReadOnlyList<Recorded> history) where T : IAggregate<T> =>
        Fold(history, T.Initial, static (state, e) => e.Data is Event<T> known ? T.Evolve(state, known) : state);

    /// <summary>A fold that names the event at which it fails. What Nubabel writes always fits; another program may rename what was never registered.</summary>
    internal static TState Fold<TState>(IReadOnlyList<Recorded> history, TState state, Func<TState, Recorded, TState> evolve)
    {
        var at = 0;
        // Whatever a fold throws, the event is at fault and not who asks.
#pragma warning disable CA1031
        try
        {
            for (; at < history.Count; at++) state = evolve(state, history[at]);
            return state;
        }
        catch (Exception unfitting)
        {
            throw new UnreadableEvent(history[at], unfitting);
        }
#pragma warning restore CA1031
    }
}
