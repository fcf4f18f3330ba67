using System.Security.Cryptography;
using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>How many keys of a kind are wrapped by which master key.</summary>
/// <param name="Kind">The table.</param>
/// <param name="Wrapped">By the fingerprint of the master key; what was wrapped before fingerprints were written counts as <c>unmarked</c>.</param>
public sealed record WrappedKeys(string Kind, IReadOnlyDictionary<string, long> Wrapped);

/// <summary>Where the exchange of master keys stands.</summary>
/// <param name="Current">The fingerprint of the key that wraps what is written now.</param>
/// <param name="Needed">All that something is still wrapped by.</param>
/// <param name="Without">The nodes that do not have the key of this process's configuration.</param>
public sealed record RotationStatus(string? Current, IReadOnlyList<string> Needed, IReadOnlyList<WrappedKeys> Keys, IReadOnlyList<string> Without)
{
    public bool IsUnderWay => Needed.Count > 1;
}

/// <summary>What a rotation did.</summary>
/// <param name="Unreadable">Keys that neither master key opens; they are left as they are.</param>
public sealed record RotationResult(long Rewrapped, IReadOnlyList<string> Unreadable);

/// <summary>
/// Exchanges the master key while nodes serve: from one moment on everything is wrapped by the new key, then what the old one wraps is wrapped anew, batch by batch,
/// and at last the old key is not needed any more. What is already done can be seen from each key, so whoever was killed just begins again.
/// </summary>
/// <param name="daemon">The daemon login's.</param>
/// <param name="masters">The new key as the configured one, the old as the previous.</param>
public sealed class KeyRotation(NpgsqlDataSource daemon, MasterKeys masters)
{
    /// <summary>Shared by who writes a wrapped key; <c>nubabel.wraps</c> names it.</summary>
    private const long Writing = 5642164;

    /// <summary>Held by who rotates.</summary>
    private const long Rotating = 5642167;

    /// <summary>The advisory locks by which nodes say that they serve, and which master keys they have.</summary>
    internal const int Serving = 5642165;

    private const int AtOnce = 500;

    private static readonly Kind[] Kinds =
    [
        new("nubabel.subject_keys", "subject-key", ["tenant_id", "subject"]),
        new("nubabel.signing_keys", "signing-key", ["kid"]),
        new("nubabel.audit_keys", "audit-key", ["kid"]),
    ];

    /// <summary>The number of the lock by which a node says that it has a master key.</summary>
    internal static int LockOf(string fingerprint) => Convert.ToInt32(fingerprint[..7], 16) + 1;

    /// <summary>Goes on until nothing is wrapped by another key than the configured one.</summary>
    /// <param name="progress">Told how many are done, and how many there are.</param>
    /// <exception cref="MasterKeyRefused">It may not begin, or somebody else does it at this moment.</exception>
    public async Task<RotationResult> Run(Action<long, long> progress, CancellationToken ct)
    {
        await using var connection = await daemon.OpenConnectionAsync(ct);
        await using (var alone = new NpgsqlCommand($"select pg_try_advisory_lock({Rotating})", connection))
            if (await alone.ExecuteScalarAsync(ct) is not true) throw new MasterKeyRefused("Another process rotates the master key at this moment.");
        try
        {
            return await Run(connection, progress, ct);
        }
        finally
        {
            await using var unlock = new NpgsqlCommand($"select pg_advisory_unlock({Rotating})", connection);
            // A connection that is broken has let go by itself.
            if (connection.State == System.Data.ConnectionState.Open) await unlock.ExecuteNonQueryAsync(CancellationToken.None);
        }
    }

