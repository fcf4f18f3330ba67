using System.Diagnostics;
using Npgsql;

namespace Nubabel.Store;

/// <summary>PostgreSQL or a converter refused what a fold has made; whose fault it is shows only when it is done page by page.</summary>
internal sealed class ValueRefused(Exception cause) : Exception(cause.Message, cause);

/// <summary>What a load is given.</summary>
/// <param name="Source">Connections without a time-out, whose planner goes by the index of positions.</param>
/// <param name="Skips">Positions that an operator had this version pass over.</param>
/// <param name="Workers">How many decode and fold side by side.</param>
/// <param name="Memory">What the documents of one pass may take, in bytes.</param>
internal sealed record BulkContext(NpgsqlDataSource Source, RebuildRecord Record, Meter Meter, IReadOnlySet<long> Skips, int Workers, long Memory);

/// <summary>How far a load is, told by those who work and read by whoever shows it.</summary>
internal sealed class Meter
{
    private long events;
    private double share;

    public long Events => Interlocked.Read(ref events);

    /// <summary>Of the whole work, from 0 to 1.</summary>
    public double Share => Volatile.Read(ref share);

    public void Add(long read) => Interlocked.Add(ref events, read);

    public void At(double done) => Volatile.Write(ref share, Math.Clamp(done, 0, 1));
}

/// <summary>Loads a read model's table beside from the log, up to the mark of its rebuild; what is committed is not done again by whoever goes on.</summary>
internal abstract class BulkLoad
{
    /// <summary>Where it ended: the mark, or before the event that stopped it with why.</summary>
    public abstract Task<(long Position, string? StoppedBy)> Run(BulkContext context, CancellationToken ct);

    /// <summary>The events of a stretch that a projection wants, in order. COPY takes no parameters: the aliases are names of the code's.</summary>
    protected static string Select(Projection projection, long from, long to, string first, string filter)
    {
        var wanted = projection.Types is null ? $" and e.type <> '{EventPages.Tombstone}'" : $" and e.type in ({string.Join(", ", projection.Types.Select(t => $"'{t.Replace("'", "''", StringComparison.Ordinal)}'"))})";
        return FormattableString.Invariant($"select {first}, {LogRows.Columns} from events.mt_events e where e.seq_id > {from} and e.seq_id <= {to}{wanted}{filter} order by e.seq_id");
    }

    /// <summary>The statement that takes rows of the projection's table in.</summary>
    protected static string CopyIn(Projection projection) =>
        $"copy {projection.Table.Quoted} ({string.Join(", ", projection.Fixed.Columns.Select(c => c.Name).Concat(projection.Columns.Select(c => new Name(c.Name).Quoted)))}) from stdin (format binary)";

    protected static async Task WriteValues(NpgsqlBinaryImporter to, Projection projection, object?[] values, CancellationToken ct)
    {
        for (var i = 0; i < values.Length; i++)
        {
            var type = projection.ColumnTypes[i].DbType;
            // Each as what it is: as an object the driver would look its type up for every value.
            await (values[i] switch
            {
                null => to.WriteNullAsync(ct),
                string text => to.WriteAsync(text, type, ct),
                Guid id => to.WriteAsync(id, type, ct),
                long number => to.WriteAsync(number, type, ct),
                int number => to.WriteAsync(number, type, ct),
                bool flag => to.WriteAsync(flag, type, ct),
                // The driver takes instants in UTC only.
                DateTimeOffset at => to.WriteAsync(at.ToUniversalTime(), type, ct),
                var value => to.WriteAsync(value, type, ct),
            });
        }
    }

    /// <summary>Data exceptions, violated constraints, and what is too long: the events' fault, whoever tries again.</summary>
    protected static bool IsFaultOfValues(PostgresException e) => e.SqlState[..2] is "22" or "23" or "54";
}
