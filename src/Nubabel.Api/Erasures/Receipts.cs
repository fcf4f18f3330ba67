using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Domain.Erasures;
using Nubabel.Domain.Organizations;
using Nubabel.Domain.Users;
using Nubabel.Projections;
using Nubabel.Projections.Erasures;
using Nubabel.Store;

namespace Nubabel.Api.Erasures;

/// <summary>What somebody keeps of an erasure to ask after it: tenant and account in the clear, the secret is 256 bit.</summary>
public sealed record ReceiptCode(string Tenant, Id<User> Person, string Secret)
{
    private const int Longest = 200;

    /// <summary>What is kept of it.</summary>
    public string Hash => Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(Secret)));

    public string Text => $"nbe.{Tenant}.{Person}.{Secret}";

    /// <summary>Null for anything that is not in the form of a code.</summary>
    public static ReceiptCode? Parse(string text) =>
        text.Length <= Longest && text.Split('.') is ["nbe", var tenant, var person, { Length: 43 } secret] && Id<Organization>.TryParse(tenant, null, out _) && Id<User>.TryParse(person, null, out var id)
            ? new ReceiptCode(tenant, id, secret)
            : null;

    // A record prints its members; this one must not show its secret in a log.
    public override string ToString() => "(receipt code)";
}

/// <summary>How an erasure stands, as whoever has its code is told. It says nothing that is personal.</summary>
/// <param name="Id">The account's.</param>
/// <param name="Erased">How much there was; null until it is completed, and where a restored backup knows nothing of the account.</param>
/// <param name="Code">With which anybody may ask after it; only in the answer to who wanted it.</param>
/// <param name="Statement">The same, signed: a compact JWS that can be verified without this server.</param>
public sealed record Receipt(
    Id<User> Id, Id<Organization> OrganizationId, ErasureStatus State, DateTimeOffset RequestedAt, DateTimeOffset? CompletedAt, Erased? Erased, string? Code, string? Statement);

/// <summary>
/// Receipts of erasures. The code's secret is a MAC over the account under a key of the server's, so that who asks again gets the same one and no node keeps it. The
/// statement is signed by the keys of the audit chain, whose public halves are kept for good.
/// </summary>
public sealed class Receipts(Node node, Settings settings, ChainKeys keys)
{
    private const string Type = "nubabel-erasure+jwt";
    private readonly byte[] key = node.Root.Derive("erasure-receipt");

    public ReceiptCode CodeOf(string tenant, Id<User> person) =>
        new(tenant, person, Base64Url.EncodeToString(HMACSHA256.HashData(key, Encoding.ASCII.GetBytes($"{tenant}|{person}"))));

    /// <summary>What an erasure looks like to who wanted it, or, without the code, to who asks after it.</summary>
    public async Task<Receipt> Of(string tenant, Outcome<Erasure> erasure, bool withCode, CancellationToken ct)
    {
        var (state, person) = (erasure.State, new Id<User>(erasure.Id.Value));
        return new Receipt(
            person, Id<Organization>.Parse(tenant), state.Status, await RequestedAt(tenant, erasure, ct), erasure.Row<ErasureRow>()?.CompletedAt, state.Counts,
            withCode ? CodeOf(tenant, person).Text : null, state.Statement);
    }

    /// <summary>When it was wanted. What the ledger has carried out again was wanted when the ledger got it, a moment after the wish.</summary>
    internal async Task<DateTimeOffset> RequestedAt(string tenant, Outcome<Erasure> erasure, CancellationToken ct) =>
        erasure.State.Wish == ErasureWish.Ledger && await ErasureRows.Find(node.Everyones, tenant, erasure.Id.Value, ct) is { } known ? known.Entered : erasure.Row<ErasureRow>()!.RequestedAt;

    /// <summary>Of an account that this database knows only by the ledger, because it is restored from before there was one: that it is erased, and since when. Null where the ledger has no such.</summary>
    internal async Task<Receipt?> OfLedger(ReceiptCode asked, CancellationToken ct) =>
        asked.Hash == CodeOf(asked.Tenant, asked.Person).Hash && await ErasureRows.Find(node.Everyones, asked.Tenant, asked.Person.Value, ct) is { Done: { } done } known
            ? new Receipt(asked.Person, Id<Organization>.Parse(asked.Tenant), ErasureStatus.Completed, known.Entered, done, null, null, null)
            : null;

    /// <summary>Signs what was done: a compact JWS (RFC 7515), ES256.</summary>
    internal async Task<string> Sign(string tenant, Id<User> person, DateTimeOffset requested, DateTimeOffset completed, Erased counts, CancellationToken ct)
    {
        var (kid, signing) = await keys.Signing(ct);
        using (signing)
        {
            var header = $$"""{"alg":"ES256","typ":"{{Type}}","kid":"{{kid}}"}""";
            var claims = JsonSerializer.SerializeToUtf8Bytes(new Claims(settings.Issuer, person, tenant, requested.ToUnixTimeSeconds(), completed.ToUnixTimeSeconds(), counts), Json.Options);
            var signed = $"{Base64Url.EncodeToString(Encoding.ASCII.GetBytes(header))}.{Base64Url.EncodeToString(claims)}";
            return $"{signed}.{Base64Url.EncodeToString(signing.SignData(Encoding.ASCII.GetBytes(signed), HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation))}";
        }
    }

    private sealed record Claims(
        [property: JsonPropertyName("iss")] string Issuer, [property: JsonPropertyName("sub")] Id<User> Person, [property: JsonPropertyName("org")] string Tenant,
        long Requested, [property: JsonPropertyName("iat")] long Completed, Erased Erased);
}