    private async Task<RotationResult> Run(NpgsqlConnection connection, Action<long, long> progress, CancellationToken ct)
    {
        await Begin(connection, ct);
        var total = (await Count(connection, ct)).Sum(k => k.Wrapped.Values.Sum());
        long done = 0;
        var unreadable = new List<string>();
        progress(0, total);
        foreach (var kind in Kinds)
        {
            for (string[] after = [.. kind.Key.Select(_ => "")]; ;)
            {
                var (found, last, rewrapped) = await Batch(connection, kind, after, unreadable, ct);
                progress(done += rewrapped, total);
                if (found < AtOnce) break;
                after = last;
            }
        }
        // No node writes under the old key any more, and nothing is left under it.
        await using var end = new NpgsqlCommand("delete from nubabel.master_keys where fingerprint <> $1", connection);
        end.Add(masters.Configured.Fingerprint);
        await end.ExecuteNonQueryAsync(ct);
        progress(total, total);
        return new RotationResult(done, unreadable);
    }

    /// <summary>Where it stands.</summary>
    public async Task<RotationStatus> Status(CancellationToken ct)
    {
        await using var connection = await daemon.OpenConnectionAsync(ct);
        await using var command = new NpgsqlCommand("select (select master from nubabel.key_watch), array(select fingerprint from nubabel.master_keys order by created)", connection);
        string? current;
        string[] needed;
        await using (var reader = await command.ExecuteReaderAsync(ct))
        {
            await reader.ReadAsync(ct);
            (current, needed) = (reader.IsDBNull(0) ? null : reader.GetString(0), reader.GetFieldValue<string[]>(1));
        }
        return new RotationStatus(current, needed, await Count(connection, ct), await Without(connection, masters.Configured.Fingerprint, ct));
    }

    /// <summary>From here on the new key wraps.</summary>
    private async Task Begin(NpgsqlConnection connection, CancellationToken ct)
    {
        var wanted = masters.Configured;
        await using (var ask = new NpgsqlCommand("select master from nubabel.key_watch", connection)) masters.Use(await ask.ExecuteScalarAsync(ct) as string);
        if (masters.Unknown is { } unknown)
            throw new MasterKeyRefused($"The database is at the master key with the fingerprint {unknown}. Keys__MasterPrevious must name it, and Keys__Master the one that is to come.");
        if (masters.Fingerprint != wanted.Fingerprint)
        {
            if (await Without(connection, wanted.Fingerprint, ct) is { Count: > 0 } without)
                throw new MasterKeyRefused($"These nodes do not have the new key yet (fingerprint {wanted.Fingerprint}); start them again with Keys__Master and Keys__MasterPrevious: {string.Join(", ", without)}.");
            await using var transaction = await connection.BeginTransactionAsync(ct);
            await using var read = new NpgsqlCommand("select root from nubabel.master_keys where fingerprint = $1", connection);
            read.Add(masters.Fingerprint);
            var root = masters.Current.Unwrap((byte[])(await read.ExecuteScalarAsync(ct))!);
            await using var change = connection.CreateBatch();
            foreach (var sql in new[]
            {
                Sql.Of($"insert into nubabel.master_keys (fingerprint, root) values ({wanted.Fingerprint}, {wanted.Wrap(root)}) on conflict do nothing"),
                Sql.Of($"update nubabel.key_watch set master = {wanted.Fingerprint}"),
                Sql.Of($"update nubabel.stamps set value = {wanted.Fingerprint} where name = 'master-key'"),
            }) change.BatchCommands.Add(sql.ToBatchCommand());
            await change.ExecuteNonQueryAsync(ct);
            await transaction.CommitAsync(ct);
            masters.Use(wanted.Fingerprint);
        }
        // Whoever had looked before that, and writes a key under the old one, is waited for; who looks from now on sees the new one.
        await using var wait = new NpgsqlCommand($"select pg_advisory_xact_lock({Writing})", connection) { CommandTimeout = 60 };
        await wait.ExecuteNonQueryAsync(ct);
    }

