using System.Security.Cryptography;
using System.Text;

namespace Nubabel.Store;

/// <summary>
/// A secret of 256 bit. Each use has its own key derived from it (HKDF-SHA256, RFC 5869), so that what one leaks says nothing about another.
/// </summary>
public abstract class DerivingKey
{
    private readonly byte[] secret;

    /// <param name="secret">32 bytes.</param>
    private protected DerivingKey(byte[] secret)
    {
        if (secret.Length != 32) throw new ArgumentException("A key has 32 bytes.", nameof(secret));
        this.secret = secret;
        FingerprintBytes = Derive("fingerprint")[..8];
    }

    /// <summary>Tells two keys apart without saying anything about either.</summary>
    public string Fingerprint => Convert.ToHexStringLower(FingerprintBytes);

    internal byte[] FingerprintBytes { get; }

    private protected byte[] Secret => secret;

    /// <summary>The key of 32 bytes for one use.</summary>
    public byte[] Derive(string use) => HKDF.DeriveKey(HashAlgorithmName.SHA256, secret, 32, info: Encoding.UTF8.GetBytes("nubabel/" + use));

    /// <summary>Encrypts under a fresh nonce; <paramref name="context"/> must be the same to unwrap.</summary>
    public byte[] Wrap(string use, string context, ReadOnlySpan<byte> plain) =>
        Aead.Seal(Derive(use), RandomNumberGenerator.GetBytes(Aead.NonceBytes), plain, Encoding.UTF8.GetBytes(context));

    /// <exception cref="CryptographicException">Another key, another context, or altered bytes.</exception>
    public byte[] Unwrap(string use, string context, ReadOnlySpan<byte> sealedBytes) =>
        Aead.Open(Derive(use), sealedBytes, Encoding.UTF8.GetBytes(context));
}

/// <summary>A key that is not in the database and wraps those that are. It can be exchanged: see <see cref="KeyRotation"/>.</summary>
/// <param name="secret">32 bytes.</param>
public sealed class MasterKey(byte[] secret) : DerivingKey(secret)
{
    private const string Use = "root";

    internal byte[] Wrap(RootKey root) => root.WrappedBy(this, Use);

    internal RootKey Unwrap(byte[] root) => new(Unwrap(Use, Fingerprint, root));

    /// <summary>Databases that were made before there was a root have derived everything from their master key.</summary>
    internal RootKey ToRoot() => new(Secret);
}

/// <summary>
/// What tokens, secrets, keyed hashes and cursors are derived from, for as long as the database lives: hashes stand in events, which never change. It is in the
/// database, wrapped by the master key, and does not change with it.
/// </summary>
/// <param name="secret">32 bytes.</param>
public sealed class RootKey(byte[] secret) : DerivingKey(secret)
{
    internal static RootKey New() => new(RandomNumberGenerator.GetBytes(32));

    internal byte[] WrappedBy(MasterKey master, string use) => master.Wrap(use, master.Fingerprint, Secret);
}
