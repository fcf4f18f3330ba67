using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>How a queue stands, over all tenants and processes.</summary>
/// <param name="Messages">That are not done: ready, in hand, waiting or parked.</param>
/// <param name="Deferred">For later.</param>
/// <param name="InHand">Lanes in some worker's hand.</param>
/// <param name="Waiting">Lanes that wait after a failure.</param>
/// <param name="Parked">Keys that wait behind a dead letter.</param>
/// <param name="Stalled">Lanes that have been in one hand for longer than the time limit: a handler that does not notice its cancellation, or a process that hangs.</param>
/// <param name="DeadLetters">That nobody has dealt with.</param>
/// <param name="OldestSeconds">How long ago the oldest message was enqueued.</param>
/// <param name="Workers">Processes that work on it.</param>
public sealed record QueueStatus(string Queue, long Messages, long Deferred, long InHand, long Waiting, long Parked, long Stalled, long DeadLetters, double OldestSeconds, long Workers)
{
    /// <summary>A time limit may be overrun by what it takes to notice it.</summary>
    private static readonly TimeSpan Leeway = TimeSpan.FromSeconds(15);

    /// <summary>Reads the state of all queues. It counts, so it is for people and for meters that ask now and then.</summary>
    public static async Task<IReadOnlyList<QueueStatus>> Read(NpgsqlDataSource daemon, MessageTypes types, CancellationToken ct)
    {
        var queues = types.Queues.OrderBy(q => q.Name, StringComparer.Ordinal).ToArray();
        await using var command = daemon.CreateCommand("""
            select q.name,
                   (select count(*) from nubabel.messages m where m.queue = q.name),
                   (select count(*) from nubabel.deferred_messages d where d.queue = q.name),
                   l.in_hand, l.waiting, l.parked, l.stalled,
                   (select count(*) from nubabel.dead_letters d where d.queue = q.name and d.state = 'dead'),
                   coalesce(extract(epoch from clock_timestamp() - (select min(m.enqueued) from nubabel.messages m where m.queue = q.name)), 0)::double precision,
                   (select count(*) from nubabel.workers w where w.queue = q.name)
              from unnest($1::varchar[], $2::interval[]) q (name, most),
                   lateral (select count(*) filter (where x.worker is not null) as in_hand, count(*) filter (where x.until is not null) as waiting, count(*) filter (where x.letter is not null) as parked,
                                   count(*) filter (where x.worker is not null and x.since < clock_timestamp() - q.most) as stalled
                              from nubabel.lanes x where x.queue = q.name) l
             order by q.name
            """);
        command.AddArray(queues.Select(q => q.Name).ToArray(), NpgsqlDbType.Varchar);
        command.AddArray(queues.Select(q => q.TimeLimit + q.Turn + Leeway).ToArray(), NpgsqlDbType.Interval);
        await using var reader = await command.ExecuteReaderAsync(ct);
        var all = new List<QueueStatus>();
        while (await reader.ReadAsync(ct))
            all.Add(new QueueStatus(reader.GetString(0), reader.GetInt64(1), reader.GetInt64(2), reader.GetInt64(3), reader.GetInt64(4), reader.GetInt64(5), reader.GetInt64(6), reader.GetInt64(7),
                Math.Max(0, reader.GetDouble(8)), reader.GetInt64(9)));
        return all;
    }
}
