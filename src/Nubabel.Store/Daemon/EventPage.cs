using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>A stretch of the log, (From, To], with the events in it that somebody wants.</summary>
internal sealed record EventPage(long From, long To, IReadOnlyList<PageEvent> Events);

/// <summary>Reads the log in order, each event once for all projections of the node, and decodes only what somebody wants.</summary>
internal sealed class EventPages(NpgsqlDataSource daemon, EventTypes types)
{
    /// <summary>A page ends early rather than hold more than this of stored JSON in memory.</summary>
    internal const long MaxBytes = 16 << 20;

    /// <summary>How far one page looks for rare types: without a bound it would read the whole log in one statement.</summary>
    private const long LongestLook = 200_000;

    /// <summary>
    /// Marten's placeholder for an event whose transaction was rolled back, written later under the number that it had drawn. The mark has passed that number
    /// as dead by then, or has not: so nobody is shown one, and what is folded live and anew is the same.
    /// </summary>
    internal const string Tombstone = "tombstone";

    /// <summary>Reads behind <paramref name="from"/> up to the mark, at most <paramref name="limit"/> events.</summary>
    /// <param name="wanted">The aliases to read; null for all.</param>
    public async Task<EventPage> Read(long from, long mark, int limit, IReadOnlyCollection<string>? wanted, CancellationToken ct)
    {
        var upTo = wanted is null ? mark : Math.Min(mark, from + LongestLook);
        await using var connection = await daemon.OpenConnectionAsync(ct);
        var command = new NpgsqlBatchCommand($"""
            select {EventRow.Columns} from events.mt_events e
            where e.seq_id > $1 and e.seq_id <= $2 and {(wanted is null ? $"e.type <> '{Tombstone}'" : "e.type = any($4)")} order by e.seq_id limit $3
            """);
        command.Add(from);
        command.Add(upTo);
        command.Add(limit);
        if (wanted is not null) command.AddArray(wanted.ToArray(), NpgsqlDbType.Varchar);

        var events = new List<PageEvent>();
        long bytes = 0;
        await using var batch = new NpgsqlBatch(connection) { BatchCommands = { Plans.Command(), command } };
        await using var reader = await batch.ExecuteReaderAsync(ct);
        await reader.NextResultAsync(ct);
        while (await reader.ReadAsync(ct))
        {
            events.Add(EventRow.Read(reader, types, out var size));
            bytes += size;
            if (events.Count == limit || bytes > MaxBytes) return new EventPage(from, events[^1].Event.Position, events);
        }
        return new EventPage(from, upTo, events);
    }
}
