using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>What a projection is doing.</summary>
public enum ProjectionState
{
    /// <summary>Some process follows the log with it.</summary>
    Running,

    /// <summary>It runs, and some of its keys wait behind an event that could not be folded.</summary>
    Parked,

    /// <summary>An operator has paused it.</summary>
    Paused,

    /// <summary>Nobody has its lease.</summary>
    Waiting,

    /// <summary>An event that it cannot get over.</summary>
    Stopped,

    /// <summary>Its batches fail and are tried again.</summary>
    Failing,
}

/// <summary>Who paused a projection, and why.</summary>
public sealed record Pause(DateTimeOffset Since, string? By, string? Reason);

/// <summary>How a projection stands.</summary>
/// <param name="Position">Its checkpoint: everything up to here is in its table.</param>
/// <param name="Lag">Positions between the checkpoint and the highest visible event.</param>
/// <param name="LagSeconds">The age of the oldest event that it has not seen; 0 when it has seen all.</param>
/// <param name="ParkedKeys">Keys that wait for an operator; of a projection that stops as a whole, 1 while it does.</param>
/// <param name="LastError">Why a key waits, why it stopped, or what its last batch failed with.</param>
/// <param name="Owner">The application name of the process that has the lease; null when nobody has.</param>
/// <param name="Paused">Set while it is paused, whatever else is wrong with it.</param>
public sealed record ProjectionStatus(string Name, int Version, ProjectionState State, long Position, long Lag, double LagSeconds, long ParkedKeys,
    string? LastError, string? Owner, Pause? Paused = null);

/// <summary>How the projections of this database stand.</summary>
/// <param name="Mark">The stored high-water mark.</param>
/// <param name="Waiting">The gap that the mark waits for.</param>
/// <param name="Alive">False when a loop of this process has died, hangs or fails; true where none runs.</param>
/// <param name="Errors">The last failures of this process's loops.</param>
/// <param name="Unknown">Events that were passed over because this build does not know their alias; null where they are not counted.</param>
public sealed record DaemonStatus(long Mark, long HighestVisible, WaitingGap? Waiting, bool Alive, IReadOnlyList<string> Errors, IReadOnlyList<ProjectionStatus> Projections,
    PassedOver? Unknown = null)
{
    /// <summary>The state as the database shows it, for a process without a daemon too.</summary>
    public static Task<DaemonStatus> Read(NpgsqlDataSource daemon, ProjectionSet projections, CancellationToken ct) => Again.Ask(() => ReadOnce(daemon, projections, ct));

    private static async Task<DaemonStatus> ReadOnce(NpgsqlDataSource daemon, ProjectionSet projections, CancellationToken ct)
    {
        var unknown = await UnknownAliases.Read(daemon, projections, ct);
        await using var connection = await daemon.OpenConnectionAsync(ct);
        await using var batch = new NpgsqlBatch(connection);
        var log = new NpgsqlBatchCommand("""
            select coalesce((select last_seq_id from events.mt_event_progression where name = $1), 0), coalesce((select max(seq_id) from events.mt_events), 0)
            """);
        log.Add(HighWater.ProgressionName);
        batch.BatchCommands.Add(log);
        var each = new NpgsqlBatchCommand($"""
            select n.name, coalesce(g.last_seq_id, 0),
              (select extract(epoch from clock_timestamp() - e.timestamp)::float8 from events.mt_events e where e.seq_id > coalesce(g.last_seq_id, 0) order by e.seq_id limit 1),
              (select count(*) from nubabel.parked p where p.name = n.name and p.version = n.version and {Parking.IsFailed} and {Parking.Counts("coalesce(g.last_seq_id, 0)")}),
              (select p.error from nubabel.parked p where p.name = n.name and p.version = n.version and {Parking.IsFailed} and {Parking.Counts("coalesce(g.last_seq_id, 0)")}
                order by p.seq_id desc limit 1),
              (select max(a.application_name) from pg_locks l join pg_stat_activity a on a.pid = l.pid
                where l.locktype = 'advisory' and l.granted and l.objsubid = 1 and l.database = (select oid from pg_database where datname = current_database())
                  and (l.classid::bigint << 32 | l.objid::bigint) = {Leases.Key("n.progression")}),
              o.since, o.by, o.reason
            from unnest($1::varchar[], $2::int[], $3::varchar[]) n (name, version, progression)
            left join events.mt_event_progression g on g.name = n.progression
            left join nubabel.paused o on o.progression = n.progression
            """);
        each.AddArray(projections.All.Select(p => p.Name).ToArray(), NpgsqlDbType.Varchar);
        each.AddArray(projections.All.Select(p => p.Version).ToArray(), NpgsqlDbType.Integer);
        each.AddArray(projections.All.Select(p => p.ProgressionName).ToArray(), NpgsqlDbType.Varchar);
        batch.BatchCommands.Add(each);

        await using var reader = await batch.ExecuteReaderAsync(ct);
        await reader.ReadAsync(ct);
        var (mark, highest) = (reader.GetInt64(0), reader.GetInt64(1));
        await reader.NextResultAsync(ct);
        var all = new List<ProjectionStatus>();
        while (await reader.ReadAsync(ct))
        {
            var (position, parked) = (reader.GetInt64(1), reader.GetInt64(3));
            var error = reader.IsDBNull(4) ? null : reader.GetString(4);
            var owner = reader.IsDBNull(5) ? null : reader.GetString(5);
            var projection = projections.Find(reader.GetString(0))!;
            var pause = reader.IsDBNull(6) ? null
                : new Pause(new DateTimeOffset(reader.GetDateTime(6), TimeSpan.Zero), reader.IsDBNull(7) ? null : reader.GetString(7), reader.IsDBNull(8) ? null : reader.GetString(8));
            var state = pause is not null ? ProjectionState.Paused
                : parked > 0 ? projection.StopsAsAWhole ? ProjectionState.Stopped : ProjectionState.Parked
                : owner is null ? ProjectionState.Waiting : ProjectionState.Running;
            all.Add(new ProjectionStatus(projection.Name, projection.Version, state, position,
                Math.Max(0, highest - position), reader.IsDBNull(2) ? 0 : Math.Max(0, reader.GetDouble(2)), parked, error, owner, pause));
        }
        return new DaemonStatus(mark, highest, null, true, [], all, unknown);
    }
}
