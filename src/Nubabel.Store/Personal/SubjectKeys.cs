using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using Npgsql;

namespace Nubabel.Store;

/// <summary>A data subject whose key has been destroyed cannot be written about any more.</summary>
public sealed class SubjectErased(string subject) : Exception($"The data subject {subject} has been erased.")
{
    public string Subject => subject;
}

/// <summary>
/// The keys of data subjects, one each per tenant, made on first use and kept wrapped by the master key. Sealing is deterministic per key
/// (the nonce is a MAC of the text), so equal values stay equal and a decision can see that nothing changes; this shows equality only within
/// one subject's own values. A node with a <see cref="KeyWatch"/> remembers keys; without one it asks for each.
/// </summary>
/// <param name="remembered">How many keys a node keeps unwrapped.</param>
public sealed class SubjectKeys(Database database, MasterKeys masters, int remembered = 20_000)
{
    /// <summary>A longer text is not kept: addresses and agents are short, and letters and webhooks are sealed once.</summary>
    private const int LongestRecent = 512;

    private const string Wrapping = "subject-key";

    /// <summary>How often a key is tried to be made while master keys are exchanged.</summary>
    private const int Tries = 3;

    internal MasterKeys Masters => masters;

    internal KeyCache Cache { get; } = new(remembered);

    /// <summary>Whether this node hears of destroyed keys and so may remember others.</summary>
    public bool IsHeard => Cache.IsHeard;

    /// <summary>Seals a text under its subject's key: base64url of nonce, ciphertext and tag.</summary>
    /// <exception cref="SubjectErased">The subject's key is destroyed.</exception>
    public async ValueTask<string> Seal(string tenant, string subject, string plain, CancellationToken ct)
    {
        if (!Cache.TryFind(tenant, subject, out var key)) key = await FindOrMake(tenant, subject, ct);
        if (key is null) throw new SubjectErased(subject);
        if (plain.Length > LongestRecent) return Seal(tenant, subject, plain, key);
        // Sealing is deterministic, and a person's address and agent stand on each event of theirs.
        if (Cache.Recent(tenant, subject, plain, key) is { } known) return known;
        var text = Seal(tenant, subject, plain, key);
        Cache.KeepRecent(tenant, subject, plain, key, text);
        return text;
    }

    /// <summary>
    /// Destroys the keys of these subjects for good, also of those that never had one: none is ever made for them again. Every node forgets them within a second; a
    /// node that cannot be told does not use what it remembers. May be repeated.
    /// </summary>
    /// <returns>Those that this call has destroyed; the others were before.</returns>
    public async Task<IReadOnlyList<string>> Destroy(string tenant, IReadOnlyCollection<string> subjects, CancellationToken ct)
    {
        await using var batch = database.Daemon.CreateBatch();
        // First of all, so that who destroys at the same time waits here and not in a circle.
        batch.BatchCommands.Add(new NpgsqlBatchCommand("select from nubabel.key_watch for update"));
        batch.BatchCommands.Add(Sql.Of($"""
            insert into nubabel.subject_keys as k (tenant_id, subject, destroyed)
            select {tenant}, s, clock_timestamp() from unnest({subjects.Distinct().ToArray()}) s
             where not exists (select from nubabel.subject_keys d where d.tenant_id = {tenant} and d.subject = s and d.wrapped is null) order by s
            on conflict (tenant_id, subject) do update set wrapped = null, destroyed = excluded.destroyed where k.wrapped is not null
            returning subject
            """).ToBatchCommand());
        var destroyed = new List<string>();
        await using (var reader = await batch.ExecuteReaderAsync(ct))
        {
            await reader.NextResultAsync(ct);
            while (await reader.ReadAsync(ct)) destroyed.Add(reader.GetString(0));
        }
        // Here at once; elsewhere, and for what was being read meanwhile, the watch sees to it.
        Cache.Forget(subjects.Select(s => (tenant, s)));
        return destroyed;
    }

