using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using Nubabel.Api.Host.Tokens;

namespace Nubabel.Api.Tests.Host.Tokens;

public sealed class JwsTests : IDisposable
{
    private const string Kid = "key-1";
    private static readonly DateTimeOffset Now = DateTimeOffset.FromUnixTimeSeconds(1_800_000_000);
    private static readonly JwsExpectations Expected = new("https://id.example", "nubabel", Now);
    private readonly ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    public void Dispose() => key.Dispose();

    private static string Claims(long exp = 60, string more = "") => $$"""{"iss":"https://id.example","aud":"nubabel","sub":"u","exp":{{Now.ToUnixTimeSeconds() + exp}}{{more}}}""";

    private static string Encode(string text) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(text));

    private string Good() => Jws.Sign(key, Kid, Encoding.UTF8.GetBytes(Claims()));

    /// <summary>A token with any header, truly signed.</summary>
    private string Signed(string header, string claims)
    {
        var text = Encode(header) + "." + Encode(claims);
        return text + "." + Base64Url.EncodeToString(key.SignData(Encoding.ASCII.GetBytes(text), HashAlgorithmName.SHA256));
    }

    private JwsVerdict Verify(string token) => Jws.Verify(token, kid => kid == Kid ? key : null, Expected);

    [Fact]
    public void What_we_sign_we_accept()
    {
        var verdict = Verify(Good());
        Assert.Equal(JwsRefusal.None, verdict.Refusal);
        Assert.Equal("u", verdict.Claims!.Value.GetProperty("sub").GetString());
    }

    [Fact]
    public async Task Keys_may_have_to_be_fetched()
    {
        var verdict = await Jws.Verify(Good(), (kid, _) => ValueTask.FromResult(kid == Kid ? key : null), Expected, CancellationToken.None);
        Assert.Equal(JwsRefusal.None, verdict.Refusal);
    }

    [Fact]
    public void The_signature_of_RFC_7515_A_3_verifies_and_its_token_is_not_for_us()
    {
        const string token = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
            + ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
        using var vector = ECDsa.Create(new ECParameters
        {
            Curve = ECCurve.NamedCurves.nistP256,
            Q = new ECPoint
            {
                X = Base64Url.DecodeFromChars("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"),
                Y = Base64Url.DecodeFromChars("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"),
            },
        });
        Assert.True(Jws.HasSignature(token, vector));
        Assert.False(Jws.HasSignature(token, key));
        Assert.False(Jws.HasSignature(token.Replace("eyJpc3Mi", "eyJpc3Mj", StringComparison.Ordinal), vector));
        Assert.Equal(JwsRefusal.WrongType, Jws.Verify(token, _ => vector, Expected).Refusal);
    }

    [Theory]
    [InlineData("""{"alg":"none","typ":"at+jwt","kid":"key-1"}""", JwsRefusal.WrongAlgorithm)]
    [InlineData("""{"alg":"None","typ":"at+jwt","kid":"key-1"}""", JwsRefusal.WrongAlgorithm)]
    [InlineData("""{"alg":"HS256","typ":"at+jwt","kid":"key-1"}""", JwsRefusal.WrongAlgorithm)]
    [InlineData("""{"alg":"ES384","typ":"at+jwt","kid":"key-1"}""", JwsRefusal.WrongAlgorithm)]
    [InlineData("""{"alg":"es256","typ":"at+jwt","kid":"key-1"}""", JwsRefusal.WrongAlgorithm)]
    [InlineData("""{"alg":["ES256"],"typ":"at+jwt","kid":"key-1"}""", JwsRefusal.WrongAlgorithm)]
    [InlineData("""{"typ":"at+jwt","kid":"key-1"}""", JwsRefusal.WrongAlgorithm)]
    [InlineData("""{"alg":"ES256","typ":"JWT","kid":"key-1"}""", JwsRefusal.WrongType)]
    [InlineData("""{"alg":"ES256","kid":"key-1"}""", JwsRefusal.WrongType)]
    [InlineData("""{"alg":"ES256","typ":"at+jwt","kid":"key-2"}""", JwsRefusal.UnknownKey)]
    [InlineData("""{"alg":"ES256","typ":"at+jwt"}""", JwsRefusal.UnknownKey)]
    [InlineData("""{"alg":"ES256","typ":"at+jwt","kid":1}""", JwsRefusal.UnknownKey)]
    [InlineData("""{"alg":"ES256","typ":"at+jwt","kid":"\ud800"}""", JwsRefusal.Malformed)]
    [InlineData("""{"alg":"\ud800","typ":"at+jwt","kid":"key-1"}""", JwsRefusal.Malformed)]
    [InlineData("""{"alg":"ES256","typ":"at+jwt","kid":"key-1","crit":["exp"]}""", JwsRefusal.CriticalHeader)]
    [InlineData("""{"alg":"ES256","typ":"at+jwt","kid":"key-1","b64":false}""", JwsRefusal.CriticalHeader)]
    [InlineData("""{"alg":"none","alg":"ES256","typ":"at+jwt","kid":"key-1"}""", JwsRefusal.Malformed)]
    [InlineData("""{"alg":"none","\u0061lg":"ES256","typ":"at+jwt","kid":"key-1"}""", JwsRefusal.Malformed)]
    [InlineData("""["ES256"]""", JwsRefusal.Malformed)]
    [InlineData("""{"alg":"ES256",}""", JwsRefusal.Malformed)]
    [InlineData("""{"alg":"ES256","typ":"at+jwt","kid":"key-1"}""", JwsRefusal.None)]
    public void A_header_cannot_choose_how_it_is_verified(string header, JwsRefusal refusal) => Assert.Equal(refusal, Verify(Signed(header, Claims())).Refusal);

    [Fact]
    public void An_unsigned_token_is_none()
    {
        Assert.Equal(JwsRefusal.WrongAlgorithm, Verify(Encode("""{"alg":"none","typ":"at+jwt","kid":"key-1"}""") + "." + Encode(Claims()) + ".").Refusal);
        Assert.Equal(JwsRefusal.BadSignature, Verify(Good()[..(Good().LastIndexOf('.') + 1)]).Refusal);
    }

    [Fact]
    public void A_mac_with_the_public_key_is_no_signature()
    {
        foreach (var algorithm in new[] { "HS256", "ES256" })
        {
            var text = Encode($$"""{"alg":"{{algorithm}}","typ":"at+jwt","kid":"key-1"}""") + "." + Encode(Claims());
            var mac = HMACSHA256.HashData(key.ExportSubjectPublicKeyInfo(), Encoding.ASCII.GetBytes(text));
            Assert.NotEqual(JwsRefusal.None, Verify(text + "." + Base64Url.EncodeToString(mac)).Refusal);
        }
    }

    [Fact]
    public void A_key_in_the_header_is_not_looked_at()
    {
        using var own = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var q = own.ExportParameters(false).Q;
        var jwk = $$"""{"kty":"EC","crv":"P-256","x":"{{Base64Url.EncodeToString(q.X)}}","y":"{{Base64Url.EncodeToString(q.Y)}}"}""";
        foreach (var more in new[] { $"\"jwk\":{jwk}", "\"jku\":\"https://evil.example/keys\"", "\"x5u\":\"https://evil.example/cert\"" })
        {
            var text = Encode($$"""{"alg":"ES256","typ":"at+jwt","kid":"key-1",{{more}}}""") + "." + Encode(Claims());
            var token = text + "." + Base64Url.EncodeToString(own.SignData(Encoding.ASCII.GetBytes(text), HashAlgorithmName.SHA256));
            Assert.Equal(JwsRefusal.BadSignature, Verify(token).Refusal);
        }
    }

    [Fact]
    public void Only_the_64_bytes_of_r_and_s_are_a_signature()
    {
        var token = Good();
        var text = token[..token.LastIndexOf('.')];
        var signature = Base64Url.DecodeFromChars(token.AsSpan(text.Length + 1));
        var der = key.SignData(Encoding.ASCII.GetBytes(text), HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence);
        byte[][] bad =
        [
            der, signature[..63], [.. signature, 0], [.. signature, .. signature], new byte[64], [.. new byte[32], .. signature[32..]], [.. signature[..32], .. new byte[32]],
            [.. Enumerable.Repeat((byte)0xFF, 64)], [.. signature[32..], .. signature[..32]],
        ];
        Assert.All(bad, b => Assert.Equal(JwsRefusal.BadSignature, Verify(text + "." + Base64Url.EncodeToString(b)).Refusal));
        Assert.Equal(JwsRefusal.None, Verify(text + "." + Base64Url.EncodeToString(signature)).Refusal);
    }

    [Fact]
    public void One_token_has_one_spelling()
    {
        var parts = Good().Split('.');
        Assert.NotEqual(JwsRefusal.None, Verify(Good() + "=").Refusal);
        Assert.NotEqual(JwsRefusal.None, Verify(Good() + "==").Refusal);
        Assert.NotEqual(JwsRefusal.None, Verify(" " + Good()).Refusal);
        Assert.NotEqual(JwsRefusal.None, Verify(Good() + "\n").Refusal);
        Assert.NotEqual(JwsRefusal.None, Verify(Good() + ".").Refusal);
        Assert.NotEqual(JwsRefusal.None, Verify(parts[0] + "." + parts[1]).Refusal);
        // 64 bytes end in a letter of which four bits count for nothing: set, they make another text of the same bytes.
        const string alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        var last = alphabet.IndexOf(parts[2][^1], StringComparison.Ordinal);
        var twin = parts[0] + "." + parts[1] + "." + parts[2][..^1] + alphabet[last | 1];
        Assert.Equal(JwsRefusal.BadSignature, Verify(twin).Refusal);
    }

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("..")]
    [InlineData("a.b.c")]
    [InlineData("é.é.é")]
    public void Nonsense_is_malformed(string token) => Assert.Equal(JwsRefusal.Malformed, Verify(token).Refusal);

    [Fact]
    public void A_huge_token_is_not_even_looked_at() => Assert.Equal(JwsRefusal.TooLong, Verify(new string('a', 5000)).Refusal);

    [Theory]
    [InlineData(-59, "", JwsRefusal.None)]
    [InlineData(-60, "", JwsRefusal.Expired)]
    [InlineData(60, ",\"nbf\":1800000060", JwsRefusal.None)]
    [InlineData(60, ",\"nbf\":1800000061", JwsRefusal.NotYetValid)]
    [InlineData(60, ",\"iat\":1800000061", JwsRefusal.NotYetValid)]
    [InlineData(60, ",\"iat\":\"now\"", JwsRefusal.BadClaims)]
    [InlineData(60, ",\"nbf\":1e400", JwsRefusal.BadClaims)]
    [InlineData(60, ",\"sub\":\"twice\"", JwsRefusal.Malformed)]
    public void Times_hold_within_a_minute(long expires, string more, JwsRefusal refusal) =>
        Assert.Equal(refusal, Verify(Jws.Sign(key, Kid, Encoding.UTF8.GetBytes(Claims(expires, more)))).Refusal);

    [Theory]
    [InlineData("""{"iss":"https://id.example","aud":"nubabel"}""", JwsRefusal.BadClaims)]
    [InlineData("""{"iss":"https://id.example","aud":"nubabel","exp":1e3}""", JwsRefusal.BadClaims)]
    [InlineData("""{"iss":"https://id.example","aud":"nubabel","exp":99999999999999999999}""", JwsRefusal.BadClaims)]
    [InlineData("""{"iss":"https://evil.example","aud":"nubabel","exp":1800000010}""", JwsRefusal.WrongIssuer)]
    [InlineData("""{"aud":"nubabel","exp":1800000010}""", JwsRefusal.WrongIssuer)]
    [InlineData("""{"iss":"https://id.example","aud":"other","exp":1800000010}""", JwsRefusal.WrongAudience)]
    [InlineData("""{"iss":"https://id.example","exp":1800000010}""", JwsRefusal.WrongAudience)]
    [InlineData("""{"iss":"https://id.example","aud":["other","nubabel"],"exp":1800000010}""", JwsRefusal.None)]
    [InlineData("""{"iss":"https://id.example","aud":["other",3],"exp":1800000010}""", JwsRefusal.WrongAudience)]
    [InlineData("[]", JwsRefusal.Malformed)]
    [InlineData("nonsense", JwsRefusal.Malformed)]
    public void A_token_is_from_us_for_us_and_ends(string claims, JwsRefusal refusal) =>
        Assert.Equal(refusal, Verify(Jws.Sign(key, Kid, Encoding.UTF8.GetBytes(claims))).Refusal);

    [Fact]
    public void No_altered_letter_goes_unnoticed()
    {
        var token = Good();
        for (var i = 0; i < token.Length; i++)
        {
            var altered = token[..i] + (token[i] == 'A' ? 'B' : 'A') + token[(i + 1)..];
            Assert.NotEqual(JwsRefusal.None, Verify(altered).Refusal);
        }
    }
}
