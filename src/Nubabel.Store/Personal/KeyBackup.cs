using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>What a backup of keys holds.</summary>
/// <param name="Keys">Keys that open something.</param>
/// <param name="Destroyed">Subjects whose keys were destroyed by then.</param>
public sealed record KeyBackupResult(long Keys, long Destroyed);

/// <summary>What became of the keys of a backup.</summary>
/// <param name="Written">Keys that were not here.</param>
/// <param name="There">The same key was here.</param>
/// <param name="StayDestroyed">The backup has a key for them, and it was destroyed here since: it does not come back.</param>
/// <param name="Destroyed">They were destroyed when the backup was made, and are now here too.</param>
/// <param name="Others">They have another key here, which stays.</param>
public sealed record KeyRestoreResult(long Written, long There, long StayDestroyed, long Destroyed, IReadOnlyList<string> Others);

/// <summary>
/// Subject keys in files of their own, apart from the data: what was erased is dead in every backup of the data as soon as the last file of keys from before is gone,
/// so these files are kept for a short time only. Inside a file keys are sealed by the master key or by a key that is given.
/// </summary>
/// <param name="daemon">The daemon login's.</param>
public sealed class KeyBackup(NpgsqlDataSource daemon, SubjectKeys keys, RootKey root)
{
    /// <summary>What all files of keys are called.</summary>
    public const string Pattern = "subject-keys-*.keys";

    /// <summary>The name of a file: the time it was made at, so that names sort as times do.</summary>
    public static string NameOf(DateTimeOffset at) => string.Create(CultureInfo.InvariantCulture, $"subject-keys-{at.UtcDateTime:yyyyMMdd'T'HHmmss'Z'}.keys");

    /// <summary>Writes all keys to a new file.</summary>
    /// <param name="sealer">What opens it: the master key, or a key that is kept elsewhere.</param>
    public async Task<KeyBackupResult> Write(Stream to, DerivingKey sealer, DateTimeOffset at, Action<long> progress, CancellationToken ct)
    {
        var own = RandomNumberGenerator.GetBytes(32);
        var header = new KeyFileHeader(KeyBackupFile.Format, KeyBackupFile.Version, sealer.Fingerprint, root.Fingerprint, at, "");
        header = header with { Key = Base64Url.EncodeToString(sealer.Wrap(KeyBackupFile.Use, KeyBackupFile.ContextOf(header), own)) };
        var first = KeyBackupFile.Line(header);
        await to.WriteAsync(first, ct);
        long live = 0, destroyed = 0;
        var last = (Tenant: "", Subject: "");
        for (var number = 0; ; number++)
        {
            var page = await Page(last, ct);
            var isLast = page.Count < KeyBackupFile.KeysAtOnce;
            await to.WriteAsync("\n"u8.ToArray(), ct);
            await to.WriteAsync(KeyBackupFile.Line(first, own, number, isLast, page), ct);
            live += page.Count(k => k.Key is not null);
            destroyed += page.Count(k => k.Key is null);
            progress(live + destroyed);
            if (isLast) return new KeyBackupResult(live, destroyed);
            last = (page[^1].Tenant, page[^1].Subject);
        }
    }

    /// <summary>Reads a file to its end and says what it holds. Writes nothing.</summary>
    /// <exception cref="BadKeyFile">It is none, or another key's, or damaged, or of another database.</exception>
    public async Task<KeyBackupResult> Check(Stream file, IReadOnlyList<DerivingKey> openers, CancellationToken ct)
    {
        long live = 0, destroyed = 0;
        await foreach (var chunk in Chunks(file, openers, ct))
        {
            live += chunk.Count(k => k.Key is not null);
            destroyed += chunk.Count(k => k.Key is null);
        }
        return new KeyBackupResult(live, destroyed);
    }

    /// <summary>Writes what is missing here. No key that was destroyed comes back, and what was destroyed when the file was made is destroyed.</summary>
    /// <exception cref="BadKeyFile">As <see cref="Check"/> says; what stood before it is written then, so check first.</exception>
    public async Task<KeyRestoreResult> Restore(Stream file, IReadOnlyList<DerivingKey> openers, Action<long> progress, CancellationToken ct)
    {
        var result = new KeyRestoreResult(0, 0, 0, 0, []);
        long done = 0;
        await keys.Masters.Refresh(daemon, ct);
        await foreach (var chunk in Chunks(file, openers, ct))
        {
            var destroyed = 0L;
            foreach (var tenant in chunk.Where(k => k.Key is null).GroupBy(k => k.Tenant))
                destroyed += (await keys.Destroy(tenant.Key, [.. tenant.Select(k => k.Subject)], ct)).Count;
            var (written, there, dead, others) = await Insert([.. chunk.Where(k => k.Key is not null)], ct);
            result = new KeyRestoreResult(result.Written + written, result.There + there, result.StayDestroyed + dead, result.Destroyed + destroyed, [.. result.Others, .. others]);
            progress(done += chunk.Count);
        }
        return result;
    }

