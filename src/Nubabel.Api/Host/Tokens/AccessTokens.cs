using System.Buffers;
using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Nubabel.Domain;
using Nubabel.Domain.Organizations;
using Nubabel.Domain.Sessions;

namespace Nubabel.Api.Host.Tokens;

/// <summary>What a sign-in, sign-up or refresh is answered with; members as RFC 6749 §5.1 names them.</summary>
/// <param name="ExpiresIn">Seconds.</param>
public sealed record TokenAnswer(
    [property: System.Text.Json.Serialization.JsonPropertyName("access_token")] string AccessToken,
    [property: System.Text.Json.Serialization.JsonPropertyName("token_type")] string TokenType,
    [property: System.Text.Json.Serialization.JsonPropertyName("expires_in")] int ExpiresIn,
    [property: System.Text.Json.Serialization.JsonPropertyName("refresh_token")] string RefreshToken,
    [property: System.Text.Json.Serialization.JsonPropertyName("organization_id")] string? OrganizationId,
    [property: System.Text.Json.Serialization.JsonPropertyName("user_id")] Guid UserId,
    [property: System.Text.Json.Serialization.JsonPropertyName("session_id")] Id<Session> SessionId)
{
    /// <summary>For the document.</summary>
    internal const string Example = """
        {"access_token":"eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6Ii4uLiJ9.e30.c2ln","token_type":"Bearer","expires_in":900,"refresh_token":"nbr.01936d5e-5a0f-7a11-8e2b-0c4d5e6f7081.01936d5e-5a11-7d55-9a1f-7c2e3d4b5a60.0.bm90LWEtcmVhbC1zZWNyZXQtYnV0LTQzLWNoYXJhY3RlcnM","organization_id":"01936d5e-5a0f-7a11-8e2b-0c4d5e6f7081","user_id":"01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","session_id":"01936d5e-5a11-7d55-9a1f-7c2e3d4b5a60"}
        """;

    // A record prints its members; these must not be in a log.
    public override string ToString() => "(tokens)";
}

/// <summary>
/// Issues and checks access tokens (RFC 9068: <c>at+jwt</c>, ES256). A token that was checked once is remembered by its hash until it runs out, because
/// a signature costs more than all the rest of a request; whether its session lives is asked each time, elsewhere.
/// </summary>
public sealed class AccessTokens(SigningKeys keys, Settings settings, TimeProvider time)
{
    /// <summary>How many checked tokens a node remembers.</summary>
    private const int CacheBound = 50_000;

    /// <summary>Bytes that a token of ours stays below, so that its hash needs no buffer from the heap.</summary>
    private const int UsualToken = 1024;

    private readonly ConcurrentDictionary<UInt128, (Caller Caller, DateTimeOffset Until)> seen = new();

    public async Task<TokenAnswer> Issue(Caller caller, RefreshToken refresh, CancellationToken ct)
    {
        var (kid, key) = await keys.Signing(ct);
        var now = time.GetUtcNow();
        var payload = new ArrayBufferWriter<byte>(512);
        using (var json = new Utf8JsonWriter(payload))
        {
            json.WriteStartObject();
            json.WriteString("iss", settings.Issuer);
            json.WriteString("aud", AudienceOf(caller.Realm));
            json.WriteString("sub", caller.Id);
            json.WriteString("sid", caller.Session.Value);
            if (caller.Realm == Realm.Organization) json.WriteString("org", caller.Tenant);
            json.WriteString("role", caller.Role);
            json.WriteNumber("iat", now.ToUnixTimeSeconds());
            json.WriteNumber("exp", (now + settings.AccessLife).ToUnixTimeSeconds());
            json.WriteString("jti", Guid.CreateVersion7(now));
            json.WriteEndObject();
        }
        var token = Jws.Sign(key, kid, payload.WrittenSpan);
        return new TokenAnswer(
            token, "Bearer", (int)settings.AccessLife.TotalSeconds, refresh.Text, caller.Realm == Realm.Organization ? caller.Tenant : null, caller.Id, caller.Session);
    }

    /// <summary>Who calls with this token.</summary>
    /// <exception cref="Problem">401: it is not one of ours, or has run out. Which it is, only the log hears.</exception>
    public async ValueTask<Caller> Check(string token, CancellationToken ct)
    {
        var now = time.GetUtcNow();
        var hash = HashOf(token);
        if (seen.TryGetValue(hash, out var known) && now < known.Until) return known.Caller;
        foreach (var realm in (Realm[])[Realm.Organization, Realm.Platform])
        {
            var verdict = await Jws.Verify(token, keys.Verifying, new JwsExpectations(settings.Issuer, AudienceOf(realm), now), ct);
            if (verdict.Refusal == JwsRefusal.WrongAudience) continue;
            if (verdict.Claims is not { } claims || CallerOf(realm, claims) is not { } caller) break;
            if (seen.Count >= CacheBound) seen.Clear();
            seen[hash] = (caller, DateTimeOffset.FromUnixTimeSeconds(claims.GetProperty("exp").GetInt64()));
            return caller;
        }
        throw Authentication.Unauthorized("credential.invalid", "The access token is not valid, or has run out.");
    }

    private static UInt128 HashOf(string token)
    {
        Span<byte> utf8 = stackalloc byte[UsualToken];
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        if (!Encoding.UTF8.TryGetBytes(token, utf8, out var length)) return MemoryMarshal.Read<UInt128>(SHA256.HashData(Encoding.UTF8.GetBytes(token)));
        SHA256.HashData(utf8[..length], hash);
        return MemoryMarshal.Read<UInt128>(hash);
    }

    private static Caller? CallerOf(Realm realm, JsonElement claims)
    {
        if (!Guid.TryParseExact(Text("sub"), "D", out var id) || !Id<Session>.TryParse(Text("sid"), null, out var session) || Text("role") is not { } role) return null;
        if (realm == Realm.Platform) return new Caller(realm, Node.Platform, id, session, role);
        // Only an id is a tenant: a list, or the platform's name, is nobody's organization, whoever signed it.
        return Id<Organization>.TryParse(Text("org"), null, out var organization) ? new Caller(realm, organization.ToString(), id, session, role) : null;

        string? Text(string claim) => claims.TryGetProperty(claim, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
    }

    private string AudienceOf(Realm realm) => realm == Realm.Platform ? $"{settings.Audience}:platform" : settings.Audience;
}
