using System.Buffers.Text;
using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using Npgsql;

namespace Nubabel.Store;

/// <summary>A data subject whose key has been destroyed cannot be written about any more.</summary>
public sealed class SubjectErased(string subject) : Exception($"The data subject {subject} has been erased.");

/// <summary>
/// The keys of data subjects, one each per tenant, made on first use and kept wrapped by the master key. Sealing is deterministic per key
/// (the nonce is a MAC of the text), so equal values stay equal and a decision can see that nothing changes; this shows equality only within
/// one subject's own values.
/// </summary>
public sealed class SubjectKeys(NpgsqlDataSource api, MasterKey master)
{
    /// <summary>How many keys a node keeps unwrapped.</summary>
    private const int CacheBound = 20_000;

    /// <summary>How many sealed texts a node keeps; one more takes the place of another.</summary>
    private const int RecentSeals = 4096;

    /// <summary>A longer text is not kept: addresses and agents are short, and letters and webhooks are sealed once.</summary>
    private const int LongestRecent = 512;

    private static readonly TimeSpan CacheFor = TimeSpan.FromSeconds(60);
    private readonly ConcurrentDictionary<(string Tenant, string Subject), (byte[]? Key, long Until)> cache = new();

    // Sealing is deterministic, and a person's address and agent stand on each event of theirs.
    private readonly Sealed?[] recent = new Sealed?[RecentSeals];

    /// <summary>Seals a text under its subject's key: base64url of nonce, ciphertext and tag.</summary>
    /// <exception cref="SubjectErased">The subject's key is destroyed.</exception>
    public async ValueTask<string> Seal(string tenant, string subject, string plain, CancellationToken ct)
    {
        if (!TryCached(tenant, subject, out var key)) key = await FindOrMake(tenant, subject, ct);
        if (key is null) throw new SubjectErased(subject);
        if (plain.Length > LongestRecent) return Seal(tenant, subject, plain, key);
        var place = (uint)HashCode.Combine(tenant, subject, plain) % RecentSeals;
        // The same key object, so that what is kept here lives no longer than the key does in the cache.
        if (recent[place] is { } known && ReferenceEquals(known.Key, key) && known.Plain == plain && known.Subject == subject && known.Tenant == tenant) return known.Text;
        var text = Seal(tenant, subject, plain, key);
        recent[place] = new Sealed(key, tenant, subject, plain, text);
        return text;
    }

    private static string Seal(string tenant, string subject, string plain, byte[] key)
    {
        var context = Context(tenant, subject);
        var bytes = Encoding.UTF8.GetBytes(plain);
        using var mac = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, HKDF.DeriveKey(HashAlgorithmName.SHA256, key, 32, info: "nonce"u8.ToArray()));
        mac.AppendData(context);
        mac.AppendData([0]);
        mac.AppendData(bytes);
        return Base64Url.EncodeToString(MasterKey.Aead.Seal(key, mac.GetHashAndReset().AsSpan(0, 12), bytes, context));
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
            return Encoding.UTF8.GetString(MasterKey.Aead.Open(key, Base64Url.DecodeFromChars(cipher), Context(tenant, subject)));
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
            if (TryCached(tenant, subject, out var key)) keys[subject] = key;
            else missing.Add(subject);
        }
        return missing.Count == 0 ? keys : await Again.Ask(() => Read(tenant, missing, keys, ct));
    }

    private async Task<IReadOnlyDictionary<string, byte[]?>> Read(string tenant, List<string> missing, Dictionary<string, byte[]?> keys, CancellationToken ct)
    {
        await using var batch = api.CreateBatch();
        batch.BatchCommands.Add(Append.Tenant(tenant));
        batch.BatchCommands.Add(Sql.Of($"select subject, wrapped from nubabel.subject_keys where tenant_id = {tenant} and subject = any({missing.ToArray()})").ToBatchCommand());
        await using var reader = await batch.ExecuteReaderAsync(ct);
        await reader.NextResultAsync(ct);
        while (await reader.ReadAsync(ct))
            keys[reader.GetString(0)] = Keep(tenant, reader.GetString(0), reader.IsDBNull(1) ? null : reader.GetFieldValue<byte[]>(1));
        return keys;
    }

    private async ValueTask<byte[]?> FindOrMake(string tenant, string subject, CancellationToken ct)
    {
        if ((await Load(tenant, [subject], ct)).TryGetValue(subject, out var known)) return known;
        // Two nodes may make the key at once: the first row wins and both read it back. It commits before any event that needs it.
        var wrapped = master.Wrap("subject-key", $"{tenant}|{subject}", RandomNumberGenerator.GetBytes(32));
        await using var batch = api.CreateBatch();
        batch.BatchCommands.Add(Append.Tenant(tenant));
        batch.BatchCommands.Add(Sql.Of($"insert into nubabel.subject_keys (tenant_id, subject, wrapped) values ({tenant}, {subject}, {wrapped}) on conflict do nothing").ToBatchCommand());
        await batch.ExecuteNonQueryAsync(ct);
        return (await Load(tenant, [subject], ct)).GetValueOrDefault(subject);
    }

    private byte[]? Keep(string tenant, string subject, byte[]? wrapped)
    {
        var key = wrapped is null ? null : master.Unwrap("subject-key", $"{tenant}|{subject}", wrapped);
        if (cache.Count >= CacheBound) cache.Clear();
        cache[(tenant, subject)] = (key, Environment.TickCount64 + (long)CacheFor.TotalMilliseconds);
        return key;
    }

    private bool TryCached(string tenant, string subject, out byte[]? key)
    {
        var found = cache.TryGetValue((tenant, subject), out var entry) && entry.Until > Environment.TickCount64;
        key = entry.Key;
        return found;
    }

    // A sealed value is bound to its place: moved to another subject or tenant it does not open.
    private static byte[] Context(string tenant, string subject) => Encoding.UTF8.GetBytes($"{tenant}|{subject}");

    private sealed record Sealed(byte[] Key, string Tenant, string Subject, string Plain, string Text);
}
