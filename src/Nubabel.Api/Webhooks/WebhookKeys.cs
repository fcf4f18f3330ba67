using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Domain.Webhooks;
using Nubabel.Store;

namespace Nubabel.Api.Webhooks;

/// <summary>
/// The addresses and secrets of sources. An address carries the tenant and the source in the clear, and a MAC: nobody can make one up, and what was made up is
/// refused without a look-up. Secrets are sealed by the root, since a signature can only be checked by who has the secret.
/// </summary>
public sealed class WebhookKeys(RootKey root)
{
    private const int IdBytes = 16, MacBytes = 16;
    private readonly byte[] address = root.Derive("webhook-address"), made = root.Derive("webhook-secret"), print = root.Derive("webhook-secret-print");

    /// <summary>Where a source's webhooks go.</summary>
    public string Path(string tenant, Id<WebhookSource> id, ProviderName provider)
    {
        ArgumentNullException.ThrowIfNull(provider);
        Span<byte> bytes = stackalloc byte[2 * IdBytes + MacBytes];
        Guid.Parse(tenant).TryWriteBytes(bytes, bigEndian: true, out _);
        id.Value.TryWriteBytes(bytes[IdBytes..], bigEndian: true, out _);
        Mac(bytes[..(2 * IdBytes)]).CopyTo(bytes[(2 * IdBytes)..]);
        return $"/api/webhooks/{provider.Value}/{Base64Url.EncodeToString(bytes)}";
    }

    /// <summary>Whose source an address names; null for one that was not made here.</summary>
    public (string Tenant, Id<WebhookSource> Source)? Read(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        Span<byte> bytes = stackalloc byte[2 * IdBytes + MacBytes];
        if (text.Length != Base64Url.GetEncodedLength(bytes.Length) || !Base64Url.TryDecodeFromChars(text, bytes, out var length) || length != bytes.Length) return null;
        if (!CryptographicOperations.FixedTimeEquals(Mac(bytes[..(2 * IdBytes)]), bytes[(2 * IdBytes)..])) return null;
        return (new Guid(bytes[..IdBytes], bigEndian: true).ToString("D"), new Id<WebhookSource>(new Guid(bytes[IdBytes..(2 * IdBytes)], bigEndian: true)));
    }

    /// <summary>A secret of the server's making: the same whenever the same generation of the same source is asked for, so that a repeated request gets the same.</summary>
    internal string Make(Scheme scheme, string tenant, Id<WebhookSource> id, int generation) =>
        scheme.Secret(HMACSHA256.HashData(made, Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{tenant}|{id}|{generation}"))));

    public string Seal(string tenant, Id<WebhookSource> id, string secret) => Base64Url.EncodeToString(root.Wrap("webhook-secret-seal", $"{tenant}|{id}", Encoding.UTF8.GetBytes(secret)));

    public string Open(string tenant, Id<WebhookSource> id, string sealedSecret) => Encoding.UTF8.GetString(root.Unwrap("webhook-secret-seal", $"{tenant}|{id}", Base64Url.DecodeFromChars(sealedSecret)));

    /// <summary>What tells whether two secrets of a source are the same.</summary>
    public string Print(string tenant, Id<WebhookSource> id, string secret) => Convert.ToHexStringLower(HMACSHA256.HashData(print, Encoding.UTF8.GetBytes($"{tenant}|{id}|{secret}")));

    private ReadOnlySpan<byte> Mac(ReadOnlySpan<byte> bytes) => HMACSHA256.HashData(address, bytes).AsSpan(0, MacBytes);
}
