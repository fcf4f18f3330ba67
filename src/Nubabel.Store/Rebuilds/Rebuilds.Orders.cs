using System.Diagnostics;
using Npgsql;

namespace Nubabel.Store;

/// <summary>The part of rebuilds that takes orders: begin one, give one up.</summary>
public sealed partial class Rebuilds
{
    /// <summary>How often, and how long, it is looked whether who worked on a rebuild that was given up has gone.</summary>
    private static readonly TimeSpan Goodbye = TimeSpan.FromMilliseconds(50), LongestGoodbye = TimeSpan.FromSeconds(10);

    /// <summary>Orders a rebuild of this build's version. One that is held is published as it is, if it is forced now.</summary>
    /// <exception cref="RebuildRunning">One is under way.</exception>
    /// <exception cref="RebuildRefused">No read model has this name.</exception>
    public async Task<RebuildStatus> Order(string name, bool force, string? by, CancellationToken ct)
    {
        var projection = Find(name);
        await using (var command = daemon.CreateCommand("""
            insert into nubabel.rebuilds as r (progression, name, version, kind, state, forced, started_by)
            select $1, $2, $3, case when exists (select from events.mt_event_progression p where p.name = $1) then 'same' else 'version' end, 'running', $4, nullif($5, '')
            on conflict (progression) do update set kind = excluded.kind, state = 'running', forced = excluded.forced, started_by = excluded.started_by, started = clock_timestamp(),
              phase = case when r.state = 'held' and excluded.forced then r.phase else 'waiting' end, careful = r.state = 'held' and excluded.forced and r.careful,
              token = r.token + 1, node = null, ended = null, error = null, parked = 0, events = 0, done = 0, updated = clock_timestamp()
            where r.state <> 'running'
            """))
        {
            command.Add(projection.ProgressionName);
            command.Add(projection.ReadModel);
            command.Add(projection.Version);
            command.Add(force);
            command.Add(by ?? "");
            if (await command.ExecuteNonQueryAsync(ct) == 0) throw new RebuildRunning((await Status(name, ct))!);
        }
        ordered.Heard();
        return (await Status(name, ct))!;
    }

    /// <summary>Gives a rebuild up that is under way or held; false when there is none. What readers see is not touched.</summary>
    public async Task<bool> Cancel(string name, CancellationToken ct)
    {
        var projection = Find(name);
        await using var command = daemon.CreateCommand("""
            update nubabel.rebuilds set state = 'cancelled', token = token + 1, node = null, ended = clock_timestamp(), error = null, rate = 0, seconds_left = null
            where progression = $1 and state in ('running', 'held') returning token
            """);
        command.Add(projection.ProgressionName);
        if (await command.ExecuteScalarAsync(ct) is not long token) return false;
        await TakeAway(projection, token, ct);
        return true;
    }

    /// <summary>
    /// Drops the table of a rebuild that was given up. Whoever works on it holds the table and wants the row that says so; so it is let go first: it sees within a moment that
    /// the rebuild is no longer its own. From one that stands still the table is not taken: the next rebuild begins by dropping it.
    /// </summary>
    private async Task TakeAway(Projection projection, long token, CancellationToken ct)
    {
        await using var lease = await direct.OpenConnectionAsync(ct);
        for (var since = Stopwatch.GetTimestamp(); !await HasLease(lease, projection, ct);)
        {
            if (Stopwatch.GetElapsedTime(since) > LongestGoodbye) return;
            await Task.Delay(Goodbye, ct);
        }
        await using var transaction = await lease.BeginTransactionAsync(ct);
        await using (var command = new NpgsqlCommand("select true from nubabel.rebuilds where progression = $1 and token = $2 and state = 'cancelled' for update", lease))
        {
            command.Add(projection.ProgressionName);
            command.Add(token);
            // Ordered anew meanwhile.
            if (await command.ExecuteScalarAsync(ct) is null) return;
        }
        await new Beside(projection).Drop(lease, ct);
        await transaction.CommitAsync(ct);
    }
}
