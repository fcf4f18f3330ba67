using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Nubabel.Domain;
using Nubabel.Domain.ApiKeys;
using Nubabel.Domain.Organizations;
using Nubabel.Projections.ApiKeys;
using Nubabel.Store;

namespace Nubabel.Api.Host.Tokens;

/// <summary>
/// An API key taken apart: <c>nbk.&lt;tenant&gt;.&lt;key&gt;.&lt;generation&gt;.&lt;secret&gt;&lt;checksum&gt;</c>. All but the secret is in the clear, so that the tenant is
/// known before anything is looked up; the checksum refuses a typing error without any look-up. It is no secret and proves nothing.
/// </summary>
public sealed record ApiKeyText(string Tenant, Id<ApiKey> Key, int Generation, string Secret)
{
    private const string Scheme = "nbk.";

    /// <summary>256 bit in base64url.</summary>
    private const int SecretCharacters = 43;

    /// <summary>32 bit in base64url.</summary>
    private const int ChecksumBytes = 4, ChecksumCharacters = 6;

    private const int MostCharacters = 160;

    /// <summary>What is kept of it.</summary>
    public string Hash => Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(Secret)));

    public string Text => Unchecked + ChecksumOf(Unchecked);

    private string Unchecked => ApiKeyList.PrefixOf(Tenant, Key.Value, Generation) + Secret;

    /// <summary>Whether a credential wants to be an API key, well formed or not.</summary>
    public static bool Claims(string credential) => credential.StartsWith(Scheme, StringComparison.Ordinal);

    /// <summary>Null for anything that is not in the form of a key, a wrong checksum included.</summary>
    public static ApiKeyText? Parse(string text)
    {
        if (text.Length > MostCharacters || text.Split('.') is not ["nbk", var tenant, var key, var generation, { Length: SecretCharacters + ChecksumCharacters } end]) return null;
        if (text.AsSpan().ContainsAnyExceptInRange('!', '~') || ChecksumOf(text[..^ChecksumCharacters]) != end[SecretCharacters..]) return null;
        if (!Id<ApiKey>.TryParse(key, null, out var id) || !int.TryParse(generation, NumberStyles.None, CultureInfo.InvariantCulture, out var number)) return null;
        if (tenant != "platform" && !Id<Organization>.TryParse(tenant, null, out _)) return null;
        return new ApiKeyText(tenant == "platform" ? Node.Platform : tenant, id, number, end[..SecretCharacters]);
    }

    private static string ChecksumOf(string text) => Base64Url.EncodeToString(SHA256.HashData(Encoding.ASCII.GetBytes(text)).AsSpan(0, ChecksumBytes));

    // A record prints its members; this one must not show its secret in a log.
    public override string ToString() => "(API key)";
}

/// <summary>
/// Makes API keys: the secret is a MAC over tenant, key and generation under a key of the server's. So a repeated request gets the same key, and all who
/// rotate one generation at the same time get the same successor, from any node, and no secret is kept.
/// </summary>
public sealed class ApiKeyTexts(RootKey root)
{
    private readonly byte[] key = root.Derive("api-key");

    public ApiKeyText Of(string tenant, Id<ApiKey> id, int generation) =>
        new(tenant, id, generation, Base64Url.EncodeToString(HMACSHA256.HashData(key, Encoding.ASCII.GetBytes($"{tenant}|{id}|{generation.ToString(CultureInfo.InvariantCulture)}"))));
}
