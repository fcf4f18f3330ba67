using System.Security.Cryptography;
using Npgsql;

namespace Nubabel.Store;

/// <summary>This process must not serve the database with the master keys that it has; the message says why and what to do.</summary>
public sealed class MasterKeyRefused(string message) : Exception(message);

/// <summary>
/// The master keys that a process knows: the configured one, and while keys are re-wrapped the one before it. Which of them wraps what is written now stands in the
/// database and is the same for all nodes. What is wrapped says by which key: its fingerprint stands in front.
/// </summary>
public sealed class MasterKeys
{
    private const int PrintBytes = 8;
    private readonly MasterKey[] known;
    private volatile MasterKey current;
    private volatile string? unknown;

    /// <param name="configured">The one of this process's configuration.</param>
    /// <param name="previous">The one before it.</param>
    public MasterKeys(MasterKey configured, MasterKey? previous = null)
    {
        Configured = current = configured;
        known = previous is null || previous.Fingerprint == configured.Fingerprint ? [configured] : [configured, previous];
    }

    public MasterKey Configured { get; }
    public IReadOnlyList<MasterKey> Known => known;

    /// <summary>The one that wraps.</summary>
    public MasterKey Current => current;

    public string Fingerprint => current.Fingerprint;

    /// <summary>The fingerprint of the key that wraps now, where this process does not have it; else null.</summary>
    public string? Unknown => unknown;

    /// <exception cref="MasterKeyRefused">This process does not have the key that wraps now.</exception>
    public byte[] Wrap(string use, string context, ReadOnlySpan<byte> plain) => Wrap(use, context, plain, out _);

    /// <param name="by">The fingerprint of the key that has wrapped it: the next moment it may be another one.</param>
    /// <exception cref="MasterKeyRefused">This process does not have the key that wraps now.</exception>
    public byte[] Wrap(string use, string context, ReadOnlySpan<byte> plain, out string by)
    {
        if (unknown is { } other) throw new MasterKeyRefused($"Keys are wrapped by the master key with the fingerprint {other} now, which this process does not have.");
        var key = current;
        by = key.Fingerprint;
        return [.. key.FingerprintBytes, .. key.Wrap(use, context, plain)];
    }

    /// <exception cref="CryptographicException">A key that this process does not have, another context, or altered bytes.</exception>
    public byte[] Unwrap(string use, string context, ReadOnlySpan<byte> wrapped)
    {
        foreach (var key in known)
            if (wrapped.Length > PrintBytes && wrapped[..PrintBytes].SequenceEqual(key.FingerprintBytes)) return key.Unwrap(use, context, wrapped[PrintBytes..]);
        // Before keys were exchanged nothing stood in front.
        for (var i = 0; ; i++)
        {
            try
            {
                return known[i].Unwrap(use, context, wrapped);
            }
            catch (CryptographicException) when (i < known.Length - 1)
            {
                // The next one may have wrapped it.
            }
        }
    }

    internal MasterKey? Find(string fingerprint) => known.FirstOrDefault(k => k.Fingerprint == fingerprint);

    /// <summary>From now on this one wraps.</summary>
    /// <param name="fingerprint">Null where nobody has said yet.</param>
    internal void Use(string? fingerprint)
    {
        if (fingerprint is null) return;
        if (Find(fingerprint) is { } key) (current, unknown) = (key, null);
        else unknown = fingerprint;
    }

    /// <summary>Asks the database which one wraps.</summary>
    public async Task Refresh(NpgsqlDataSource source, CancellationToken ct)
    {
        await using var command = source.CreateCommand("select master from nubabel.key_watch");
        Use(await command.ExecuteScalarAsync(ct) as string);
    }
}