    private async Task<(int Found, string[] Last, int Rewrapped)> Batch(NpgsqlConnection connection, Kind kind, string[] after, List<string> unreadable, CancellationToken ct)
    {
        var columns = string.Join(", ", kind.Key);
        await using var select = new NpgsqlCommand($"""
            select wrapped, {columns} from {kind.Table}
             where ({columns}) > ({string.Join(", ", kind.Key.Select((_, i) => $"${i + 3}"))}) and wrapped is not null and substring(wrapped from 1 for 8) <> $1
             order by {columns} limit $2
            """, connection);
        select.Add(masters.Configured.FingerprintBytes);
        select.Add(AtOnce);
        foreach (var part in after) select.Add(part);
        var rows = new List<(string[] Key, byte[] Was, byte[] Becomes)>();
        var (found, last) = (0, after);
        await using (var reader = await select.ExecuteReaderAsync(ct))
        {
            for (; await reader.ReadAsync(ct); found++)
            {
                last = [.. kind.Key.Select((_, i) => reader.GetString(i + 1))];
                var (was, context) = (reader.GetFieldValue<byte[]>(0), string.Join('|', last));
                try
                {
                    rows.Add((last, was, masters.Wrap(kind.Use, context, masters.Unwrap(kind.Use, context, was))));
                }
                catch (CryptographicException)
                {
                    unreadable.Add($"{kind.Table} {context}");
                }
            }
        }
        // A key that was destroyed meanwhile is not there to be written any more.
        await using var update = new NpgsqlCommand($"""
            update {kind.Table} k set wrapped = u.becomes
              from unnest($1, $2, {string.Join(", ", kind.Key.Select((_, i) => $"${i + 3}"))}) u (was, becomes, {columns})
             where {string.Join(" and ", kind.Key.Select(c => $"k.{c} = u.{c}"))} and k.wrapped = u.was
            """, connection);
        update.AddArray(rows.Select(r => r.Was).ToArray(), NpgsqlDbType.Bytea);
        update.AddArray(rows.Select(r => r.Becomes).ToArray(), NpgsqlDbType.Bytea);
        for (var i = 0; i < kind.Key.Length; i++) update.AddArray(rows.Select(r => r.Key[i]).ToArray(), NpgsqlDbType.Varchar);
        return (found, last, rows.Count == 0 ? 0 : await update.ExecuteNonQueryAsync(ct));
    }

    private static async Task<IReadOnlyList<WrappedKeys>> Count(NpgsqlConnection connection, CancellationToken ct)
    {
        var all = new List<WrappedKeys>();
        foreach (var kind in Kinds)
        {
            await using var command = new NpgsqlCommand($"""
                select coalesce(m.fingerprint, 'unmarked'), count(*) from {kind.Table} k
                  left join nubabel.master_keys m on m.fingerprint = encode(substring(k.wrapped from 1 for 8), 'hex') where k.wrapped is not null group by 1
                """, connection) { CommandTimeout = 600 };
            var counts = new Dictionary<string, long>();
            await using var reader = await command.ExecuteReaderAsync(ct);
            while (await reader.ReadAsync(ct)) counts[reader.GetString(0)] = reader.GetInt64(1);
            all.Add(new WrappedKeys(kind.Table, counts));
        }
        return all;
    }

    /// <summary>The nodes that watch here and do not have a key.</summary>
    private static async Task<IReadOnlyList<string>> Without(NpgsqlConnection connection, string fingerprint, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand($"""
            select a.application_name from pg_locks l join pg_stat_activity a on a.pid = l.pid
             where l.locktype = 'advisory' and l.granted and l.objsubid = 2 and l.classid = {Serving} and l.objid = 0 and l.database = (select oid from pg_database where datname = current_database())
               and not exists (select from pg_locks h where h.pid = l.pid and h.locktype = 'advisory' and h.objsubid = 2 and h.classid = l.classid and h.objid = {LockOf(fingerprint)} and h.database = l.database)
             order by 1
            """, connection);
        var nodes = new List<string>();
        await using var reader = await command.ExecuteReaderAsync(ct);
        while (await reader.ReadAsync(ct)) nodes.Add(reader.GetString(0));
        return nodes;
    }

    private sealed record Kind(string Table, string Use, string[] Key);
}
