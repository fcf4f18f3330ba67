using Npgsql;

namespace Nubabel.Store;

/// <summary>A read model as the daemon sees it: what it wants, where it writes, how a page of events becomes writes.</summary>
public abstract class Projection
{
    /// <summary>The tenant of everything that belongs to the platform, and Marten's default tenant.</summary>
    public const string PlatformTenant = "*DEFAULT*";

    private readonly HashSet<string>? wanted;

    private protected Projection(string readModel, int version, bool platform, IReadOnlyList<string>? types, IReadOnlyList<Column> columns, IReadOnlyList<Index> indexes, bool beside = false)
    {
        (ReadModel, Version, Platform, Types, Columns, Indexes) = (readModel, version, platform, types, columns, indexes);
        (Name, Table) = beside ? ($"{readModel}:rebuild", new Name($"read.{readModel}_v{version}_r")) : (readModel, new Name($"read.{readModel}_v{version}"));
        wanted = types?.ToHashSet();
        ColumnTypes = [.. columns.Select(ColumnType.Of)];
    }

    /// <summary>The read model's name; of what is built beside it <c>name:rebuild</c>, so that checkpoint and parked keys are its own.</summary>
    public string Name { get; }

    /// <summary>The read model's name in either case: operators' orders are given to it.</summary>
    internal string ReadModel { get; }

    public int Version { get; }

    /// <summary>Its rows belong to the platform whatever the tenant of the event.</summary>
    public bool Platform { get; }

    /// <summary>The aliases it wants; null for every event.</summary>
    public IReadOnlyList<string>? Types { get; }

    /// <summary>The name of its checkpoint: <c>devices:All</c>, from version 2 on <c>devices:V2:All</c>.</summary>
    public string ProgressionName => Version == 1 ? $"{Name}:All" : $"{Name}:V{Version}:All";

    /// <summary>The physical table; it carries the version, so that a new one is built beside the old one.</summary>
    public Name Table { get; }

    /// <summary>The same projection as it is built beside the live one: another table, another checkpoint, parked keys of its own.</summary>
    internal virtual Projection Beside() => throw new NotSupportedException($"{Name} has no table.");

    /// <summary>How it is loaded from the whole log in bulk.</summary>
    internal virtual BulkLoad Bulk(EventTypes types) => throw new NotSupportedException($"{Name} has no table.");

    internal IReadOnlyList<Column> Columns { get; }
    internal IReadOnlyList<Index> Indexes { get; }
    internal IReadOnlyList<ColumnType> ColumnTypes { get; }

    /// <summary>The columns before the declared ones, with their types, and how many of the first make the primary key.</summary>
    internal abstract (IReadOnlyList<(string Name, string Type)> Columns, int Key) Fixed { get; }

    /// <summary>
    /// A poison event stops the whole projection and not a key of it; it then stands in <c>nubabel.parked</c> under <see cref="Parking.WholeKey"/>,
    /// for the eyes of other processes; with the checkpoint beyond it, it counts no more.
    /// </summary>
    internal abstract bool StopsAsAWhole { get; }

    /// <summary>It begins with what comes after its first start, and not with the log: what it does cannot be done again.</summary>
    internal virtual bool StartsNow => false;

    /// <summary>Aliases: where one of them stands in the log already, it begins there although it starts now; before the first of them it has nothing to do.</summary>
    internal virtual IReadOnlyList<string> BeginsWith => [];

    internal bool Wants(string alias) => wanted?.Contains(alias) ?? true;
    internal string TenantOf(Recorded e) => Platform ? PlatformTenant : e.Tenant;

    /// <summary>This projection's work on one page.</summary>
    /// <param name="skips">Positions of events that an operator had it pass over.</param>
    internal abstract Fold Begin(EventPage page, IReadOnlySet<long> skips);

    /// <summary>The work of folding parked events once more, all of a key in their order.</summary>
    /// <param name="order">The place of the retry in the stream of orders.</param>
    internal virtual Fold Again(IReadOnlyList<ParkedEvent> parked, IReadOnlySet<long> skips, long order) =>
        throw new NotSupportedException($"{Name} stops as a whole and has no keys.");

    private protected string InsertSql(string onConflict)
    {
        var names = Fixed.Columns.Select(c => c.Name).Concat(Columns.Select(c => new Name(c.Name).Quoted));
        var types = Fixed.Columns.Select(c => c.Type).Concat(ColumnTypes.Select(t => t.Sql));
        return $"insert into {Table.Quoted} ({string.Join(", ", names)}) select * from unnest({string.Join(", ", types.Select((t, i) => $"${i + 1}::{t}[]"))}){onConflict}";
    }

    internal object?[] ValuesOf(object row) => [.. Columns.Select(c => c.Value(row))];

    private protected void AddColumns(NpgsqlBatchCommand command, IReadOnlyList<object?[]> rows)
    {
        for (var i = 0; i < Columns.Count; i++)
            command.AddArray(ColumnTypes[i].ToArray([.. rows.Select(r => r[i])]), ColumnTypes[i].DbType);
    }
}

/// <summary>
/// One projection's work on one page of events: read what is there, fold in memory, write. A unit is what can fail alone: a document or the
/// rows of one event.
/// </summary>
internal abstract class Fold
{
    /// <summary>Where the checkpoint goes with this work: the page's end, or before the event that stopped a row projection.</summary>
    public long UpTo { get; protected set; }

    /// <summary>Why the projection stops behind this work, if it does.</summary>
    public string? StoppedBy { get; protected set; }

    /// <summary>Adds the statements that read what the fold needs; their results come to <see cref="ReadLoads"/> in the same order.</summary>
    public abstract void AddLoads(NpgsqlBatch batch);

    /// <summary>Reads the results, moving to the next result set behind each of them.</summary>
    public abstract Task ReadLoads(NpgsqlDataReader reader, CancellationToken ct);

    public abstract void Apply();

    public abstract IReadOnlyList<object> Units { get; }

    /// <summary>Adds what must be proven, or done, within the transaction before anything is written.</summary>
    public virtual void AddChecks(NpgsqlBatch batch)
    {
    }

    public abstract void AddWrites(NpgsqlBatch batch, IReadOnlyList<object> units);

    /// <summary>Adds the record of why the projection stops behind this work, when it does.</summary>
    public virtual void AddStop(NpgsqlBatch batch)
    {
    }

    /// <summary>The work is committed.</summary>
    public virtual void Committed()
    {
    }

    /// <summary>How many steps a unit can be taken in: the events of a document.</summary>
    public virtual int Steps(object unit) => 1;

    /// <summary>
    /// PostgreSQL refused the unit's values: it is to be written with its first steps only. With an error, the next step is what fails: its key is parked from
    /// there on, or the projection stops before it.
    /// </summary>
    public abstract void Take(object unit, int steps, string? error);
}
