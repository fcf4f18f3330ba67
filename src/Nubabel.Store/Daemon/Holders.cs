using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>What an operator needs to find the transactions that hold the mark: age, application name, and the name of prepared ones.</summary>
internal static class Holders
{
    /// <summary>Whoever has held the sequence for less is at work and in nobody's way.</summary>
    private static readonly TimeSpan Young = TimeSpan.FromSeconds(1);

    public static async Task<IReadOnlyList<Holder>> Details(NpgsqlConnection connection, IReadOnlyList<Holder> holders, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand("""
            select 'p' || a.pid, clock_timestamp() - a.xact_start, a.application_name, null from pg_stat_activity a where a.pid = any($1)
            union all
            select l.virtualtransaction, clock_timestamp() - min(x.prepared), null, string_agg(x.gid, ', ')
            from pg_prepared_xacts x join pg_locks l on l.locktype = 'transactionid' and l.transactionid = x.transaction and l.pid is null
            where x.database = current_database() group by l.virtualtransaction
            """, connection);
        command.AddArray(holders.Where(h => h.Pid is not null).Select(h => h.Pid!.Value).ToArray(), NpgsqlDbType.Integer);
        var known = new Dictionary<string, (TimeSpan? Age, string? Application, string? Gid)>();
        await using var reader = await command.ExecuteReaderAsync(ct);
        while (await reader.ReadAsync(ct))
            known[reader.GetString(0)] = (Span(reader, 1), Text(reader, 2), Text(reader, 3));
        return [.. holders.Select(h => known.TryGetValue(h.Pid is { } pid ? $"p{pid}" : h.VirtualTransaction, out var d)
            ? h with { Age = d.Age, ApplicationName = d.Application, Gid = d.Gid }
            : h)];

        static TimeSpan? Span(NpgsqlDataReader r, int i) => r.IsDBNull(i) ? null : r.GetFieldValue<TimeSpan>(i);
        static string? Text(NpgsqlDataReader r, int i) => r.IsDBNull(i) ? null : r.GetString(i);
    }

    /// <summary>
    /// Who seems to hold the stored mark, as a process sees it that does not prove the mark itself: whoever has had the sequence for a while, while the mark
    /// stands below what is visible. Null when nobody has.
    /// </summary>
    public static async Task<WaitingGap?> Seen(NpgsqlDataSource daemon, long mark, long highestVisible, CancellationToken ct)
    {
        if (mark >= highestVisible) return null;
        await using var connection = await daemon.OpenConnectionAsync(ct);
        var old = (await Details(connection, await SequenceLockRule.List(connection, ct), ct)).Where(h => h.Age >= Young).ToList();
        return old.Count == 0 ? null : new WaitingGap(mark + 1, highestVisible - 1, old.Max(h => h.Age!.Value), old);
    }
}
