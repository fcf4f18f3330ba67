using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>The events cannot go where they belong; what was committed before stays. The message names line and stream.</summary>
public sealed class ImportRefused(string message) : Exception(message)
{
    public ImportRefused(long line, string message) : this($"Line {line}: {message}")
    {
    }
}

/// <summary>How an import is to go.</summary>
/// <param name="Tenant">Only this tenant's events; null for all.</param>
/// <param name="KeepPositions">The events keep their positions. Into an empty log that nobody serves.</param>
/// <param name="Shard">The name of this database, for the directory.</param>
/// <param name="Master">The fingerprint of the master key here; null leaves it unchecked.</param>
/// <param name="EraseMissingKeys">Subjects of sealed values whose keys are neither in the file nor here are marked as erased.</param>
public sealed record ImportWish(string? Tenant = null, bool KeepPositions = false, string Shard = "main", string? Master = null, bool EraseMissingKeys = false);

/// <summary>What an import wrote.</summary>
/// <param name="PassedOver">Events that stood there already.</param>
public sealed record ImportResult(long Written, long PassedOver, long Keys, long ErasedSubjects);

/// <summary>
/// Writes a checked file of events to the log, in chunks that commit in under a second, so that the mark is never held for longer; with each chunk the claims that
/// follow from it. Killed at any point it is simply run again.
/// </summary>
/// <param name="daemon">The daemon login's data source.</param>
/// <param name="consequences">What follows from the log beside the read models.</param>
public sealed class EventImport(NpgsqlDataSource daemon, EventTypes types, IConsequences consequences, ImportWish wish)
{
    private const int FirstChunk = 200, MostEvents = 5_000, MostText = 4 << 20, Tries = 8;
    private static readonly TimeSpan Long = TimeSpan.FromMilliseconds(400), Short = TimeSpan.FromMilliseconds(150);

    private readonly TenantDirectory directory = new(daemon);
    private int size = FirstChunk;
    private IReadOnlyList<(string Tenant, string Subject)>? keyless;

    /// <summary>Whether the file may go here: its master key, its slugs, the keys of its subjects, the ids of its events. Writes nothing.</summary>
    /// <param name="progress">Told how much of the log here has been looked at.</param>
    /// <returns>The subjects whose keys are neither in the file nor here.</returns>
    /// <exception cref="ImportRefused">It may not.</exception>
    public async Task<IReadOnlyList<(string Tenant, string Subject)>> Check(Stream file, EventFileReport report, Action<TransferProgress> progress, CancellationToken ct)
    {
        if (wish.Master is not null && report.Header.Master is { } other && other != wish.Master)
            throw new ImportRefused($"The file was written under another master key (fingerprint {other}, this one is {wish.Master}). Its sealed values and look-up keys would be of no use here.");
        foreach (var (tenant, slug, line) in report.Slugs)
        {
            if (await directory.Find(slug, ct) is { } entry && entry.Organization != tenant && entry.State != "reserved")
                throw new ImportRefused(line, $"the slug {slug} belongs to another organization here ({entry.Organization}).");
            if (await directory.Find(tenant, ct) is { } own && own.Slug != slug) throw new ImportRefused(line, $"the organization {tenant} is known as {own.Slug} here.");
        }
        var missing = await Missing(report, ct);
        if (missing.Count > 0 && !wish.EraseMissingKeys)
            throw new ImportRefused($"""
                The keys of {missing.Count} subjects are neither in the file nor here ({missing[0].Item2} of {missing[0].Item1}, say), so nobody could read their personal values.
                Export with --with-keys, or restore nubabel.subject_keys first, or say --erase-missing-keys: then these subjects count as erased.
                """);
        await new ImportedIds(daemon, report, file, wish.Tenant).Check(progress, ct);
        return keyless = missing;
    }

    private async Task<List<(string, string)>> Missing(EventFileReport report, CancellationToken ct)
    {
        var missing = new List<(string, string)>();
        foreach (var some in report.Subjects.Chunk(1_000))
        {
            await using var command = daemon.CreateCommand("""
                select u.tenant, u.subject from unnest($1, $2) u (tenant, subject)
                 where not exists (select from nubabel.subject_keys k where k.tenant_id = u.tenant and k.subject = u.subject)
                """);
            command.AddArray(some.Select(s => s.Tenant).ToArray(), NpgsqlDbType.Varchar);
            command.AddArray(some.Select(s => s.Subject).ToArray(), NpgsqlDbType.Varchar);
            await using var reader = await command.ExecuteReaderAsync(ct);
            while (await reader.ReadAsync(ct)) missing.Add((reader.GetString(0), reader.GetString(1)));
        }
        return missing;
    }

