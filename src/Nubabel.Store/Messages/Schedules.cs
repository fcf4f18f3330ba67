using Npgsql;

namespace Nubabel.Store;

/// <summary>A schedule as it stands.</summary>
/// <param name="Next">The next tick; null when there is none any more.</param>
/// <param name="Last">The last tick that was enqueued.</param>
public sealed record ScheduleStatus(string Tenant, string Name, string Cron, string Zone, MissedTicks Missed, string Queue, string Type, DateTimeOffset? Next, DateTimeOffset? Last, bool Paused);

/// <summary>
/// Recurring messages. A tick is enqueued and its schedule moved on in one transaction, under the schedule's lock; the tick's time is also in the message's
/// once-only id. So each tick comes once, however many processes look for it and wherever one of them is killed.
/// </summary>
public sealed class Schedules(NpgsqlDataSource daemon, Outbox outbox)
{
    /// <summary>A tick that is later than this was missed.</summary>
    public static readonly TimeSpan Tolerance = TimeSpan.FromMinutes(1);

    /// <summary>So many ticks of one schedule at a time; the rest of <see cref="MissedTicks.All"/> comes in the next rounds.</summary>
    private const int MostTicks = 100;

    private const int MostSchedules = 50;

    private readonly MessageTypes types = outbox.Types;

    /// <summary>Makes or changes a schedule. Its next tick stays what it was unless its times have changed, so a process may say it again at each start.</summary>
    /// <exception cref="FormatException">The cron expression is none.</exception>
    /// <exception cref="TimeZoneNotFoundException">There is no such zone.</exception>
    public async Task Set(Schedule schedule, CancellationToken ct)
    {
        var (cron, zone, type) = (Cron.Parse(schedule.Cron), TimeZoneInfo.FindSystemTimeZoneById(schedule.Zone), types.Of(schedule.Body));
        await using var connection = await daemon.OpenConnectionAsync(ct);
        var next = cron.Next(await Now(connection, ct), zone);
        await using var batch = new NpgsqlBatch(connection);
        batch.BatchCommands.Add(Sql.Of($"""
            insert into nubabel.schedules as s (tenant_id, name, cron, zone, missed, queue, type, body, key, actor, next)
            values ({schedule.Tenant}, {schedule.Name}, {schedule.Cron}, {schedule.Zone}, {Word(schedule.Missed)}, {type.Queue}, {type.Alias}, {types.Write(schedule.Body)}::jsonb, {schedule.Key}, {schedule.Actor}, {next?.UtcDateTime})
            on conflict (tenant_id, name) do update set cron = excluded.cron, zone = excluded.zone, missed = excluded.missed, queue = excluded.queue, type = excluded.type,
              body = excluded.body, key = excluded.key, actor = excluded.actor, next = case when s.cron = excluded.cron and s.zone = excluded.zone then s.next else excluded.next end
            """).ToBatchCommand());
        await batch.ExecuteNonQueryAsync(ct);
    }

    /// <summary>Ends a schedule. False when there is none of this name.</summary>
    public Task<bool> Remove(string tenant, string name, CancellationToken ct) =>
        Change(Sql.Of($"delete from nubabel.schedules where tenant_id = {tenant} and name = {name}"), ct);

    /// <summary>Lets no tick come until it is resumed; those of the time between are missed ticks.</summary>
    public Task<bool> Pause(string tenant, string name, bool paused, CancellationToken ct) =>
        Change(Sql.Of($"update nubabel.schedules set paused = {paused} where tenant_id = {tenant} and name = {name}"), ct);

    /// <summary>All schedules of all tenants, in the order of their next ticks.</summary>
    public async Task<IReadOnlyList<ScheduleStatus>> List(CancellationToken ct)
    {
        await using var command = daemon.CreateCommand("select tenant_id, name, cron, zone, missed, queue, type, next, last, paused from nubabel.schedules order by next nulls last, tenant_id, name");
        await using var reader = await command.ExecuteReaderAsync(ct);
        var all = new List<ScheduleStatus>();
        while (await reader.ReadAsync(ct))
            all.Add(new ScheduleStatus(reader.GetString(0), reader.GetString(1), reader.GetString(2), reader.GetString(3), Missed(reader.GetString(4)), reader.GetString(5), reader.GetString(6),
                Time(reader, 7), Time(reader, 8), reader.GetBoolean(9)));
        return all;
    }

