using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Nubabel.Store;

/// <summary>What the chain says of an event: its number among the tenant's, where it stands, and the digest of all that is stored of it.</summary>
public readonly record struct ChainEntry(long Number, long Position, Guid Id, byte[] Digest);

/// <summary>
/// How entries are digested and linked; docs/audit.md has it in words and in another language. Every part is UTF-8 text behind its length in four bytes, the highest
/// first; what is null has the length FFFFFFFF. So no two different events give the same bytes.
/// </summary>
public static class ChainDigest
{
    public const int Size = SHA256.HashSizeInBytes;
    private const string Format = "nubabel audit chain 1";

    /// <summary>The link before a tenant's first entry.</summary>
    public static byte[] Seed(string tenant)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Add(hash, Format);
        Add(hash, tenant);
        return hash.GetHashAndReset();
    }

    /// <summary>Of the event as it is stored: JSON as PostgreSQL writes <c>jsonb</c>, sealed values sealed, the time in microseconds since 1970.</summary>
    public static byte[] Of(LoggedEvent e)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Add(hash, e.Position.ToString(CultureInfo.InvariantCulture));
        Add(hash, e.Id.ToString());
        Add(hash, e.Tenant);
        Add(hash, e.Stream);
        Add(hash, e.Version.ToString(CultureInfo.InvariantCulture));
        Add(hash, e.Type);
        Add(hash, Microseconds(e.At).ToString(CultureInfo.InvariantCulture));
        Add(hash, e.Actor);
        Add(hash, e.Data);
        Add(hash, e.Headers);
        return hash.GetHashAndReset();
    }

    /// <summary>The link of an entry: SHA-256 over the link before it and its digest.</summary>
    public static byte[] Link(ReadOnlySpan<byte> before, ReadOnlySpan<byte> digest)
    {
        Span<byte> both = stackalloc byte[2 * Size];
        before.CopyTo(both);
        digest.CopyTo(both[Size..]);
        return SHA256.HashData(both);
    }

    /// <summary>Whole microseconds since 1970-01-01 UTC.</summary>
    public static long Microseconds(DateTime at) => (at.Ticks - DateTime.UnixEpoch.Ticks) / TimeSpan.TicksPerMicrosecond;

    private static void Add(IncrementalHash hash, string? text)
    {
        Span<byte> length = stackalloc byte[4];
        if (text is null)
        {
            length.Fill(0xFF);
            hash.AppendData(length);
            return;
        }
        var bytes = Encoding.UTF8.GetBytes(text);
        BinaryPrimitives.WriteInt32BigEndian(length, bytes.Length);
        hash.AppendData(length);
        hash.AppendData(bytes);
    }
}
