using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>
/// Which projections this process may run: a session advisory lock for each, all on one direct connection. An optimisation only, so that two
/// processes do not do the same work; what keeps the tables right is the fence on the checkpoint.
/// </summary>
internal sealed class Leases(NpgsqlDataSource direct, string node, string[] announced) : IAsyncDisposable
{
    private readonly HashSet<string> held = [];
    private NpgsqlConnection? connection;

    /// <summary>The lock's key of a progression name, as an SQL expression over the column or parameter that holds the name.</summary>
    internal static string Key(string name) => $"hashtextextended('nubabel:projection:' || {name}, 0)";

    /// <summary>
    /// Proves that the connection lives, takes what is free, gives up what another process waits for (a rebuild), and returns what is held.
    /// Throws when the connection is gone; then nothing is held any more.
    /// </summary>
    public async Task<IReadOnlySet<string>> Renew(IReadOnlyCollection<string> wanted, CancellationToken ct)
    {
        try
        {
            connection ??= await direct.OpenConnectionAsync(ct);
            await Announce(connection, wanted, ct);
            var given = await Release(connection, await Awaited(connection, ct), ct);
            await Take(connection, [.. wanted.Where(n => !held.Contains(n) && !given.Contains(n))], ct);
            await Release(connection, [.. held.Where(n => !wanted.Contains(n))], ct);
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

    private async Task Announce(NpgsqlConnection on, IReadOnlyCollection<string> wanted, CancellationToken ct)
    {
        await using var batch = new NpgsqlBatch(on);
        Nodes.Announce(batch, node, announced, [.. wanted]);
        await batch.ExecuteNonQueryAsync(ct);
    }

    /// <summary>Held leases that somebody stands in line for. Nodes only try; whoever waits means it.</summary>
    private async Task<List<string>> Awaited(NpgsqlConnection on, CancellationToken ct)
    {
        if (held.Count == 0) return [];
        await using var command = new NpgsqlCommand($"""
            select n from unnest($1::varchar[]) n
            where exists (select from pg_locks l where l.locktype = 'advisory' and not l.granted and l.objsubid = 1
              and l.database = (select oid from pg_database where datname = current_database())
              and (l.classid::bigint << 32 | l.objid::bigint) = {Key("n")})
            """, on);
        command.AddArray(held.ToArray(), NpgsqlDbType.Varchar);
        return await Names(command, ct);
    }

    private async Task Take(NpgsqlConnection on, string[] names, CancellationToken ct)
    {
        if (names.Length == 0) return;
        await using var command = new NpgsqlCommand($"select n from unnest($1::varchar[]) n where pg_try_advisory_lock({Key("n")})", on);
        command.AddArray(names, NpgsqlDbType.Varchar);
        held.UnionWith(await Names(command, ct));
    }

    private async Task<List<string>> Release(NpgsqlConnection on, List<string> names, CancellationToken ct)
    {
        if (names.Count == 0) return names;
        // Forgotten before it is free: the other way round another process could own it while this one still believes.
        held.ExceptWith(names);
        await using var command = new NpgsqlCommand($"select n from unnest($1::varchar[]) n where pg_advisory_unlock({Key("n")})", on);
        command.AddArray(names.ToArray(), NpgsqlDbType.Varchar);
        await Names(command, ct);
        return names;
    }

    private static async Task<List<string>> Names(NpgsqlCommand command, CancellationToken ct)
    {
        await using var reader = await command.ExecuteReaderAsync(ct);
        var names = new List<string>();
        while (await reader.ReadAsync(ct)) names.Add(reader.GetString(0));
        return names;
    }
}
