using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Nubabel.Api.Host;

/// <summary>
/// Makes and reads cursors: the place after which the next page starts, signed together with the question that it continues, so that
/// neither a forged place nor another tenant's, route's or filter's cursor is ever put into a query.
/// </summary>
/// <param name="key">At least 32 bytes, the same on every node.</param>
public sealed class Cursors(ReadOnlyMemory<byte> key)
{
    private const int SignatureBytes = 16;
    private const int LongestCursor = 2048;

    /// <param name="question">Tenant, route and filters; see <see cref="Paging"/>.</param>
    public string Make(string question, IReadOnlyList<string> place)
    {
        var payload = JsonSerializer.SerializeToUtf8Bytes(place);
        return Base64Url.EncodeToString([.. Sign(question, payload), .. payload]);
    }

    /// <summary>The place in a cursor that was made for this very question; otherwise 400.</summary>
    public IReadOnlyList<string> Read(string question, string cursor)
    {
        ArgumentNullException.ThrowIfNull(cursor);
        if (Decode(cursor) is { Length: > SignatureBytes } bytes
            && CryptographicOperations.FixedTimeEquals(Sign(question, bytes.AsSpan(SignatureBytes)), bytes.AsSpan(0, SignatureBytes)))
            return JsonSerializer.Deserialize<string[]>(bytes.AsSpan(SignatureBytes))!;
        throw Problem.At("cursor", "cursor.invalid", "The cursor was not made for this question. Start again without one.");
    }

    private byte[] Sign(string question, ReadOnlySpan<byte> payload)
    {
        // The question's length first: no other split of the same bytes into question and payload has the same signature.
        var asked = Encoding.UTF8.GetBytes(question);
        byte[] message = [.. BitConverter.GetBytes(System.Net.IPAddress.HostToNetworkOrder(asked.Length)), .. asked, .. payload];
        return HMACSHA256.HashData(key.Span, message)[..SignatureBytes];
    }

    private static byte[]? Decode(string cursor)
    {
        if (cursor.Length > LongestCursor || !Base64Url.IsValid(cursor)) return null;
        var bytes = Base64Url.DecodeFromChars(cursor);
        // One cursor has one spelling: padding, white space and spare bits are not it.
        return Base64Url.EncodeToString(bytes) == cursor ? bytes : null;
    }
}