    private static string Seal(string tenant, string subject, string plain, byte[] key)
    {
        var context = Context(tenant, subject);
        var bytes = Encoding.UTF8.GetBytes(plain);
        using var mac = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, HKDF.DeriveKey(HashAlgorithmName.SHA256, key, 32, info: "nonce"u8.ToArray()));
        mac.AppendData(context);
        mac.AppendData([0]);
        mac.AppendData(bytes);
        return Base64Url.EncodeToString(Aead.Seal(key, mac.GetHashAndReset().AsSpan(0, 12), bytes, context));
    }

    /// <summary>
    /// Opens a sealed text; null when its subject is erased or unknown here, and when the text is altered, made up, or another subject's or tenant's: another
    /// program may write anything that looks like one, and a page must not break by it.
    /// </summary>
    internal static string? Open(string tenant, string subject, string cipher, IReadOnlyDictionary<string, byte[]?> keys)
    {
        if (!Base64Url.IsValid(cipher)) return null;
        // Without a subject it was stored before its kind was personal: nothing seals it.
        if (subject.Length == 0) return Encoding.UTF8.GetString(Base64Url.DecodeFromChars(cipher));
        if (keys.GetValueOrDefault(subject) is not { } key) return null;
        try
        {
            return Encoding.UTF8.GetString(Aead.Open(key, Base64Url.DecodeFromChars(cipher), Context(tenant, subject)));
        }
        catch (CryptographicException)
        {
            return null;
        }
    }

    /// <summary>The keys of these subjects, with at most one query; null for an erased or unknown subject.</summary>
    internal async ValueTask<IReadOnlyDictionary<string, byte[]?>> Load(string tenant, IReadOnlyCollection<string> subjects, CancellationToken ct)
    {
        var keys = new Dictionary<string, byte[]?>(subjects.Count);
        var missing = new List<string>();
        foreach (var subject in subjects)
        {
            if (Cache.TryFind(tenant, subject, out var key)) keys[subject] = key;
            else missing.Add(subject);
        }
        return missing.Count == 0 ? keys : await Again.Ask(() => Read(tenant, missing, keys, ct));
    }

    private async Task<IReadOnlyDictionary<string, byte[]?>> Read(string tenant, List<string> missing, Dictionary<string, byte[]?> keys, CancellationToken ct)
    {
        var before = Cache.Forgettings;
        await using var batch = database.Api.CreateBatch();
        batch.BatchCommands.Add(Append.Tenant(tenant));
        batch.BatchCommands.Add(Sql.Of($"select subject, wrapped from nubabel.subject_keys where tenant_id = {tenant} and subject = any({missing.ToArray()})").ToBatchCommand());
        await using var reader = await batch.ExecuteReaderAsync(ct);
        await reader.NextResultAsync(ct);
        while (await reader.ReadAsync(ct))
            keys[reader.GetString(0)] = Keep(tenant, reader.GetString(0), reader.IsDBNull(1) ? null : reader.GetFieldValue<byte[]>(1), before);
        return keys;
    }

    private async ValueTask<byte[]?> FindOrMake(string tenant, string subject, CancellationToken ct)
    {
        for (var attempt = 1; ; attempt++)
        {
            var found = await Load(tenant, [subject], ct);
            if (found.TryGetValue(subject, out var known)) return known;
            if (attempt > Tries) throw new InvalidOperationException($"A key of {subject} could not be made.");
            await Make(tenant, subject, ct);
        }
    }

    /// <summary>Two nodes may make the key at once: the first row wins and both read it back. It commits before any event that needs it.</summary>
    private async Task Make(string tenant, string subject, CancellationToken ct)
    {
        var wrapped = Wrap(tenant, subject, RandomNumberGenerator.GetBytes(32), out var by);
        await using var batch = database.Api.CreateBatch();
        batch.BatchCommands.Add(Append.Tenant(tenant));
        // Nothing is written where another master key wraps by now; then it is tried again under that one.
        batch.BatchCommands.Add(Sql.Of($"""
            insert into nubabel.subject_keys (tenant_id, subject, wrapped) select {tenant}, {subject}, {wrapped} where nubabel.wraps({by}) on conflict do nothing
            """).ToBatchCommand());
        batch.BatchCommands.Add(new NpgsqlBatchCommand("select master from nubabel.key_watch"));
        await using var reader = await batch.ExecuteReaderAsync(ct);
        await reader.NextResultAsync(ct);
        if (await reader.ReadAsync(ct) && !reader.IsDBNull(0)) masters.Use(reader.GetString(0));
    }

    internal byte[] Wrap(string tenant, string subject, byte[] key, out string by) => masters.Wrap(Wrapping, $"{tenant}|{subject}", key, out by);

    internal byte[] Unwrap(string tenant, string subject, byte[] wrapped) => masters.Unwrap(Wrapping, $"{tenant}|{subject}", wrapped);

    private byte[]? Keep(string tenant, string subject, byte[]? wrapped, long before)
    {
        var key = wrapped is null ? null : Unwrap(tenant, subject, wrapped);
        Cache.Keep(tenant, subject, key, before);
        return key;
    }

    // A sealed value is bound to its place: moved to another subject or tenant it does not open.
    private static byte[] Context(string tenant, string subject) => Encoding.UTF8.GetBytes($"{tenant}|{subject}");
}
