using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using Nubabel.Domain;
using Nubabel.Domain.Users;

namespace Nubabel.Api.Host.Tokens;

/// <summary>What a mailed link carries to set a new password: tenant and user in the clear, and a secret of 256 bit of which only the hash is kept.</summary>
public sealed record ResetToken(string Tenant, Id<User> User, string Secret)
{
    /// <summary>What is kept of it.</summary>
    public string Hash => Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(Secret)));

    public string Text => $"nbp.{Tenant}.{User}.{Secret}";

    public static ResetToken New(string tenant, Id<User> user) => new(tenant, user, Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32)));

    /// <summary>Null for anything that is not in the form of a token.</summary>
    public static ResetToken? Parse(string text) =>
        text.Length <= 200 && text.Split('.') is ["nbp", var tenant, var user, { Length: 43 } secret] && Id<User>.TryParse(tenant, null, out _) && Id<User>.TryParse(user, null, out var id)
            ? new ResetToken(tenant, id, secret)
            : null;

    // A record prints its members; this one must not show its secret in a log.
    public override string ToString() => "(reset token)";
}