    /// <summary>Writes the file, which <see cref="EventFileCheck"/> has passed; <see cref="Check"/> comes first, unless it was asked for before.</summary>
    /// <param name="progress">Told behind each chunk.</param>
    /// <exception cref="ImportRefused">Another event stands where one of the file belongs.</exception>
    public async Task<ImportResult> Run(Stream file, EventFileReport report, Action<TransferProgress> progress, CancellationToken ct)
    {
        var missing = keyless ?? await Check(file, report, _ => { }, ct);
        file.Position = 0;
        var erased = await Keys(missing.Select(m => new SubjectKeyRow(m.Tenant, m.Subject, null, report.Header.At.UtcDateTime, TimeProvider.System.GetUtcNow().UtcDateTime)).ToArray(), ct);
        long written = 0, seen = 0, taken = 0, keys = 0, text = 0;
        var lines = new Lines(file);
        var chunk = new List<FileEvent>();
        var keysToWrite = new List<SubjectKeyRow>();
        while (await lines.Next(ct) is { } line)
        {
            using var parsed = EventFile.Parse(line, lines.Number);
            var kind = EventFile.KindOf(parsed);
            if (kind == "key" && EventFile.Key(parsed, lines.Number) is var key && IsWanted(key.Tenant)) keysToWrite.Add(key);
            if (keysToWrite.Count >= 1_000 || (kind != "key" && keysToWrite.Count > 0)) await FlushKeys();
            if (kind != "seq_id") continue;
            seen++;
            var e = EventFile.Event(parsed, lines.Number);
            if (!IsWanted(e.Tenant)) continue;
            chunk.Add(new FileEvent(lines.Number, e));
            text += e.Data.Length;
            if (chunk.Count >= size || text >= MostText) await FlushEvents();
        }
        await FlushEvents();
        return new ImportResult(written, taken - written, keys, erased);

        async Task FlushKeys()
        {
            keys += await Keys(keysToWrite, ct);
            keysToWrite.Clear();
        }

        async Task FlushEvents()
        {
            for (var from = 0; from < chunk.Count;)
            {
                var part = chunk.GetRange(from, Math.Min(size, chunk.Count - from));
                written += await Timed(part, ct);
                (from, taken) = (from + part.Count, taken + part.Count);
            }
            chunk.Clear();
            text = 0;
            progress(new TransferProgress(seen, report.End.Events));
        }
    }

    /// <summary>With positions that were kept, the next number that is drawn lies behind them. As the owner, who may set a sequence.</summary>
    public static async Task SetSequence(NpgsqlDataSource owner, long last, CancellationToken ct)
    {
        await using var command = owner.CreateCommand("select setval('events.mt_events_sequence', greatest(last_value, $1)) from events.mt_events_sequence");
        command.Add(Math.Max(1, last));
        await command.ExecuteNonQueryAsync(ct);
    }

    private bool IsWanted(string tenant) => wish.Tenant is null || wish.Tenant == tenant;

    /// <summary>Chunks are as long as they may be without anybody waiting for them for long.</summary>
    private async Task<int> Timed(List<FileEvent> part, CancellationToken ct)
    {
        foreach (var (line, e) in part)
            if (consequences.SlugOf(e) is { } slug && !(await directory.Place(slug, e.Tenant, wish.Shard, wish.Shard, notFounded: null, ct) == wish.Shard && await directory.Confirm(e.Tenant, ct)))
                throw new ImportRefused(line, $"the slug {slug} belongs to another organization here.");
        var began = TimeProvider.System.GetTimestamp();
        var written = await Written(part, ct);
        var took = TimeProvider.System.GetElapsedTime(began);
        if (took > Long) size = Math.Max(1, size / 2);
        else if (took < Short && part.Count >= size) size = Math.Min(MostEvents, size * 2);
        return written;
    }

    private async Task<int> Written(List<FileEvent> part, CancellationToken ct)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                await using var connection = await daemon.OpenConnectionAsync(ct);
                return await new ImportChunk(connection, types, consequences, wish.KeepPositions, part).Write(ct);
            }
            catch (Exception lost) when (attempt < Tries && (lost is ImportChunk.Raced or PostgresException { SqlState: PostgresErrorCodes.DeadlockDetected or PostgresErrorCodes.SerializationFailure }))
            {
                await Task.Delay(Random.Shared.Next(5, 20 << attempt), ct);
            }
            catch (PostgresException refused) when (IsFaultOfValues(refused))
            {
                if (part.Count == 1) throw new ImportRefused(part[0].Line, $"PostgreSQL refuses the event {part[0].Event.Id} of {part[0].Event.Stream}: {refused.MessageText}.");
                // One of them it is; the halves find out which.
                var half = part.Count / 2;
                return await Written(part[..half], ct) + await Written(part[half..], ct);
            }
        }
    }

    /// <summary>A key that is there stays: of an erased subject it is not made again, and another one would make what is sealed under the first unreadable.</summary>
    private async Task<int> Keys(IReadOnlyList<SubjectKeyRow> keys, CancellationToken ct)
    {
        if (keys.Count == 0) return 0;
        await using var connection = await daemon.OpenConnectionAsync(ct);
        await using (var other = new NpgsqlCommand("""
            select u.tenant, u.subject from unnest($1, $2, $3) u (tenant, subject, wrapped) join nubabel.subject_keys k on k.tenant_id = u.tenant and k.subject = u.subject
             where k.wrapped <> u.wrapped limit 1
            """, connection))
        {
            Add(other);
            await using var reader = await other.ExecuteReaderAsync(ct);
            if (await reader.ReadAsync(ct)) throw new ImportRefused($"The subject {reader.GetString(1)} of {reader.GetString(0)} has another key here than in the file.");
        }
        await using var command = new NpgsqlCommand("""
            insert into nubabel.subject_keys (tenant_id, subject, wrapped, created, destroyed) select * from unnest($1, $2, $3, $4, $5) order by 1, 2 on conflict do nothing
            """, connection);
        Add(command);
        command.AddArray(keys.Select(k => k.Created).ToArray(), NpgsqlDbType.TimestampTz);
        command.AddArray(keys.Select(k => k.Destroyed).ToArray(), NpgsqlDbType.TimestampTz);
        return await command.ExecuteNonQueryAsync(ct);

        void Add(NpgsqlCommand to)
        {
            to.AddArray(keys.Select(k => k.Tenant).ToArray(), NpgsqlDbType.Varchar);
            to.AddArray(keys.Select(k => k.Subject).ToArray(), NpgsqlDbType.Varchar);
            to.AddArray(keys.Select(k => k.Wrapped).ToArray(), NpgsqlDbType.Bytea);
        }
    }

    /// <summary>Data exceptions, violated constraints, and values too long for an index.</summary>
    private static bool IsFaultOfValues(PostgresException e) => e.SqlState[..2] is "22" or "23" or "54";
}
