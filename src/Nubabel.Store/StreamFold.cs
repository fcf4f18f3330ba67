namespace Nubabel.Store;

/// <summary>How the events of a stream become one value, one after the other. Pure; the values never change.</summary>
public abstract class StreamFold
{
    private protected StreamFold() { }

    /// <summary>The value before the first event.</summary>
    internal abstract object? First { get; }

    internal abstract object? Next(object? value, Recorded e);
}

/// <inheritdoc cref="StreamFold"/>
/// <param name="first">The value before the first event.</param>
/// <param name="next">The value after one more event.</param>
public sealed class StreamFold<TValue>(TValue first, Func<TValue, Recorded, TValue> next) : StreamFold
{
    internal override object? First => first;
    internal override object? Next(object? value, Recorded e) => next((TValue)value!, e);
}

/// <summary>What is folded of the streams of one kind: their state, and the rows that are shown of it. One object for each kind, so that what was folded before is known again.</summary>
/// <param name="all">The state first: commands are decided on it, so a stream of which it cannot be folded is not remembered. A row that cannot be folded is missed by whoever asks for it.</param>
public sealed class StreamFolds(params IReadOnlyList<StreamFold> all)
{
    internal IReadOnlyList<StreamFold> All => all;

    /// <summary>The place of a fold among them.</summary>
    /// <exception cref="ArgumentException">It is none of them.</exception>
    internal int PlaceOf(StreamFold fold)
    {
        for (var i = 0; i < all.Count; i++)
            if (all[i] == fold) return i;
        throw new ArgumentException($"{fold} is not folded of these streams.", nameof(fold));
    }

    /// <summary>The fold that makes a value of this type.</summary>
    /// <exception cref="ArgumentException">None does.</exception>
    public StreamFold<TValue> Of<TValue>()
    {
        for (var i = 0; i < all.Count; i++)
            if (all[i] is StreamFold<TValue> fold) return fold;
        throw new ArgumentException($"{typeof(TValue).Name} is not folded of these streams.");
    }
}

/// <summary>A stream that is asked for, and what is to be folded of it.</summary>
public readonly record struct Sought(string Stream, StreamFolds Folds);
