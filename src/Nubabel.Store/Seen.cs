namespace Nubabel.Store;

/// <summary>
/// A stream as it was seen: where it ended, and what was folded of its events up to there. The events themselves are not kept. It never changes; what comes next makes another one
/// (<see cref="On"/>).
/// </summary>
public sealed class Seen
{
    /// <summary>The object, its place in a cache and the names that lead to it.</summary>
    private const long Least = 500;

    private readonly object?[] values;
    private Scale? scale;

    private Seen(StreamFolds folds, object?[] values, Scale? scale) => (Folds, this.values, this.scale) = (folds, values, scale);

    /// <summary>What was folded.</summary>
    public StreamFolds Folds { get; }

    /// <summary>The version of its last event; 0 where it has none.</summary>
    public long Version { get; private init; }

    /// <summary>The place of its last event in the log; 0 where it has none.</summary>
    public long Position { get; private init; }

    /// <summary>The id of its last event.</summary>
    public Guid Id { get; private init; }

    /// <summary>The time of its last event; the earliest there is where it has none.</summary>
    public DateTimeOffset At { get; private init; }

    /// <summary>Whether it was folded from the first event on, without a hole, and has a state. Only such a one is worth remembering.</summary>
    internal bool IsSound { get; private init; } = true;

    /// <summary>
    /// Roughly what it takes in memory, in bytes. Its values are weighed now and then: when what has come since may be as heavy as all before, and until then that is added.
    /// </summary>
    /// <param name="most">Who weighs more is not weighed to the end.</param>
    internal long Weight(long most = long.MaxValue)
    {
        if (scale is not { } known || known.Since > known.Weighed) scale = known = new Scale(Least + ObjectWeight.Of(values, most), 0);
        return known.Weighed + known.Since;
    }

    /// <summary>A stream that has no events.</summary>
    public static Seen Nothing(StreamFolds folds)
    {
        ArgumentNullException.ThrowIfNull(folds);
        return new Seen(folds, [.. folds.All.Select(f => f.First)], null);
    }

    /// <summary>The stream with more events, in order.</summary>
    public Seen On(IReadOnlyList<Recorded> events)
    {
        ArgumentNullException.ThrowIfNull(events);
        if (events.Count == 0) return this;
        var growing = new Growing(this);
        for (var i = 0; i < events.Count; i++) growing.Add(events[i]);
        return growing.Done();
    }

    /// <summary>What a fold has made of the stream.</summary>
    /// <exception cref="UnreadableEvent">An event does not fit what stands before it.</exception>
    public TValue Value<TValue>(StreamFold<TValue> fold) =>
        values[Folds.PlaceOf(fold)] switch
        {
            Unfitting at => throw new UnreadableEvent(at.Event, at.Cause),
            var value => (TValue)value!,
        };

    /// <summary>A stream that is being read: event after event, however many, in the memory of one.</summary>
    internal sealed class Growing(Seen seen)
    {
        private readonly object?[] values = [.. seen.values];
        private Recorded? last;
        private bool isSound = seen.IsSound;
        private long weight;

        private long Version => last?.Version ?? seen.Version;

        public void Add(Recorded e)
        {
            isSound &= e.Version == Version + 1;
            for (var i = 0; i < values.Length; i++)
            {
                if (values[i] is Unfitting) continue;
                // Whatever a fold throws, the event is at fault and not who asks; only who asks for this value hears of it.
#pragma warning disable CA1031
                try
                {
                    values[i] = seen.Folds.All[i].Next(values[i], e);
                }
                catch (Exception cause)
                {
                    values[i] = new Unfitting(e, cause);
                    isSound &= i > 0;
                }
#pragma warning restore CA1031
            }
            (last, weight) = (e, weight + e.Weight.Bytes);
        }

        public Seen Done() => last is null ? seen : new Seen(seen.Folds, values, seen.scale is { } s ? s with { Since = s.Since + weight } : null)
        {
            Version = last.Version,
            Position = last.Position,
            Id = last.Id,
            At = last.At,
            IsSound = isSound,
        };
    }

    /// <summary>Stands where a fold has failed.</summary>
    private sealed record Unfitting(Recorded Event, Exception Cause);

    /// <param name="Weighed">What the values weighed when they were weighed last.</param>
    /// <param name="Since">What the events weigh that have come since.</param>
    private sealed record Scale(long Weighed, long Since);
}
