using System.Text.Json;
using Npgsql;

namespace Nubabel.Store;

/// <summary>An event that was read; when its stored JSON does not fit its type, the error instead of the data.</summary>
internal readonly record struct PageEvent(Recorded Event, Exception? Unreadable);

/// <summary>Decodes rows of the log.</summary>
internal static class EventRow
{
    /// <summary>What <see cref="Read(NpgsqlDataReader, EventTypes, string, string)"/> expects first of a row. Whoever reads one stream knows its name, and the row is a quarter shorter without.</summary>
    public const string ColumnsOfStream = "e.seq_id, e.version, e.type, e.data, e.timestamp, e.id, e.user_name, e.correlation_id, e.causation_id, e.headers::text";

    /// <summary>What <see cref="Read(NpgsqlDataReader, EventTypes, out int)"/> expects first of a row.</summary>
    public const string Columns = $"{ColumnsOfStream}, e.tenant_id, e.stream_id";

    /// <summary>Reads one row of <see cref="Columns"/>.</summary>
    /// <param name="size">How long its JSON is; 0 where nobody here knows the alias.</param>
    // Both columns may be null in this layout. Nobody's tenant sees such a row; the daemon must get over it.
    public static PageEvent Read(NpgsqlDataReader row, EventTypes types, out int size) => Read(row, types, Text(row, 10) ?? Projection.PlatformTenant, Text(row, 11) ?? "", out size);

    /// <summary>Reads one row of <see cref="ColumnsOfStream"/>.</summary>
    public static PageEvent Read(NpgsqlDataReader row, EventTypes types, string tenant, string stream) => Read(row, types, tenant, stream, out _);

    /// <summary>A time as .NET can hold it: PostgreSQL's reach from 4713 BC to the year 294276, and another writer may use them.</summary>
    public static DateTimeOffset Time(NpgsqlDataReader row, int column)
    {
        try
        {
            return new DateTimeOffset(row.GetDateTime(column), TimeSpan.Zero);
        }
        catch (Exception outside) when (outside is InvalidCastException or ArgumentOutOfRangeException or OverflowException)
        {
            return DateTimeOffset.MinValue;
        }
    }

    /// <summary>The shape an event was written in: <c>$v</c> in its headers, 1 where it is absent.</summary>
    public static int Shape(string? headers)
    {
        if (headers is null || !headers.Contains("\"$v\"", StringComparison.Ordinal)) return 1;
        using var parsed = JsonDocument.Parse(headers);
        return parsed.RootElement.TryGetProperty("$v", out var shape) ? shape.GetInt32() : 1;
    }

    private static PageEvent Read(NpgsqlDataReader row, EventTypes types, string tenant, string stream, out int size)
    {
        var (alias, headers) = (row.GetString(2), Text(row, 9));
        var known = types.Find(alias);
        var json = known is null ? [] : row.GetFieldValue<byte[]>(3);
        size = json.Length;
        var (data, unreadable) = known is null ? default : Data(types, alias, json, headers);
        return new PageEvent(new Recorded
        {
            Position = row.GetInt64(0),
            Tenant = tenant,
            Stream = stream,
            Version = row.GetInt64(1),
            // One text for all events of a type.
            Type = known?.Alias ?? alias,
            Data = data,
            IsUnknown = known is null,
            At = Time(row, 4),
            Id = row.GetGuid(5),
            Actor = Text(row, 6),
            CorrelationId = Text(row, 7),
            CausationId = Text(row, 8),
            Headers = headers,
            Weight = new Weight(size, tenant.Length + stream.Length + (headers?.Length ?? 0)),
        }, unreadable);
    }

    private static (object? Data, Exception? Unreadable) Data(EventTypes types, string alias, byte[] json, string? headers)
    {
        // A converter or an upcast may throw anything; whatever it is, this event is poison and not the reader.
#pragma warning disable CA1031
        try
        {
            return (types.Read(alias, json, Shape(headers)), null);
        }
        catch (Exception unreadable)
        {
            return (null, unreadable);
        }
#pragma warning restore CA1031
    }

    private static string? Text(NpgsqlDataReader row, int column) => row.IsDBNull(column) ? null : row.GetString(column);
}
