using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Nubabel.Api.Consumers;

/// <summary>
/// Signatures by Standard Webhooks 1.0 (https://www.standardwebhooks.com): HMAC-SHA256 over <c>id.timestamp.body</c> under a secret of 32 random bytes that is
/// written <c>whsec_</c> and base64.
/// </summary>
public static class Signatures
{
    public const string Prefix = "whsec_";
    private const int SecretBytes = 32;

    public static string NewSecret() => Prefix + Convert.ToBase64String(RandomNumberGenerator.GetBytes(SecretBytes));

    /// <summary>The header <c>webhook-signature</c>: one signature for each secret, so that a receiver may have either.</summary>
    public static string Of(IEnumerable<string> secrets, string id, DateTimeOffset at, ReadOnlySpan<byte> body)
    {
        var head = Encoding.ASCII.GetBytes($"{id}.{Seconds(at)}.");
        var signed = new byte[head.Length + body.Length];
        head.CopyTo(signed, 0);
        body.CopyTo(signed.AsSpan(head.Length));
        return string.Join(' ', secrets.Select(secret => "v1," + Convert.ToBase64String(HMACSHA256.HashData(Convert.FromBase64String(secret[Prefix.Length..]), signed))));
    }

    /// <summary>The header <c>webhook-timestamp</c>.</summary>
    public static string Seconds(DateTimeOffset at) => at.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
}
