using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Nubabel.Store;

/// <summary>A file of subject keys that cannot be taken; the message says why.</summary>
public sealed class BadKeyFile(string message) : Exception(message);

/// <summary>The first line of a file of subject keys, in the clear.</summary>
/// <param name="Sealed">The fingerprint of the key that opens the file.</param>
/// <param name="Root">The fingerprint of the root of the database it was taken from.</param>
/// <param name="Key">The file's own key, wrapped by that.</param>
public sealed record KeyFileHeader(string Format, int Version, string Sealed, string Root, DateTimeOffset At, string Key);

/// <summary>One subject's key as a backup holds it.</summary>
/// <param name="Key">Opened; null where it was destroyed.</param>
internal sealed record BackedUpKey(string Tenant, string Subject, byte[]? Key, DateTimeOffset Created, DateTimeOffset? Destroyed);

/// <summary>
/// The form of a file of subject keys: a header, and lines of sealed chunks in base64url (AES-256-GCM under a key of the file's own). Each chunk is bound to the header,
/// to its number and to being the last or not, so nothing is altered, moved, or cut off unseen.
/// </summary>
internal static class KeyBackupFile
{
    public const string Format = "nubabel.subject-keys", Use = "subject-keys-backup";
    public const int Version = 1, KeysAtOnce = 1_000;

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web);

    /// <summary>The line of a header.</summary>
    public static byte[] Line(KeyFileHeader header) => JsonSerializer.SerializeToUtf8Bytes(header, Json);

    public static byte[] Line(byte[] header, byte[] key, int number, bool isLast, IReadOnlyList<BackedUpKey> keys)
    {
        var nonce = new byte[Aead.NonceBytes];
        System.Buffers.Binary.BinaryPrimitives.WriteInt32BigEndian(nonce.AsSpan(8), number);
        return Encoding.ASCII.GetBytes(Base64Url.EncodeToString(Aead.Seal(key, nonce, JsonSerializer.SerializeToUtf8Bytes(keys, Json), Context(header, number, isLast))));
    }

    /// <exception cref="BadKeyFile">It is no such file, or another key's.</exception>
    public static (KeyFileHeader Header, byte[] Key) Open(string line, IReadOnlyList<DerivingKey> openers)
    {
        KeyFileHeader header;
        try
        {
            header = JsonSerializer.Deserialize<KeyFileHeader>(line, Json) ?? throw new JsonException();
        }
        catch (JsonException)
        {
            throw new BadKeyFile("This is no file of subject keys.");
        }
        if (header.Format != Format || header.Version != Version) throw new BadKeyFile($"This build reads files of {Format}, version {Version}.");
        var opener = openers.FirstOrDefault(o => o.Fingerprint == header.Sealed)
            ?? throw new BadKeyFile($"The file is sealed by the key with the fingerprint {header.Sealed}, which is not at hand. A key other than a master key is given by --key-file.");
        try
        {
            return (header, opener.Unwrap(Use, ContextOf(header), Base64Url.DecodeFromChars(header.Key)));
        }
        catch (Exception e) when (e is CryptographicException or FormatException)
        {
            throw new BadKeyFile("The first line of the file was altered.");
        }
    }

    /// <summary>What the wrapped key is bound to: the rest of the header.</summary>
    public static string ContextOf(KeyFileHeader header) => string.Create(CultureInfo.InvariantCulture, $"{header.Format}|{header.Version}|{header.Sealed}|{header.Root}|{header.At.UtcTicks}");

    /// <summary>The chunks of a file, from the line behind the header on.</summary>
    /// <exception cref="BadKeyFile">Something in it was altered, moved or cut off.</exception>
    public static async IAsyncEnumerable<IReadOnlyList<BackedUpKey>> Chunks(StreamReader file, string header, byte[] key, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken ct)
    {
        var line = await file.ReadLineAsync(ct) ?? throw new BadKeyFile("The file was cut off behind its first line.");
        for (var number = 0; ; number++)
        {
            var next = await file.ReadLineAsync(ct);
            byte[] plain;
            try
            {
                plain = Aead.Open(key, Base64Url.DecodeFromChars(line), Context(Encoding.UTF8.GetBytes(header), number, next is null));
            }
            catch (Exception e) when (e is CryptographicException or FormatException)
            {
                throw new BadKeyFile(string.Create(CultureInfo.InvariantCulture, $"Line {number + 2} does not open: the file was altered or cut off."));
            }
            yield return JsonSerializer.Deserialize<List<BackedUpKey>>(plain, Json) ?? [];
            if (next is null) yield break;
            line = next;
        }
    }

    private static byte[] Context(byte[] header, int number, bool isLast) =>
        Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{Convert.ToHexStringLower(SHA256.HashData(header))}|{number}|{(isLast ? "last" : "more")}"));
}
