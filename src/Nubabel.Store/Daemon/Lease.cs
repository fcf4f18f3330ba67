using System.Diagnostics;
using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>
/// Which projections this process may run: a session advisory lock for each, all on one direct connection. An optimisation only, so that two
/// processes do not do the same work; what keeps the tables right is the fence on the checkpoint.
/// </summary>
/// <param name="direct">Gives the connection that is held.</param>
/// <param name="node">The application name of that connection, which no other process has.</param>
/// <param name="runs">The progression names of all projections of this build.</param>
internal sealed class Leases(NpgsqlDataSource direct, string node, string[] runs) : IAsyncDisposable
{
    private readonly HashSet<string> held = [];
    private readonly Shares shares = new(node);
    private readonly Stopwatch clock = Stopwatch.StartNew();
    private NpgsqlConnection? connection;

    /// <summary>The lock's key of a progression name, as an SQL expression over the column or parameter that holds the name.</summary>
    internal static string Key(string name) => $"hashtextextended('nubabel:projection:' || {name}, 0)";

    /// <summary>How far the log was visible at the last heartbeat.</summary>
    public long HighestVisible { get; private set; }

    /// <summary>
    /// Proves that the connection lives, says that this node is there, gives up what another process waits for (a rebuild) or what others should have, takes
    /// its share of what is free, and returns what is held. Throws when the connection is gone; then nothing is held any more.
    /// </summary>
    public async Task<IReadOnlySet<string>> Renew(IReadOnlyCollection<string> wanted, CancellationToken ct)
    {
        try
        {
            connection ??= await direct.OpenConnectionAsync(ct);
            var (view, awaited, silent) = await Look(connection, wanted, ct);
            var now = clock.Elapsed;
            await Release(connection, [.. held.Where(n => awaited.Contains(n) || !wanted.Contains(n))], ct);
            await Release(connection, [.. shares.Give(view, held, now)], ct);
            if (silent.Count > 0) await End(connection, silent, ct);
            await Take(connection, [.. shares.Take(view, wanted, held.Count, now)], ct);
            return held.ToHashSet();
        }
        catch
        {
            await DisposeAsync();
            throw;
        }
    }

    /// <summary>Gives everything back and takes this node's name off the list.</summary>
    public async Task Leave()
    {
        try
        {
            if (connection is not null) await Nodes.Leave(connection, node, CancellationToken.None);
        }
        catch (NpgsqlException)
        {
            // Whoever cannot say good-bye is missed after a few seconds.
        }
        await DisposeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        held.Clear();
        if (connection is not { } gone) return;
        connection = null;
        await gone.DisposeAsync();
    }

    /// <summary>
    /// Says that this node is there and sees who else is and who has what, in one round trip. Also tells for which leases somebody stands in line (nodes only
    /// try; whoever waits means it), and which sessions hold leases for a node that has not been seen for a while.
    /// </summary>
    private async Task<(NodesView View, HashSet<string> Awaited, List<int> Silent)> Look(NpgsqlConnection on, IReadOnlyCollection<string> wanted, CancellationToken ct)
    {
        await using var batch = new NpgsqlBatch(on);
        Nodes.Announce(batch, node, runs, [.. wanted]);
        // Without a session it is not there, however lately it was seen: so a killed node is missed at once.
        batch.BatchCommands.Add(new NpgsqlBatchCommand($"""
            select n.name, n.takes from nubabel.nodes n where {Nodes.IsThere}
              and n.name = any (array(select a.application_name from pg_stat_activity a where a.datname = current_database()))
            """));
        batch.BatchCommands.Add(new NpgsqlBatchCommand($"""
            select p.name, max(a.application_name) filter (where l.granted), coalesce(bool_or(not l.granted), false),
              max(l.pid) filter (where l.granted and a.usename = current_user and exists (select from nubabel.nodes n where n.name = a.application_name and not {Nodes.IsThere}))
            from (select distinct unnest(n.progressions) from nubabel.nodes n where {Nodes.IsThere}) p (name)
            left join pg_locks l on l.locktype = 'advisory' and l.objsubid = 1
              and l.database = (select oid from pg_database where datname = current_database()) and (l.classid::bigint << 32 | l.objid::bigint) = {Key("p.name")}
            left join pg_stat_activity a on a.pid = l.pid
            group by p.name
            """));
        batch.BatchCommands.Add(new NpgsqlBatchCommand("select coalesce(max(seq_id), 0) from events.mt_events"));
        await using var reader = await batch.ExecuteReaderAsync(ct);
        // The first result is the setting's; what only writes has none.
        await reader.NextResultAsync(ct);
        var takes = new Dictionary<string, IReadOnlySet<string>>();
        while (await reader.ReadAsync(ct)) takes[reader.GetString(0)] = reader.GetFieldValue<string[]>(1).ToHashSet();
        await reader.NextResultAsync(ct);
        var owners = new Dictionary<string, string?>();
        var (awaited, silent) = (new HashSet<string>(), new List<int>());
        while (await reader.ReadAsync(ct))
        {
            owners[reader.GetString(0)] = reader.IsDBNull(1) ? null : reader.GetString(1);
            if (reader.GetBoolean(2)) awaited.Add(reader.GetString(0));
            if (!reader.IsDBNull(3)) silent.Add(reader.GetInt32(3));
        }
        await reader.NextResultAsync(ct);
        await reader.ReadAsync(ct);
        HighestVisible = reader.GetInt64(0);
        return (new NodesView(takes, owners), awaited, silent);
    }

    /// <summary>
    /// A process that stands still (stopped, or on a machine that sleeps) keeps its session, and so its leases, for as long as the network takes it for
    /// alive. Its session is ended; if it wakes up, the fence refuses its batch and its next heartbeat finds the connection gone.
    /// </summary>
    private static async Task End(NpgsqlConnection on, List<int> silent, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand("select pg_terminate_backend(p) from unnest($1::int[]) p", on);
        command.AddArray(silent.Distinct().ToArray(), NpgsqlDbType.Integer);
        await command.ExecuteNonQueryAsync(ct);
    }

    private async Task Take(NpgsqlConnection on, string[] names, CancellationToken ct)
    {
        if (names.Length == 0) return;
        await using var command = new NpgsqlCommand($"select n from unnest($1::varchar[]) n where pg_try_advisory_lock({Key("n")})", on);
        command.AddArray(names, NpgsqlDbType.Varchar);
        held.UnionWith(await Names(command, ct));
    }

    private async Task Release(NpgsqlConnection on, string[] names, CancellationToken ct)
    {
        if (names.Length == 0) return;
        // Forgotten before it is free: the other way round another process could own it while this one still believes.
        held.ExceptWith(names);
        await using var command = new NpgsqlCommand($"select n from unnest($1::varchar[]) n where pg_advisory_unlock({Key("n")})", on);
        command.AddArray(names, NpgsqlDbType.Varchar);
        await Names(command, ct);
    }

    private static async Task<List<string>> Names(NpgsqlCommand command, CancellationToken ct)
    {
        await using var reader = await command.ExecuteReaderAsync(ct);
        var names = new List<string>();
        while (await reader.ReadAsync(ct)) names.Add(reader.GetString(0));
        return names;
    }
}
