namespace Nubabel.Store;

/// <summary>
/// A read model of documents: each event belongs to at most one document, and the fold of a document's events is its row. Pure, so the same
/// function serves the daemon, a rebuild, a test and the answer to a command.
/// </summary>
public interface IDocument<TRow> where TRow : class
{
    static abstract string Name { get; }

    /// <summary>Raised whenever the fold or the table changes: a new version is built beside the old one.</summary>
    static abstract int Version { get; }

    /// <summary>The event aliases that the fold wants, others never reach it; null for every event, unknown aliases included.</summary>
    static abstract IReadOnlyList<string>? Types { get; }

    /// <summary>Whether an event whose stored JSON does not fit its type is poison. Where it is not, such an event comes without its data.</summary>
    static virtual bool NeedsData => true;

    /// <summary>The columns that queries filter or sort by, and the indexes on them.</summary>
    static abstract Columns<TRow> Columns { get; }

    /// <summary>The key of the document that an event belongs to; null when it belongs to none. By default the stream id.</summary>
    static virtual string? Key(Recorded e) => e.Stream;

    /// <summary>The row after the event; null deletes it.</summary>
    static abstract TRow? Evolve(TRow? row, Recorded e);
}

/// <summary>A read model of rows: one event makes some rows of an append-only table.</summary>
public interface IRows<TRow> where TRow : class
{
    static abstract string Name { get; }
    static abstract int Version { get; }

    /// <summary>The event aliases wanted; null for every event, unknown aliases included.</summary>
    static abstract IReadOnlyList<string>? Types { get; }

    /// <summary>Whether an event whose stored JSON does not fit its type is poison. Where it is not, such an event comes without its data.</summary>
    static virtual bool NeedsData => true;

    static abstract Columns<TRow> Columns { get; }
    static abstract IEnumerable<TRow> Project(Recorded e);
}

/// <summary>The declared columns of a read model's table, beside <c>tenant_id</c>, the key and the document.</summary>
public sealed class Columns<TRow>
{
    private readonly List<Column> columns = [];
    private readonly List<Index> indexes = [];

    /// <summary>A typed column, filled by the fold. Types: string, Guid, long, int, bool, DateTimeOffset and their nullable forms.</summary>
    public Columns<TRow> Add<T>(string name, Func<TRow, T> value)
    {
        columns.Add(new Column(name, typeof(T), row => value((TRow)row)));
        return this;
    }

    /// <summary>An index on <c>tenant_id</c> and these columns (a column may be followed by <c>desc</c>, or a text by <c>bytewise</c>).</summary>
    /// <param name="why">Which query it serves; it becomes the index's comment.</param>
    /// <param name="columnNames">In order, without <c>tenant_id</c>.</param>
    public Columns<TRow> Index(string why, params string[] columnNames)
    {
        indexes.Add(new Index(why, columnNames));
        return this;
    }

    public IReadOnlyList<Column> All => columns;
    public IReadOnlyList<Index> Indexes => indexes;
}

/// <summary>A declared column and how its value is taken from a row.</summary>
public sealed record Column(string Name, Type Type, Func<object, object?> Value);

/// <summary>A declared index and the query it serves.</summary>
public sealed record Index(string Why, IReadOnlyList<string> Columns);
