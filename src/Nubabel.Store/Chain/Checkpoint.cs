using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Nubabel.Store;

/// <summary>What is signed: so many entries a tenant's chain had, and such was the link of the last one.</summary>
/// <param name="Issuer">Which installation says so.</param>
/// <param name="Link">32 bytes.</param>
/// <param name="At">When it was said, in seconds since 1970.</param>
public sealed record Checkpoint(
    [property: JsonPropertyName("iss")] string Issuer, [property: JsonPropertyName("sub")] string Tenant, [property: JsonPropertyName("entries")] long Entries,
    [property: JsonPropertyName("position")] long Position, [property: JsonPropertyName("link"), JsonConverter(typeof(Base64UrlBytes))] byte[] Link, [property: JsonPropertyName("iat")] long At)
{
    private const string Type = "nubabel-checkpoint+jwt";
    private const int SignatureBytes = 64;

    /// <summary>A checkpoint has some 400 characters.</summary>
    private const int Longest = 4096;

    private static readonly JsonSerializerOptions Strict = new() { AllowDuplicateProperties = false, RespectRequiredConstructorParameters = true, RespectNullableAnnotations = true, MaxDepth = 4 };

    /// <summary>A compact JWS (RFC 7515), ES256.</summary>
    public string Sign(ECDsa key, string kid)
    {
        var header = $$"""{"alg":"ES256","typ":"{{Type}}","kid":"{{kid}}"}""";
        var signed = $"{Base64Url.EncodeToString(Encoding.UTF8.GetBytes(header))}.{Base64Url.EncodeToString(JsonSerializer.SerializeToUtf8Bytes(this, Strict))}";
        return $"{signed}.{Base64Url.EncodeToString(key.SignData(Encoding.ASCII.GetBytes(signed), HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation))}";
    }

    /// <summary>The checkpoint of a statement; null when none of the keys has signed it.</summary>
    public static Checkpoint? Read(string statement, Func<string, ECDsa?> keys)
    {
        if (statement.Length > Longest || statement.Split('.') is not [var header, var payload, var signature]) return null;
        try
        {
            var head = JsonSerializer.Deserialize<Header>(Base64Url.DecodeFromChars(header), Strict);
            // Nothing in a statement chooses how it is verified (RFC 8725): algorithm and type are fixed, and the key is one of ours.
            if (head is not { Alg: "ES256", Typ: Type } || keys(head.Kid) is not { } key) return null;
            var bytes = Base64Url.DecodeFromChars(signature);
            return bytes.Length == SignatureBytes
                && key.VerifyData(Encoding.ASCII.GetBytes($"{header}.{payload}"), bytes, HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation)
                && JsonSerializer.Deserialize<Checkpoint>(Base64Url.DecodeFromChars(payload), Strict) is { Link.Length: ChainDigest.Size } checkpoint ? checkpoint : null;
        }
        catch (Exception malformed) when (malformed is FormatException or JsonException)
        {
            return null;
        }
    }

    private sealed record Header([property: JsonPropertyName("alg")] string Alg, [property: JsonPropertyName("typ")] string Typ, [property: JsonPropertyName("kid")] string Kid);
}

internal sealed class Base64UrlBytes : JsonConverter<byte[]>
{
    public override byte[] Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => Base64Url.DecodeFromChars(reader.GetString());

    public override void Write(Utf8JsonWriter writer, byte[] value, JsonSerializerOptions options) => writer.WriteStringValue(Base64Url.EncodeToString(value));
}
