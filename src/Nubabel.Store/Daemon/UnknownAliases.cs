using Npgsql;

namespace Nubabel.Store;

/// <summary>What is known of an alias that no event type of this build is called. The members stand in the order in which <c>jsonb</c> keeps them.</summary>
/// <param name="At">The timestamp of the last event.</param>
/// <param name="Last">The position of the last event.</param>
/// <param name="First">The position of the first event.</param>
/// <param name="Events">How many there are.</param>
public sealed record UnknownAlias(DateTimeOffset At, long Last, string Alias, long First, long Events);

/// <summary>The events that the projections have passed over, because nobody here knows their alias: another program's, or a newer build's.</summary>
/// <param name="Events">How many, of all aliases.</param>
/// <param name="Aliases">How many aliases there are.</param>
/// <param name="Latest">Those that were met last, at most <see cref="UnknownAliases.Shown"/>.</param>
public sealed record PassedOver(long Events, long Aliases, IReadOnlyList<UnknownAlias> Latest);

/// <summary>
/// Counts the events of unknown aliases, a document for each alias. It is a read model like any other, so the count is exact whichever process runs it, and
/// is made anew from the log. An alias that a later build knows keeps its document until the model is built anew, and is shown no more.
/// </summary>
public sealed class UnknownAliases : IDocument<UnknownAlias>
{
    /// <summary>How many aliases the status shows; a foreign writer may use any number of them.</summary>
    public const int Shown = 20;

    public static string Name => "unknown_aliases";
    public static int Version => 1;

    /// <summary>All: what is unknown cannot be named.</summary>
    public static IReadOnlyList<string>? Types => null;

    /// <summary>Known or not is told by the alias; what the event says does not matter.</summary>
    public static bool NeedsData => false;

    public static Columns<UnknownAlias> Columns { get; } = new Columns<UnknownAlias>()
        .Add("alias", row => row.Alias)
        .Add("events", row => row.Events)
        .Add("last", row => row.Last);

    public static string? Key(Recorded e) => e.IsUnknown ? e.Type : null;

    public static UnknownAlias? Evolve(UnknownAlias? row, Recorded e) => new(e.At, e.Position, e.Type, row?.First ?? e.Position, (row?.Events ?? 0) + 1);

    /// <summary>What stands in the table; null where the read model is not built here.</summary>
    internal static async Task<PassedOver?> Read(NpgsqlDataSource daemon, ProjectionSet projections, CancellationToken ct)
    {
        if (projections.Find(Name) is not { } projection) return null;
        await using var command = daemon.CreateCommand($"""
            select alias, events, last, (doc->>'first')::bigint, (doc->>'at')::timestamptz, sum(events) over ()::bigint, count(*) over ()
              from {projection.Table.Quoted} where alias <> all($1) order by last desc limit {Shown}
            """);
        command.AddArray(projections.Types.All.Select(t => t.Alias).ToArray(), NpgsqlTypes.NpgsqlDbType.Varchar);
        var (events, aliases, latest) = (0L, 0L, new List<UnknownAlias>());
        try
        {
            await using var reader = await command.ExecuteReaderAsync(ct);
            while (await reader.ReadAsync(ct))
            {
                latest.Add(new UnknownAlias(EventRow.Time(reader, 4), reader.GetInt64(2), reader.GetString(0), reader.GetInt64(3), reader.GetInt64(1)));
                (events, aliases) = (reader.GetInt64(5), reader.GetInt64(6));
            }
        }
        catch (PostgresException missing) when (missing.SqlState == PostgresErrorCodes.UndefinedTable)
        {
            // Not migrated yet; the projection itself says so.
            return null;
        }
        return new PassedOver(events, aliases, latest);
    }
}