    private async IAsyncEnumerable<IReadOnlyList<BackedUpKey>> Chunks(Stream file, IReadOnlyList<DerivingKey> openers, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken ct)
    {
        using var reader = new StreamReader(file, Encoding.UTF8, leaveOpen: true);
        var line = await reader.ReadLineAsync(ct) ?? throw new BadKeyFile("The file is empty.");
        var (header, key) = KeyBackupFile.Open(line, openers);
        if (header.Root != root.Fingerprint) throw new BadKeyFile($"The file was taken from another database (its root has the fingerprint {header.Root}, this one's {root.Fingerprint}).");
        await foreach (var chunk in KeyBackupFile.Chunks(reader, line, key, ct)) yield return chunk;
    }

    private async Task<List<BackedUpKey>> Page((string Tenant, string Subject) after, CancellationToken ct)
    {
        await using var command = daemon.CreateCommand("""
            select tenant_id, subject, wrapped, created, destroyed from nubabel.subject_keys where (tenant_id, subject) > ($1, $2) order by tenant_id, subject limit $3
            """);
        command.Add(after.Tenant);
        command.Add(after.Subject);
        command.Add(KeyBackupFile.KeysAtOnce);
        var page = new List<BackedUpKey>();
        await using var reader = await command.ExecuteReaderAsync(ct);
        while (await reader.ReadAsync(ct))
        {
            var (tenant, subject) = (reader.GetString(0), reader.GetString(1));
            page.Add(new BackedUpKey(tenant, subject, reader.IsDBNull(2) ? null : keys.Unwrap(tenant, subject, reader.GetFieldValue<byte[]>(2)),
                reader.GetFieldValue<DateTimeOffset>(3), reader.IsDBNull(4) ? null : reader.GetFieldValue<DateTimeOffset>(4)));
        }
        return page;
    }

    private async Task<(long Written, long There, long Dead, List<string> Others)> Insert(BackedUpKey[] chunk, CancellationToken ct)
    {
        var by = "";
        var wrapped = chunk.Select(k => keys.Wrap(k.Tenant, k.Subject, k.Key!, out by)).ToArray();
        if (chunk.Length == 0) return (0, 0, 0, []);
        await using var command = daemon.CreateCommand("""
            with new as (
              insert into nubabel.subject_keys (tenant_id, subject, wrapped, created) select u.* from unnest($1, $2, $3, $4) u where nubabel.wraps($5) order by 1, 2 on conflict do nothing
              returning tenant_id, subject)
            select u.tenant, u.subject, n.subject is not null, k.wrapped, k.subject is not null from unnest($1, $2) u (tenant, subject)
              left join new n on n.tenant_id = u.tenant and n.subject = u.subject
              left join nubabel.subject_keys k on k.tenant_id = u.tenant and k.subject = u.subject
            """);
        command.AddArray(chunk.Select(k => k.Tenant).ToArray(), NpgsqlDbType.Varchar);
        command.AddArray(chunk.Select(k => k.Subject).ToArray(), NpgsqlDbType.Varchar);
        command.AddArray(wrapped, NpgsqlDbType.Bytea);
        command.AddArray(chunk.Select(k => k.Created.UtcDateTime).ToArray(), NpgsqlDbType.TimestampTz);
        command.Add(by);
        var wanted = chunk.ToDictionary(k => (k.Tenant, k.Subject), k => k.Key!);
        var (written, there, dead, others) = (0L, 0L, 0L, new List<string>());
        await using var reader = await command.ExecuteReaderAsync(ct);
        while (await reader.ReadAsync(ct))
        {
            var (tenant, subject) = (reader.GetString(0), reader.GetString(1));
            if (reader.GetBoolean(2)) written++;
            else if (!reader.GetBoolean(4)) throw new MasterKeyRefused("The master key was exchanged at this moment, or nodes write keys at the same time; run it again.");
            else if (reader.IsDBNull(3)) dead++;
            else if (keys.Unwrap(tenant, subject, reader.GetFieldValue<byte[]>(3)).AsSpan().SequenceEqual(wanted[(tenant, subject)])) there++;
            else others.Add($"{tenant} {subject}");
        }
        return (written, there, dead, others);
    }
}
