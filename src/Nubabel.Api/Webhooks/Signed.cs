using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Nubabel.Api.Webhooks;

/// <summary>What a request says of its signature, before anybody has looked whether it is true.</summary>
/// <param name="Prefix">What is signed before the body.</param>
/// <param name="Signatures">As bytes; those in another form than the provider's are not among them.</param>
/// <param name="At">The time that is signed; null where a provider signs none.</param>
/// <param name="EventId">The provider's own id, where it stands in a header.</param>
/// <param name="EventType">The kind of event, where it stands in a header.</param>
internal sealed record Signed(byte[] Prefix, IReadOnlyList<byte[]> Signatures, DateTimeOffset? At = null, string? EventId = null, string? EventType = null)
{
    /// <summary>A provider that rotates sends two or three.</summary>
    private const int MostSignatures = 8;

    /// <summary>At most this many secrets count at a time.</summary>
    private const int MostKeys = 2;

    private const long EarliestMilliseconds = 100_000_000_000, LatestMilliseconds = 99_999_999_999_999;

    /// <summary>What is looked at for who is not there.</summary>
    public static Signed None { get; } = new([], [new byte[HMACSHA256.HashSizeInBytes]]);

    private static readonly byte[] Nobody = RandomNumberGenerator.GetBytes(HMACSHA256.HashSizeInBytes);

    /// <summary>
    /// Whether one of the signatures was made with one of the keys. It takes as long with no key and with one as with two, so that the time says nothing about
    /// whether there are any; and each comparison takes as long as any other.
    /// </summary>
    public bool IsBy(IReadOnlyList<byte[]> keys, ReadOnlySpan<byte> body)
    {
        var matches = false;
        Span<byte> mac = stackalloc byte[HMACSHA256.HashSizeInBytes];
        for (var i = 0; i < MostKeys; i++)
        {
            using var hmac = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, i < keys.Count ? keys[i] : Nobody);
            hmac.AppendData(Prefix);
            hmac.AppendData(body);
            hmac.GetHashAndReset(mac);
            for (var s = 0; s < Math.Min(Signatures.Count, MostSignatures); s++) matches |= CryptographicOperations.FixedTimeEquals(mac, Signatures[s]) & i < keys.Count;
        }
        return matches;
    }

    /// <summary>A time in seconds or milliseconds; null for what is none.</summary>
    public static DateTimeOffset? Time(string text)
    {
        if (text.Length is 0 or > 14 || !long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) || number > LatestMilliseconds) return null;
        return number < EarliestMilliseconds ? DateTimeOffset.FromUnixTimeSeconds(number) : DateTimeOffset.FromUnixTimeMilliseconds(number);
    }

    /// <summary>The bytes of a signature in hexadecimal; empty for what is none.</summary>
    public static IReadOnlyList<byte[]> Hex(string? text)
    {
        var bytes = new byte[HMACSHA256.HashSizeInBytes];
        return text?.Length == 2 * bytes.Length && Convert.FromHexString(text, bytes, out _, out _) == System.Buffers.OperationStatus.Done ? [bytes] : [];
    }

    /// <summary>The bytes of a signature in base64; empty for what is none.</summary>
    public static IReadOnlyList<byte[]> Base64(string text)
    {
        var bytes = new byte[HMACSHA256.HashSizeInBytes];
        return text.Length <= 44 && Convert.TryFromBase64String(text, bytes, out var length) && length == bytes.Length ? [bytes] : [];
    }

    public static byte[] Before(params ReadOnlySpan<string> parts) => Encoding.UTF8.GetBytes(string.Concat(parts));
}