    /// <summary>Enqueues the ticks whose time has come. True when there may be more.</summary>
    internal async Task<bool> Tick(CancellationToken ct)
    {
        await using var connection = await daemon.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        var due = await Due(connection, ct);
        if (due.Count == 0) return false;
        var now = await Now(connection, ct);
        await using var batch = new NpgsqlBatch(connection);
        var enqueued = new List<Outgoing>();
        var more = due.Count == MostSchedules;
        foreach (var row in due)
        {
            var (ticks, next) = TicksOf(row, now);
            more |= next <= now;
            enqueued.AddRange(ticks.Select(tick => MessageOf(row, tick)));
            var last = ticks.Count == 0 ? (DateTime?)null : ticks[^1].UtcDateTime;
            batch.BatchCommands.Add(Sql.Of($"""
                update nubabel.schedules set next = {next?.UtcDateTime}, last = coalesce({last}, last) where tenant_id = {row.Tenant} and name = {row.Name}
                """).ToBatchCommand());
        }
        if (enqueued.Count > 0) batch.BatchCommands.Add(outbox.Command(enqueued));
        await batch.ExecuteNonQueryAsync(ct);
        await transaction.CommitAsync(ct);
        outbox.Enqueued(enqueued.Select(m => m.Type.Queue).Distinct());
        return more;
    }

    /// <summary>Which ticks come now, and which is the next one after them.</summary>
    internal static (IReadOnlyList<DateTimeOffset> Ticks, DateTimeOffset? Next) TicksOf(Row row, DateTimeOffset now)
    {
        var (cron, zone) = (Cron.Parse(row.Cron), TimeZoneInfo.FindSystemTimeZoneById(row.Zone));
        if (row.Missed == MissedTicks.Skip && now - row.Next > Tolerance)
        {
            // Looked for from the edge of the tolerance on, not one by one through a long absence.
            var first = cron.Next(now - Tolerance, zone);
            return first is { } soon && soon <= now ? TicksOf(row with { Next = soon }, now) : ([], first);
        }
        var ticks = new List<DateTimeOffset>();
        DateTimeOffset? next = row.Next;
        while (next is { } tick && tick <= now)
        {
            if (row.Missed == MissedTicks.Once) ticks.Clear();
            ticks.Add(tick);
            next = cron.Next(tick, zone);
            if (row.Missed != MissedTicks.Once && ticks.Count == MostTicks) break;
        }
        return (ticks, next);
    }

    private Outgoing MessageOf(Row row, DateTimeOffset tick)
    {
        var time = tick.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ssZ", System.Globalization.CultureInfo.InvariantCulture);
        var message = new Message(row.Body) { Key = row.Key, Once = $"schedule {row.Name} {time}", Headers = new Dictionary<string, string> { ["schedule"] = row.Name, ["tick"] = time } };
        return new Outgoing(Guid.CreateVersion7(), types.Find(row.Type)!, row.Tenant, message, row.Body, row.Actor, null, $"schedule {row.Name}", System.Text.Json.JsonSerializer.Serialize(message.Headers));
    }

    private async Task<List<Row>> Due(NpgsqlConnection connection, CancellationToken ct)
    {
        // What this build cannot name is left to one that can.
        await using var batch = new NpgsqlBatch(connection);
        batch.BatchCommands.Add(Sql.Of($"""
            select tenant_id, name, cron, zone, missed, type, body::text, key, actor, next from nubabel.schedules
             where next <= clock_timestamp() and not paused and type = any({types.All.Select(t => t.Alias).ToArray()}) order by next limit {MostSchedules} for update skip locked
            """).ToBatchCommand());
        await using var reader = await batch.ExecuteReaderAsync(ct);
        var rows = new List<Row>();
        while (await reader.ReadAsync(ct))
            rows.Add(new Row(reader.GetString(0), reader.GetString(1), reader.GetString(2), reader.GetString(3), Missed(reader.GetString(4)), reader.GetString(5), reader.GetString(6),
                reader.IsDBNull(7) ? null : reader.GetString(7), reader.GetString(8), Time(reader, 9)!.Value));
        return rows;
    }

    private async Task<bool> Change(Sql sql, CancellationToken ct)
    {
        await using var batch = daemon.CreateBatch();
        batch.BatchCommands.Add(sql.ToBatchCommand());
        return await batch.ExecuteNonQueryAsync(ct) > 0;
    }

    private static async Task<DateTimeOffset> Now(NpgsqlConnection connection, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand("select clock_timestamp()", connection);
        return new DateTimeOffset((DateTime)(await command.ExecuteScalarAsync(ct))!, TimeSpan.Zero);
    }

    private static DateTimeOffset? Time(NpgsqlDataReader row, int column) => row.IsDBNull(column) ? null : new DateTimeOffset(row.GetDateTime(column), TimeSpan.Zero);

    private static string Word(MissedTicks missed) => missed switch { MissedTicks.Skip => "skip", MissedTicks.Once => "once", _ => "all" };

    private static MissedTicks Missed(string word) => word switch { "skip" => MissedTicks.Skip, "once" => MissedTicks.Once, _ => MissedTicks.All };

    internal sealed record Row(string Tenant, string Name, string Cron, string Zone, MissedTicks Missed, string Type, string Body, string? Key, string Actor, DateTimeOffset Next);
}
