using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>A process with a daemon.</summary>
/// <param name="Name">The application name of its direct connections.</param>
/// <param name="Started">When its daemon began.</param>
/// <param name="Seen">Its last heartbeat, by the database's clock as all of this.</param>
/// <param name="SilentSeconds">Since then.</param>
/// <param name="Alive">Whether it counts as there. One that stopped in order is not on the list; one that was killed stays on it for an hour.</param>
/// <param name="Owns">The read models it has the leases of, by progression name.</param>
/// <param name="Runs">All that its build knows.</param>
public sealed record NodeStatus(string Name, DateTimeOffset Started, DateTimeOffset Seen, double SilentSeconds, bool Alive, IReadOnlyList<string> Owns, IReadOnlyList<string> Runs);

/// <summary>
/// The table of the processes that run a daemon. Only the database's clock counts: those of the nodes may be off by minutes.
/// </summary>
public static class Nodes
{
    /// <summary>A node counts as there for this long after its last heartbeat. As an SQL condition over the row <c>n</c>.</summary>
    internal const string IsThere = "n.seen > clock_timestamp() - interval '5 seconds'";

    /// <summary>The row of a node that was killed is kept this long, for whoever looks what has become of it.</summary>
    private const string Remembered = "interval '1 hour'";

    private static int inThisProcess;

    /// <summary>How this process names its connections to an operator. Some digits are random: two containers may have one host name and process id 1 both.</summary>
    internal static string Process { get; } =
        $"nubabel {(Environment.MachineName.Length > 36 ? Environment.MachineName[..36] : Environment.MachineName)}:{Environment.ProcessId}-{Random.Shared.Next(0x10000):x4}";

    /// <summary>A name that no other daemon has, of this process either.</summary>
    internal static string NewName() => Interlocked.Increment(ref inThisProcess) is > 1 and var number ? $"{Process}.{number}" : Process;

    /// <summary>All nodes, those that are there first.</summary>
    public static Task<IReadOnlyList<NodeStatus>> Read(NpgsqlDataSource daemon, CancellationToken ct) => Again.Ask<IReadOnlyList<NodeStatus>>(async () =>
    {
        await using var command = daemon.CreateCommand($"""
            select n.name, n.started, n.seen, extract(epoch from clock_timestamp() - n.seen)::float8, {IsThere},
              array(select p from unnest(n.progressions) p where exists (select from pg_locks l join pg_stat_activity a on a.pid = l.pid
                where l.locktype = 'advisory' and l.granted and l.objsubid = 1 and a.application_name = n.name
                  and l.database = (select oid from pg_database where datname = current_database())
                  and (l.classid::bigint << 32 | l.objid::bigint) = {Leases.Key("p")}) order by p),
              array(select p from unnest(n.progressions) p order by p)
            from nubabel.nodes n order by {IsThere} desc, n.name
            """);
        await using var reader = await command.ExecuteReaderAsync(ct);
        var all = new List<NodeStatus>();
        while (await reader.ReadAsync(ct))
            all.Add(new NodeStatus(reader.GetString(0), reader.GetFieldValue<DateTimeOffset>(1), reader.GetFieldValue<DateTimeOffset>(2), Math.Max(0, Math.Round(reader.GetDouble(3), 3)),
                reader.GetBoolean(4), reader.GetFieldValue<string[]>(5), reader.GetFieldValue<string[]>(6)));
        return all;
    });

    /// <summary>Adds to the batch that this node is there and what its build runs, and forgets nodes that have long been gone.</summary>
    internal static void Announce(NpgsqlBatch batch, string name, string[] progressions, string[] takes)
    {
        // Not waited for on disk: the next heartbeat says it again.
        batch.BatchCommands.Add(new NpgsqlBatchCommand("select set_config('synchronous_commit', 'off', true)"));
        var announce = new NpgsqlBatchCommand("""
            insert into nubabel.nodes as n (name, progressions, takes) values ($1, $2, $3)
            on conflict (name) do update set seen = excluded.seen, progressions = excluded.progressions, takes = excluded.takes
            """);
        announce.Add(name);
        announce.AddArray(progressions, NpgsqlDbType.Varchar);
        announce.AddArray(takes, NpgsqlDbType.Varchar);
        batch.BatchCommands.Add(announce);
        batch.BatchCommands.Add(new NpgsqlBatchCommand($"delete from nubabel.nodes where seen < clock_timestamp() - {Remembered}"));
    }

    /// <summary>This node stops in order: nobody needs to wonder where it is.</summary>
    internal static async Task Leave(NpgsqlConnection connection, string name, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand("delete from nubabel.nodes where name = $1", connection);
        command.Add(name);
        await command.ExecuteNonQueryAsync(ct);
    }
}
