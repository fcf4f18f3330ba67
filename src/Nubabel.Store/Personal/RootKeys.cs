using Npgsql;

namespace Nubabel.Store;

/// <summary>Finds the root of a database, or makes it where there is none, and checks the master keys of the process by that.</summary>
public static class RootKeys
{
    /// <summary>Taken by whoever makes a root. Any constant will do.</summary>
    private const long Making = 5642166;

    /// <summary>The root, and in <paramref name="masters"/> which of them wraps.</summary>
    /// <exception cref="MasterKeyRefused">The database is another master key's, or keys are still wrapped by one that this process does not have.</exception>
    public static async Task<RootKey> Open(NpgsqlDataSource daemon, MasterKeys masters, CancellationToken ct)
    {
        await using var connection = await daemon.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        var (current, roots, stamp) = await Read(connection, masters, ct);
        if (current is null)
        {
            // Processes that come first at the same time agree on one.
            await Run(connection, ct, Sql.Of($"select pg_advisory_xact_lock({Making})"));
            (current, roots, stamp) = await Read(connection, masters, ct);
        }
        if (current is null)
        {
            current = stamp ?? masters.Configured.Fingerprint;
            var master = masters.Find(current) ?? throw Mismatch(current, masters);
            var root = master.Wrap(stamp is null ? RootKey.New() : master.ToRoot());
            roots = new Dictionary<string, byte[]> { [current] = root };
            await Run(connection, ct, Sql.Of($"insert into nubabel.master_keys (fingerprint, root) values ({current}, {root})"),
                Sql.Of($"update nubabel.key_watch set master = {current}"), Sql.Of($"insert into nubabel.stamps (name, value) values ('master-key', {current}) on conflict do nothing"));
        }
        await transaction.CommitAsync(ct);
        var wraps = masters.Find(current) ?? throw Mismatch(current, masters);
        if (roots.Keys.FirstOrDefault(r => masters.Find(r) is null) is { } needed)
            throw new MasterKeyRefused($"Keys of this database are still wrapped by the master key with the fingerprint {needed}. Keys__MasterPrevious must name it until nubabel master-key rotate has ended.");
        masters.Use(current);
        return wraps.Unwrap(roots[current]);
    }

    /// <summary>The root for a file that leaves the database, wrapped by the master key.</summary>
    public static string ForFile(MasterKeys masters, RootKey root) => Convert.ToBase64String(masters.Current.Wrap(root));

    /// <summary>
    /// Checks that what is derived in a file of events is derived here in the same way. A database that holds no events yet takes the file's root for its own.
    /// </summary>
    /// <param name="own">The root here.</param>
    /// <param name="write">Whether it may be taken over.</param>
    /// <exception cref="ImportRefused">The roots differ, and this one is in use.</exception>
    public static async Task Match(NpgsqlDataSource daemon, MasterKeys masters, RootKey own, EventFileHeader header, bool write, CancellationToken ct)
    {
        if (header.Master is null || masters.Find(header.Master) is not { } master) return;
        var theirs = header.Root is null ? master.ToRoot() : master.Unwrap(Convert.FromBase64String(header.Root));
        if (theirs.Fingerprint == own.Fingerprint) return;
        await using var look = daemon.CreateCommand($"""
            select exists (select from events.mt_events), exists (select from pg_locks l where l.locktype = 'advisory' and l.granted and l.objsubid = 2 and l.classid = {KeyRotation.Serving}
              and l.database = (select oid from pg_database where datname = current_database()))
            """);
        await using (var reader = await look.ExecuteReaderAsync(ct))
        {
            await reader.ReadAsync(ct);
            if (reader.GetBoolean(0))
                throw new ImportRefused($"The file comes from a database with another root secret (fingerprint {theirs.Fingerprint}, this one is {own.Fingerprint}), so its accounts could not be found here. It can go into a database that holds no events yet.");
            if (reader.GetBoolean(1)) throw new ImportRefused("The file brings its own root secret, and nodes serve this database with another one. Stop them, import, and start them again.");
        }
        if (!write) return;
        await using var adopt = daemon.CreateCommand("update nubabel.master_keys set root = $2 where fingerprint = $1");
        adopt.Add(masters.Fingerprint);
        adopt.Add(masters.Current.Wrap(theirs));
        await adopt.ExecuteNonQueryAsync(ct);
    }

    /// <summary>Whether keys are wrapped by more than one master key.</summary>
    public static async Task<bool> AreExchanged(NpgsqlDataSource daemon, CancellationToken ct)
    {
        await using var command = daemon.CreateCommand("select count(*) > 1 from nubabel.master_keys");
        return await command.ExecuteScalarAsync(ct) is true;
    }

    private static MasterKeyRefused Mismatch(string stamped, MasterKeys masters) =>
        new($"This database was written with another master key (fingerprint {stamped}, this one is {masters.Configured.Fingerprint}). Without that key its secrets cannot be read. Is it one that was exchanged since, as after a restore, Keys__MasterPrevious takes it.");

    private static async Task<(string? Current, Dictionary<string, byte[]> Roots, string? Stamp)> Read(NpgsqlConnection connection, MasterKeys masters, CancellationToken ct)
    {
        await using var batch = connection.CreateBatch();
        batch.BatchCommands.Add(new("select (select master from nubabel.key_watch), (select value from nubabel.stamps where name = 'master-key')"));
        batch.BatchCommands.Add(new("select fingerprint, root from nubabel.master_keys"));
        await using var reader = await batch.ExecuteReaderAsync(ct);
        await reader.ReadAsync(ct);
        var (current, stamp) = (reader.IsDBNull(0) ? null : reader.GetString(0), reader.IsDBNull(1) ? null : reader.GetString(1));
        await reader.NextResultAsync(ct);
        var roots = new Dictionary<string, byte[]>();
        while (await reader.ReadAsync(ct)) roots[reader.GetString(0)] = reader.GetFieldValue<byte[]>(1);
        return (current, roots, stamp);
    }

    private static async Task Run(NpgsqlConnection connection, CancellationToken ct, params Sql[] statements)
    {
        await using var batch = connection.CreateBatch();
        foreach (var statement in statements) batch.BatchCommands.Add(statement.ToBatchCommand());
        await batch.ExecuteNonQueryAsync(ct);
    }
}
