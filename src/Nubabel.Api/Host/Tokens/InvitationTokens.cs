using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using Nubabel.Domain;
using Nubabel.Domain.Invitations;
using Nubabel.Domain.Organizations;
using Nubabel.Store;

namespace Nubabel.Api.Host.Tokens;

/// <summary>An invitation's token taken apart. Tenant and invitation are in the clear; the secret is 256 bit.</summary>
public sealed record InvitationToken(string Tenant, Id<Invitation> Invitation, string Secret)
{
    /// <summary>What is kept of it.</summary>
    public string Hash => Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(Secret)));

    public string Text => $"nbi.{Tenant}.{Invitation}.{Secret}";

    // A record prints its members; this one must not show its secret in a log.
    public override string ToString() => "(invitation token)";
}

/// <summary>
/// Makes invitation tokens: the secret is a MAC over the invitation under a key of the server's, so that a repeated request is answered with the same token
/// and no node keeps one.
/// </summary>
public sealed class InvitationTokens(RootKey root)
{
    private const int Longest = 200;
    private readonly byte[] key = root.Derive("invitation-token");

    public InvitationToken Of(string tenant, Id<Invitation> invitation) =>
        new(tenant, invitation, Base64Url.EncodeToString(HMACSHA256.HashData(key, Encoding.ASCII.GetBytes($"{tenant}|{invitation}"))));

    /// <summary>Null for anything that is not in the form of a token.</summary>
    public static InvitationToken? Parse(string text) =>
        text.Length <= Longest && text.Split('.') is ["nbi", var tenant, var invitation, { Length: 43 } secret]
        && Id<Organization>.TryParse(tenant, null, out _) && Id<Invitation>.TryParse(invitation, null, out var id)
            ? new InvitationToken(tenant, id, secret)
            : null;
}
