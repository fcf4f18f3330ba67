using System.Buffers.Text;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace Nubabel.Api.Host.Tokens;

/// <summary>Why a token counts for nothing. For logs and tests; a client only hears that it does.</summary>
public enum JwsRefusal { None, Malformed, TooLong, WrongAlgorithm, WrongType, CriticalHeader, UnknownKey, BadSignature, BadClaims, Expired, NotYetValid, WrongIssuer, WrongAudience }

/// <summary>What a token must say besides being signed.</summary>
public sealed record JwsExpectations(string Issuer, string Audience, DateTimeOffset Now)
{
    /// <summary>How far clocks may differ.</summary>
    public TimeSpan Skew { get; init; } = TimeSpan.FromSeconds(60);
}

/// <summary>The outcome: claims, or why there are none.</summary>
public readonly record struct JwsVerdict(JsonElement? Claims, JwsRefusal Refusal)
{
    public static implicit operator JwsVerdict(JwsRefusal refusal) => new(null, refusal);
    public static JwsVerdict FromJwsRefusal(JwsRefusal refusal) => refusal;
}

/// <summary>
/// Compact JWS (RFC 7515) in the one form we issue and accept: ES256, <c>typ: at+jwt</c>, key by <c>kid</c>. Nothing in a token chooses how it
/// is verified (RFC 8725): algorithm and type are fixed, keys come from our set alone, and embedded keys or URLs are never looked at.
/// </summary>
public static class Jws
{
    private const string Algorithm = "ES256";
    private const string Type = "at+jwt";
    private const int LongestToken = 4096;
    private const int LongestKid = 128;
    private const int SignatureBytes = 64;
    private const DSASignatureFormat RAndS = DSASignatureFormat.IeeeP1363FixedFieldConcatenation;

    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false, MaxDepth = 8 };

    public static string Sign(ECDsa key, string kid, ReadOnlySpan<byte> payload)
    {
        ArgumentNullException.ThrowIfNull(key);
        var header = $$"""{"alg":"{{Algorithm}}","typ":"{{Type}}","kid":{{JsonSerializer.Serialize(kid)}}}""";
        var signed = Base64Url.EncodeToString(Encoding.UTF8.GetBytes(header)) + "." + Base64Url.EncodeToString(payload);
        return signed + "." + Base64Url.EncodeToString(key.SignData(Encoding.ASCII.GetBytes(signed), HashAlgorithmName.SHA256, RAndS));
    }

    public static JwsVerdict Verify(string token, Func<string, ECDsa?> keys, JwsExpectations expected)
    {
        ArgumentNullException.ThrowIfNull(keys);
        var refusal = ReadHeader(token, out var kid);
        return refusal == JwsRefusal.None ? Verify(token, keys(kid!), expected) : refusal;
    }

    /// <summary>The same where keys have to be fetched.</summary>
    public static async ValueTask<JwsVerdict> Verify(string token, Func<string, CancellationToken, ValueTask<ECDsa?>> keys, JwsExpectations expected, CancellationToken ct)
    {
        ArgumentNullException.ThrowIfNull(keys);
        var refusal = ReadHeader(token, out var kid);
        return refusal == JwsRefusal.None ? Verify(token, await keys(kid!, ct), expected) : refusal;
    }

    /// <summary>Checks all that can be checked before a key is known, and finds which one it takes.</summary>
    private static JwsRefusal ReadHeader(string token, out string? kid)
    {
        kid = null;
        if (string.IsNullOrEmpty(token)) return JwsRefusal.Malformed;
        if (token.Length > LongestToken) return JwsRefusal.TooLong;
        if (token.AsSpan().Count('.') != 2 || !TryDecode(token.AsSpan(0, token.IndexOf('.', StringComparison.Ordinal)), out var bytes)) return JwsRefusal.Malformed;
        // Our headers need no escapes, and an escape can spell half a character, which cannot be compared with anything.
        if (bytes.Contains((byte)'\\') || !TryObject(bytes, out var header)) return JwsRefusal.Malformed;
        if (!Says(header, "alg", Algorithm)) return JwsRefusal.WrongAlgorithm;
        if (!Says(header, "typ", Type)) return JwsRefusal.WrongType;
        // Whatever an extension demands, we don't do it, so the token is not for us. (b64 changes what is signed and must be critical.)
        if (header.TryGetProperty("crit", out _) || header.TryGetProperty("b64", out _)) return JwsRefusal.CriticalHeader;
        kid = header.TryGetProperty("kid", out var id) && id.ValueKind == JsonValueKind.String ? id.GetString() : null;
        return kid is { Length: > 0 and <= LongestKid } ? JwsRefusal.None : JwsRefusal.UnknownKey;
    }

    private static JwsVerdict Verify(string token, ECDsa? key, JwsExpectations expected)
    {
        if (key is null) return JwsRefusal.UnknownKey;
        if (!HasSignature(token, key)) return JwsRefusal.BadSignature;
        var (begin, end) = (token.IndexOf('.', StringComparison.Ordinal) + 1, token.LastIndexOf('.'));
        if (!TryDecode(token.AsSpan(begin, end - begin), out var payload) || !TryObject(payload, out var claims)) return JwsRefusal.Malformed;
        var refusal = Check(claims, expected);
        return refusal == JwsRefusal.None ? new JwsVerdict(claims, JwsRefusal.None) : refusal;
    }

    /// <summary>Whether the last part signs the two before it. Exactly r and s: a DER signature, or one that is cut or padded, never reaches the verifier.</summary>
    internal static bool HasSignature(string token, ECDsa key)
    {
        var end = token.LastIndexOf('.');
        return TryDecode(token.AsSpan(end + 1), out var signature) && signature.Length == SignatureBytes
            && key.VerifyData(Encoding.ASCII.GetBytes(token[..end]), signature, HashAlgorithmName.SHA256, RAndS);
    }

    private static JwsRefusal Check(JsonElement claims, JwsExpectations expected)
    {
        if (!TryTime(claims, "exp", out var expires) || expires is null) return JwsRefusal.BadClaims;
        if (!TryTime(claims, "nbf", out var notBefore) || !TryTime(claims, "iat", out var issued)) return JwsRefusal.BadClaims;
        if (expected.Now >= expires + expected.Skew) return JwsRefusal.Expired;
        if (notBefore - expected.Skew > expected.Now || issued - expected.Skew > expected.Now) return JwsRefusal.NotYetValid;
        if (!Says(claims, "iss", expected.Issuer)) return JwsRefusal.WrongIssuer;
        return IsFor(claims, expected.Audience) ? JwsRefusal.None : JwsRefusal.WrongAudience;
    }

    private static bool IsFor(JsonElement claims, string audience) => claims.TryGetProperty("aud", out var aud) && aud.ValueKind switch
    {
        JsonValueKind.String => aud.ValueEquals(audience),
        JsonValueKind.Array => aud.EnumerateArray().Any(a => a.ValueKind == JsonValueKind.String && a.ValueEquals(audience)),
        _ => false,
    };

    /// <summary>False where the claim is there and is no time; null where it is absent.</summary>
    private static bool TryTime(JsonElement claims, string name, out DateTimeOffset? time)
    {
        time = null;
        if (!claims.TryGetProperty(name, out var claim)) return true;
        // Year 9999 is the last that a DateTimeOffset knows, less the skew that is added to it.
        if (claim.ValueKind != JsonValueKind.Number || !claim.TryGetInt64(out var seconds) || seconds is < 0 or > 253_402_000_000) return false;
        time = DateTimeOffset.FromUnixTimeSeconds(seconds);
        return true;
    }

    private static bool Says(JsonElement json, string name, string value) =>
        json.TryGetProperty(name, out var member) && member.ValueKind == JsonValueKind.String && member.ValueEquals(value);

    private static bool TryObject(byte[] utf8, out JsonElement json)
    {
        json = default;
        if (!Utf8.IsValid(utf8)) return false;
        try
        {
            using var document = JsonDocument.Parse(utf8, Strict);
            json = document.RootElement.Clone();
            return json.ValueKind == JsonValueKind.Object;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    /// <summary>base64url in its one canonical spelling: no padding, no white space, no spare bits set.</summary>
    private static bool TryDecode(ReadOnlySpan<char> text, [NotNullWhen(true)] out byte[]? bytes)
    {
        bytes = null;
        if (text.IsEmpty || !Base64Url.IsValid(text)) return false;
        bytes = Base64Url.DecodeFromChars(text);
        return Base64Url.EncodeToString(bytes).AsSpan().SequenceEqual(text);
    }
}
