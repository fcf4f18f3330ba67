using System.Security.Cryptography;
using System.Text;

namespace Nubabel.Store;

/// <summary>
/// The key that wraps all others and is not in the database: 256 bit. Each use has its own key derived from it (HKDF-SHA256, RFC 5869),
/// so that what one leaks says nothing about another.
/// </summary>
public sealed class MasterKey
{
    private const int NonceBytes = 12, TagBytes = 16;
    private readonly byte[] secret;

    /// <param name="secret">32 bytes.</param>
    public MasterKey(byte[] secret)
    {
        if (secret.Length != 32) throw new ArgumentException("A master key has 32 bytes.", nameof(secret));
        this.secret = secret;
    }

    /// <summary>The key of 32 bytes for one use.</summary>
    public byte[] Derive(string use) => HKDF.DeriveKey(HashAlgorithmName.SHA256, secret, 32, info: Encoding.UTF8.GetBytes("nubabel/" + use));

    /// <summary>Tells two master keys apart without saying anything about either; stamped into the database at the first start.</summary>
    public string Fingerprint => Convert.ToHexStringLower(Derive("fingerprint").AsSpan(0, 8));

    /// <summary>Encrypts under a fresh nonce; <paramref name="context"/> must be the same to unwrap.</summary>
    public byte[] Wrap(string use, string context, ReadOnlySpan<byte> plain) =>
        Aead.Seal(Derive(use), RandomNumberGenerator.GetBytes(NonceBytes), plain, Encoding.UTF8.GetBytes(context));

    /// <exception cref="CryptographicException">Another master key, another context, or altered bytes.</exception>
    public byte[] Unwrap(string use, string context, ReadOnlySpan<byte> sealedBytes) =>
        Aead.Open(Derive(use), sealedBytes, Encoding.UTF8.GetBytes(context));

    /// <summary>AES-256-GCM with the layout nonce, ciphertext, tag.</summary>
    internal static class Aead
    {
        public static byte[] Seal(byte[] key, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> plain, ReadOnlySpan<byte> context)
        {
            var result = new byte[NonceBytes + plain.Length + TagBytes];
            nonce.CopyTo(result);
            using var aes = new AesGcm(key, TagBytes);
            aes.Encrypt(nonce, plain, result.AsSpan(NonceBytes, plain.Length), result.AsSpan(NonceBytes + plain.Length), context);
            return result;
        }

        public static byte[] Open(byte[] key, ReadOnlySpan<byte> bytes, ReadOnlySpan<byte> context)
        {
            if (bytes.Length < NonceBytes + TagBytes) throw new CryptographicException("Too short to be sealed.");
            var plain = new byte[bytes.Length - NonceBytes - TagBytes];
            using var aes = new AesGcm(key, TagBytes);
            aes.Decrypt(bytes[..NonceBytes], bytes[NonceBytes..^TagBytes], bytes[^TagBytes..], plain, context);
            return plain;
        }
    }
}
