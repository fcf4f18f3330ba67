using System.Globalization;
using Npgsql;

namespace Nubabel.Store;

/// <summary>
/// Reads the log as it is stored, in order, page by page: each page is one <c>COPY … TO STDOUT</c> of some thousand rows that is read to its end before anybody
/// works on it. So no snapshot is held while somebody else is slow, and memory is bounded by a page.
/// </summary>
internal sealed class LogPages(NpgsqlDataSource daemon, string? tenant)
{
    private const int MostRows = 5_000;

    /// <summary>A page ends early rather than hold more than this of JSON, in characters.</summary>
    private const long MostText = 8 << 20;

    /// <summary>How far one page looks for a tenant's events: without a bound a small tenant would have the whole log read in one statement.</summary>
    private const long LongestLook = 200_000;

    private static readonly TimeSpan LongestWaitForMark = TimeSpan.FromSeconds(2);
    private int limit = 1_000;

    /// <summary>The last position of a selection: the mark at most, which waits a moment for gaps that are about to be settled.</summary>
    public static async Task<long> Last(NpgsqlDataSource daemon, LogSelection selection, CancellationToken ct)
    {
        var water = new HighWater(daemon);
        var began = TimeProvider.System.GetTimestamp();
        var mark = await water.Advance(ct);
        // What was visible at the beginning is wanted; behind it there is always somebody at work.
        var wanted = Math.Min(water.Status.HighestVisible, selection.To.Position ?? long.MaxValue);
        while (mark < wanted && TimeProvider.System.GetElapsedTime(began) < LongestWaitForMark)
        {
            await Task.Delay(10, ct);
            mark = await water.Advance(ct);
        }
        var last = Math.Min(mark, selection.To.Position ?? long.MaxValue);
        return selection.To.At is { } at ? await BeforeTheFirstYounger(daemon, selection, at, last, ct) : last;
    }

    /// <summary>The next page behind a position, and the position up to which it covers the log.</summary>
    public async Task<(IReadOnlyList<LoggedEvent> Events, long To)> Next(long after, long last, CancellationToken ct)
    {
        var upTo = tenant is null ? last : Math.Min(last, after + LongestLook);
        var events = new List<LoggedEvent>();
        long text = 0;
        await using var connection = await daemon.OpenConnectionAsync(ct);
        await using (var rows = await connection.BeginBinaryExportAsync(Copy(after, upTo), ct))
        {
            while (await rows.StartRowAsync(ct) >= 0)
            {
                events.Add(await Read(rows, ct));
                text += events[^1].Data.Length + (events[^1].Headers?.Length ?? 0);
                if (text < MostText) continue;
                await rows.CancelAsync();
                break;
            }
        }
        var full = events.Count >= limit || text >= MostText;
        // The next page is as long as this one says that events are short.
        if (events.Count > 0) limit = (int)Math.Clamp(MostText / 2 / Math.Max(1, text / events.Count), 1, MostRows);
        if (full) return (events, events[^1].Position);
        if (events.Count > 0 || upTo == last) return (events, upTo);
        // Nothing of the tenant here; where there is nothing of anybody's, the numbers were never used, and there may be any number of them.
        return (events, await FirstBehind(connection, upTo, ct) is { } next ? Math.Min(last, next - 1) : last);
    }

    private string Copy(long after, long upTo)
    {
        var own = tenant is null ? "" : $"and x.tenant_id = '{tenant.Replace("'", "''", StringComparison.Ordinal)}'";
        return string.Create(CultureInfo.InvariantCulture, $"""
            copy (
              select e.seq_id, e.id, e.tenant_id, e.stream_id, (select s.type from events.mt_streams s where s.tenant_id = e.tenant_id and s.id = e.stream_id), e.version, e.type, e.timestamp,
                     e.mt_dotnet_type, e.correlation_id, e.causation_id, e.headers::text, e.user_name, coalesce(e.is_archived, false), e.bdata, e.data::text
                from (select * from events.mt_events x where x.seq_id > {after} and x.seq_id <= {upTo} {own} order by x.seq_id limit {limit}) e order by e.seq_id
            ) to stdout (format binary)
            """);
    }

    private static async Task<LoggedEvent> Read(NpgsqlBinaryExporter row, CancellationToken ct) => new()
    {
        Position = await row.ReadAsync<long>(ct),
        Id = await row.ReadAsync<Guid>(ct),
        // Both may be null in this layout.
        Tenant = await Text(row, ct) ?? Projection.PlatformTenant,
        Stream = await Text(row, ct) ?? "",
        Kind = await Text(row, ct),
        Version = await row.ReadAsync<long>(ct),
        Type = await row.ReadAsync<string>(ct),
        At = await row.ReadAsync<DateTime>(NpgsqlTypes.NpgsqlDbType.TimestampTz, ct),
        DotNetType = await Text(row, ct),
        CorrelationId = await Text(row, ct),
        CausationId = await Text(row, ct),
        Headers = await Text(row, ct),
        Actor = await Text(row, ct),
        Archived = await row.ReadAsync<bool>(ct),
        Binary = await Bytes(row, ct),
        Data = await row.ReadAsync<string>(ct),
    };

    private static async ValueTask<string?> Text(NpgsqlBinaryExporter row, CancellationToken ct)
    {
        if (!row.IsNull) return await row.ReadAsync<string>(ct);
        await row.SkipAsync(ct);
        return null;
    }

    private static async ValueTask<byte[]?> Bytes(NpgsqlBinaryExporter row, CancellationToken ct)
    {
        if (!row.IsNull) return await row.ReadAsync<byte[]>(ct);
        await row.SkipAsync(ct);
        return null;
    }

    private static async Task<long?> FirstBehind(NpgsqlConnection connection, long position, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand("select min(seq_id) from events.mt_events where seq_id > $1", connection);
        command.Add(position);
        return await command.ExecuteScalarAsync(ct) is long first ? first : null;
    }

    /// <summary>Clocks of nodes differ, so positions and times are not in the same order; what is taken ends before the first event that is too young.</summary>
    private static async Task<long> BeforeTheFirstYounger(NpgsqlDataSource daemon, LogSelection selection, DateTimeOffset at, long last, CancellationToken ct)
    {
        for (var after = selection.From - 1; ;)
        {
            await using var command = daemon.CreateCommand("""
                select min(x.seq_id) filter (where x.timestamp > $3 and ($4 is null or x.tenant_id = $4)), max(x.seq_id)
                  from (select seq_id, timestamp, tenant_id from events.mt_events where seq_id > $1 and seq_id <= $2 order by seq_id limit 200000) x
                """);
            command.Add(after);
            command.Add(last);
            command.Add(at.UtcDateTime);
            command.Parameters.Add(new NpgsqlParameter { Value = (object?)selection.Tenant ?? DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Varchar });
            await using var reader = await command.ExecuteReaderAsync(ct);
            await reader.ReadAsync(ct);
            if (!reader.IsDBNull(0)) return reader.GetInt64(0) - 1;
            if (reader.IsDBNull(1)) return last;
            after = reader.GetInt64(1);
        }
    }
}
