using Nubabel.Domain;
using Nubabel.Store;

namespace Nubabel.Projections;

/// <summary>A stream as it stands: after a command that led there, as it was read, or as it once was.</summary>
public sealed class Outcome<T> where T : IAggregate<T>
{
    private readonly Journal journal;
    private readonly Seen seen;

    internal Outcome(Journal journal, StreamName<T> stream, Seen seen, IReadOnlyList<Recorded> written)
    {
        (this.journal, Stream, this.seen, Written) = (journal, stream, seen, written);
        State = seen.Value(Streams.StateOf<T>());
    }

    /// <summary>Where it stands.</summary>
    public StreamName<T> Stream { get; }

    /// <summary>What its events make of it.</summary>
    public T State { get; }

    /// <summary>The events that the command appended; none when it was already so, or the request is a repeated one.</summary>
    public IReadOnlyList<Recorded> Written { get; }

    /// <summary>How many of its events the command appended.</summary>
    public int Appended => Written.Count;

    /// <summary>The id that the stream is named by.</summary>
    /// <exception cref="FormatException">It is named by a key.</exception>
    public Id<T> Id => Id<T>.Parse(Stream.Value.AsSpan(T.Kind.Length + 1), null);

    /// <summary>The stream's version: the <c>ETag</c>. 0 where there is none.</summary>
    public long Version => seen.Version;

    /// <summary>The position of the stream's last event: what a reader waits for to see this outcome. 0 for an empty stream.</summary>
    public long Position => seen.Position;

    /// <summary>The time of the stream's last event.</summary>
    public DateTimeOffset At => seen.At;

    /// <summary>The row that a read model makes of this stream: the same fold that fills its table. Null when it shows nothing.</summary>
    /// <exception cref="UnreadableEvent">An event does not fit what stands before it.</exception>
    /// <exception cref="ArgumentException">It is not among the rows of <see cref="Rows"/>.</exception>
    public TRow? Row<TRow>() where TRow : class => seen.Value(seen.Folds.Of<TRow?>());

    /// <summary>The stream's events up to here, in order. They are read from the log: nobody remembers them.</summary>
    public Task<IReadOnlyList<Recorded>> Events(CancellationToken ct) => journal.Read(Stream.Value, new Until(Version: Version), ct);

    /// <summary>The stream as it once was.</summary>
    public async Task<Outcome<T>> AsOf(Until until, CancellationToken ct)
    {
        var events = await journal.Read(Stream.Value, until with { Version = Math.Min(until.Version ?? long.MaxValue, Version) }, ct);
        return new Outcome<T>(journal, Stream, Seen.Nothing(Streams.FoldsOf<T>()).On(events), []);
    }
}
