using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Npgsql;

namespace Nubabel.Store;

/// <summary>
/// Files of any size in the database, kept for a time: parts of 256 KiB, each sealed (AES-256-GCM) under a key of the file's own, which is sealed under its
/// subject's key. So a file is dead when its subject is erased, wherever its bytes still are. Neither writing nor reading holds more than a part in memory.
/// </summary>
public sealed class SealedFiles(Database database, SubjectKeys keys, string tenant)
{
    internal const int PartBytes = 256 * 1024;
    private const int DeletedAtOnce = 50;

    /// <summary>Begins a new generation of a file; those before it are deleted. It can be read when it is complete.</summary>
    /// <param name="holdsAll">There is personal data of others in it too: it ends with the erasure of anybody of the tenant.</param>
    /// <exception cref="SubjectErased">The subject's key is destroyed.</exception>
    public async Task<SealedFileWriter> Create(Guid file, Guid generation, string subject, bool holdsAll, DateTimeOffset expires, CancellationToken ct)
    {
        var key = RandomNumberGenerator.GetBytes(32);
        var wrapped = await keys.Seal(tenant, subject, Convert.ToBase64String(key), ct);
        await Run(ct,
            // The row first: who still writes a part of another generation holds it, and finds it gone after that.
            Sql.Of($"delete from nubabel.sealed_files where tenant_id = {tenant} and file = {file} and generation <> {generation}"),
            Sql.Of($"delete from nubabel.sealed_parts where tenant_id = {tenant} and file = {file} and generation <> {generation}"),
            Sql.Of($"""
                insert into nubabel.sealed_files (tenant_id, file, generation, subject, wrapped, holds_all, expires, destructions)
                select {tenant}, {file}, {generation}, {subject}, {wrapped}, {holdsAll}, {expires.UtcDateTime}, w.number from nubabel.key_watch w
                """));
        return new SealedFileWriter(async (part, bytes) =>
        {
            var written = await Run(ct, Sql.Of($"""
                with f as (select from nubabel.sealed_files where tenant_id = {tenant} and file = {file} and generation = {generation} for key share)
                insert into nubabel.sealed_parts (tenant_id, file, generation, part, bytes) select {tenant}, {file}, {generation}, {part}, {bytes} from f
                """));
            if (written == 0) throw new InvalidOperationException("The file was deleted, or is written anew by somebody else.");
        }, (part, last, plain) => Sealed(key, file, generation, part, last, plain));
    }

    /// <summary>A generation's bytes, part by part; null when it is gone, has expired, or its subject is erased. What has been altered or cut off ends in an exception.</summary>
    public async Task<IAsyncEnumerable<ReadOnlyMemory<byte>>?> Open(Guid file, Guid generation, DateTimeOffset now, CancellationToken ct)
    {
        var found = await Query($"""
            select f.subject, f.wrapped from nubabel.sealed_files f
             where f.tenant_id = {tenant} and f.file = {file} and f.generation = {generation} and f.expires > {now.UtcDateTime} and not {IsOver}
            """, row => (Subject: row.GetString(0), Wrapped: row.GetString(1)), ct);
        if (found is not [var only]) return null;
        var known = await keys.Load(tenant, [only.Subject], ct);
        return SubjectKeys.Open(tenant, only.Subject, only.Wrapped, known) is { } key ? Parts(Convert.FromBase64String(key), only.Subject, file, generation, ct) : null;
    }

    /// <summary>Somebody whose data may be in the file <c>f</c> too was erased after it was begun.</summary>
    private static Sql IsOver => Sql.Of($"(f.holds_all and exists (select from nubabel.subject_keys k where k.tenant_id = f.tenant_id and k.destruction > f.destructions))");

    /// <summary>Deletes a file with all its generations.</summary>
    public Task Delete(Guid file, CancellationToken ct) => Run(ct,
        Sql.Of($"delete from nubabel.sealed_files where tenant_id = {tenant} and file = {file}"), Sql.Of($"delete from nubabel.sealed_parts where tenant_id = {tenant} and file = {file}"));

    /// <summary>Deletes files of any tenant that have expired. True when there may be more.</summary>
    public static async Task<bool> Expire(PlatformWriter db, DateTimeOffset now, CancellationToken ct) => await db.Run([Sql.Of($"""
        with gone as (
          delete from nubabel.sealed_files f where f.ctid = any (array(select x.ctid from nubabel.sealed_files x where x.expires <= {now.UtcDateTime} order by x.expires limit {DeletedAtOnce} for update skip locked))
          returning f.tenant_id, f.file, f.generation)
        delete from nubabel.sealed_parts p using gone where p.tenant_id = gone.tenant_id and p.file = gone.file and p.generation = gone.generation
        """)], ct) > 0;

    /// <summary>Deletes a subject's files, and those that hold personal data of anybody in the tenant. Returns how many.</summary>
    public static async Task<int> Erase(PlatformReader db, PlatformWriter writer, string tenant, string subject, CancellationToken ct)
    {
        var gone = (await db.Query([Sql.Of($"select distinct file from nubabel.sealed_files where tenant_id = {tenant} and (subject = {subject} or holds_all)")], row => row.GetGuid(0), ct))[0].ToArray();
        if (gone.Length == 0) return 0;
        await writer.Run(
            [
                // The rows first: who still writes a part holds its file's row, and finds it gone after that.
                Sql.Of($"delete from nubabel.sealed_files where tenant_id = {tenant} and file = any ({gone})"),
                Sql.Of($"delete from nubabel.sealed_parts where tenant_id = {tenant} and file = any ({gone})"),
            ], ct);
        return gone.Length;
    }

