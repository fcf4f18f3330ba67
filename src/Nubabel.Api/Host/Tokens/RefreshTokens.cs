using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Nubabel.Domain;
using Nubabel.Domain.Sessions;
using Nubabel.Store;

namespace Nubabel.Api.Host.Tokens;

/// <summary>A refresh token taken apart. The tenant, session and generation are in the clear; the secret is 256 bit.</summary>
public sealed record RefreshToken(string Tenant, Id<Session> Session, int Generation, string Secret)
{
    /// <summary>What is kept of it.</summary>
    public string Hash => Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(Secret)));

    public string Text => $"nbr.{(Tenant == Node.Platform ? "platform" : Tenant)}.{Session}.{Generation.ToString(CultureInfo.InvariantCulture)}.{Secret}";

    // A record prints its members; this one must not show its secret in a log.
    public override string ToString() => "(refresh token)";
}

/// <summary>
/// Makes refresh tokens: the secret is a MAC over family and generation under a key of the server's, so that whoever refreshes the same token
/// at the same time gets the same successor, from any node.
/// </summary>
public sealed class RefreshTokens(RootKey root)
{
    private readonly byte[] key = root.Derive("refresh-token");

    public RefreshToken Of(string tenant, Id<Session> session, int generation) =>
        new(tenant, session, generation, Base64Url.EncodeToString(HMACSHA256.HashData(key, Encoding.ASCII.GetBytes($"{tenant}|{session}|{generation.ToString(CultureInfo.InvariantCulture)}"))));

    /// <summary>Null for anything that is not in the form of a token.</summary>
    public static RefreshToken? Parse(string text)
    {
        if (text.Length > 300 || text.Split('.') is not ["nbr", var tenant, var session, var generation, { Length: 43 } secret]) return null;
        if (!Id<Session>.TryParse(session, null, out var id)) return null;
        if (!int.TryParse(generation, NumberStyles.None, CultureInfo.InvariantCulture, out var number)) return null;
        if (tenant != "platform" && !Guid.TryParseExact(tenant, "D", out _)) return null;
        return new RefreshToken(tenant == "platform" ? Node.Platform : tenant, id, number, secret);
    }
}
