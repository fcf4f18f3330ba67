using System.Text.Json;
using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>An event of a page; when its stored JSON does not fit its type, the error instead of the data.</summary>
internal readonly record struct PageEvent(Recorded Event, Exception? Unreadable);

/// <summary>A stretch of the log, (From, To], with the events in it that somebody wants.</summary>
internal sealed record EventPage(long From, long To, IReadOnlyList<PageEvent> Events);

/// <summary>Reads the log in order, each event once for all projections of the node, and decodes only what somebody wants.</summary>
internal sealed class EventPages(NpgsqlDataSource daemon, EventTypes types)
{
    /// <summary>A page ends early rather than hold more than this of stored JSON in memory.</summary>
    private const long MaxBytes = 16 << 20;

    internal const string Columns =
        "seq_id, id, stream_id, version, type, timestamp, tenant_id, user_name, correlation_id, causation_id, headers::text, data";

    /// <summary>Reads behind <paramref name="from"/> up to the mark, at most <paramref name="limit"/> events.</summary>
    /// <param name="wanted">The aliases to read; null for all.</param>
    public async Task<EventPage> Read(long from, long mark, int limit, IReadOnlyCollection<string>? wanted, CancellationToken ct)
    {
        await using var connection = await daemon.OpenConnectionAsync(ct);
        await using var command = new NpgsqlCommand($"""
            select {Columns} from events.mt_events where seq_id > $1 and seq_id <= $2 {(wanted is null ? "" : "and type = any($4)")} order by seq_id limit $3
            """, connection);
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = from });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = mark });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = limit });
        if (wanted is not null) command.Parameters.Add(new NpgsqlParameter { Value = wanted.ToArray(), NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Varchar });

        var events = new List<PageEvent>();
        long bytes = 0;
        await using var reader = await command.ExecuteReaderAsync(ct);
        while (await reader.ReadAsync(ct))
        {
            events.Add(Read(reader, 0, types, out var size));
            bytes += size;
            if (events.Count == limit || bytes > MaxBytes) return new EventPage(from, events[^1].Event.Position, events);
        }
        return new EventPage(from, mark, events);
    }

    /// <summary>Reads one event whose columns (<see cref="Columns"/>) begin at <paramref name="at"/>.</summary>
    internal static PageEvent Read(NpgsqlDataReader reader, int at, EventTypes types, out int size)
    {
        var recorded = new Recorded
        {
            Position = reader.GetInt64(at),
            Id = reader.GetGuid(at + 1),
            Stream = reader.GetString(at + 2),
            Version = reader.GetInt64(at + 3),
            Type = reader.GetString(at + 4),
            At = reader.GetFieldValue<DateTimeOffset>(at + 5),
            Tenant = reader.GetString(at + 6),
            Actor = Text(reader, at + 7),
            CorrelationId = Text(reader, at + 8),
            CausationId = Text(reader, at + 9),
            Headers = Text(reader, at + 10),
            Data = null,
        };
        size = 0;
        if (types.Find(recorded.Type) is null) return new PageEvent(recorded, null);
        try
        {
            var data = reader.GetFieldValue<byte[]>(at + 11);
            size = data.Length;
            return new PageEvent(recorded with { Data = types.Read(recorded.Type, data, ShapeOf(recorded.Headers)) }, null);
        }
        // A converter or an upcast may throw anything; whatever it is, this event is poison and not the reader.
#pragma warning disable CA1031
        catch (Exception unreadable) when (unreadable is not NpgsqlException and not IOException)
#pragma warning restore CA1031
        {
            return new PageEvent(recorded, unreadable);
        }
    }

    /// <summary>The shape that an event was written in: the number <c>$v</c> of its headers, 1 where it is absent.</summary>
    private static int ShapeOf(string? headers)
    {
        if (headers is null || !headers.Contains("\"$v\"", StringComparison.Ordinal)) return 1;
        using var document = JsonDocument.Parse(headers);
        return document.RootElement.TryGetProperty("$v", out var shape) ? shape.GetInt32() : 1;
    }

    private static string? Text(NpgsqlDataReader reader, int i) => reader.IsDBNull(i) ? null : reader.GetString(i);
}