    private async IAsyncEnumerable<ReadOnlyMemory<byte>> Parts(byte[] key, string subject, Guid file, Guid generation, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken ct)
    {
        // Each part is a query of its own: no transaction is open while somebody reads slowly.
        for (var part = 0; ; part++)
        {
            var found = await Query($"""
                select p.bytes, not exists (select from nubabel.sealed_parts n where n.tenant_id = {tenant} and n.file = {file} and n.generation = {generation} and n.part = {part + 1})
                  from nubabel.sealed_parts p join nubabel.sealed_files f on f.tenant_id = p.tenant_id and f.file = p.file and f.generation = p.generation
                 where p.tenant_id = {tenant} and p.file = {file} and p.generation = {generation} and p.part = {part} and not {IsOver}
                """, row => (Bytes: row.GetFieldValue<byte[]>(0), IsLast: row.GetBoolean(1)), ct);
            if (found is not [var (bytes, isLast)]) throw new CryptographicException("A part of the file is missing.");
            // Who reads slowly must not go on reading after an erasure.
            if ((await keys.Load(tenant, [subject], ct)).GetValueOrDefault(subject) is null) throw new SubjectErased(subject);
            // That it is the last one is sealed with it: a file that was cut off does not open.
            yield return Aead.Open(key, bytes, Context(file, generation, part, isLast));
            if (isLast) yield break;
        }
    }

    private byte[] Sealed(byte[] key, Guid file, Guid generation, int part, bool isLast, ReadOnlySpan<byte> plain)
    {
        // The key is this generation's alone, and no number comes twice under it.
        var nonce = new byte[12];
        BinaryPrimitives.WriteInt32BigEndian(nonce.AsSpan(8), part);
        return Aead.Seal(key, nonce, plain, Context(file, generation, part, isLast));
    }

    private byte[] Context(Guid file, Guid generation, int part, bool isLast) =>
        Encoding.UTF8.GetBytes(string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{tenant}|{file:D}|{generation:D}|{part}|{(isLast ? "last" : "more")}"));

    private async Task<int> Run(CancellationToken ct, params Sql[] statements)
    {
        await using var batch = database.Api.CreateBatch();
        batch.BatchCommands.Add(Append.Tenant(tenant));
        foreach (var statement in statements) batch.BatchCommands.Add(statement.ToBatchCommand());
        return await batch.ExecuteNonQueryAsync(ct);
    }

    private Task<IReadOnlyList<T>> Query<T>(Sql sql, Func<NpgsqlDataReader, T> map, CancellationToken ct) => new Reader(database, keys, tenant).Query(sql, map, ct);
}

/// <summary>Writes a sealed file from its beginning to its end. It is complete when it is disposed after <see cref="Complete"/>, and nothing before.</summary>
public sealed class SealedFileWriter : Stream
{
    private readonly Func<int, byte[], Task> write;
    private readonly SealPart seal;
    private readonly MemoryStream pending = new(SealedFiles.PartBytes * 2);
    private int parts;

    internal SealedFileWriter(Func<int, byte[], Task> write, SealPart seal)
    {
        (this.write, this.seal) = (write, seal);
    }

    internal delegate byte[] SealPart(int part, bool last, ReadOnlySpan<byte> plain);

    /// <summary>How many bytes were written.</summary>
    public long Written { get; private set; }

    /// <summary>Writes what is left, as the last part.</summary>
    public async Task Complete()
    {
        await Store();
        await write(parts, seal(parts, true, pending.ToArray()));
        parts++;
        pending.SetLength(0);
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        for (var rest = buffer; rest.Length > 0;)
        {
            var taken = rest[..Math.Min(rest.Length, SealedFiles.PartBytes)];
            Write(taken.Span);
            await Store();
            rest = rest[taken.Length..];
        }
    }

    /// <summary>Keeps it until the next asynchronous write: an archive writes its small headers like this.</summary>
    public override void Write(ReadOnlySpan<byte> buffer)
    {
        pending.Write(buffer);
        Written += buffer.Length;
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    /// <summary>Writes whole parts, and always keeps something back: which part is the last one, only the end says.</summary>
    private async Task Store()
    {
        while (pending.Length > SealedFiles.PartBytes)
        {
            var all = pending.ToArray();
            await write(parts, seal(parts, false, all.AsSpan(0, SealedFiles.PartBytes)));
            parts++;
            pending.SetLength(0);
            pending.Write(all.AsSpan(SealedFiles.PartBytes));
        }
    }

    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public override void Flush()
    {
    }

    public override bool CanRead => false;
    public override bool CanSeek => false;
    public override bool CanWrite => true;
    public override long Length => throw new NotSupportedException();
    public override long Position { get => Written; set => throw new NotSupportedException(); }
    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
    public override void SetLength(long value) => throw new NotSupportedException();
}
