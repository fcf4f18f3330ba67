using System.Buffers.Text;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using Nubabel.Api.Host.Tokens;

namespace Nubabel.Api.Tests.Host.Tokens;

/// <summary>RFC 8725 section 3, one by one: what <see cref="JwsTests"/> has not already. All tokens but the forged ones are truly signed.</summary>
public sealed class Rfc8725Tests : IDisposable
{
    private const string Kid = "key-1";
    private const string GoodHeader = """{"alg":"ES256","typ":"at+jwt","kid":"key-1"}""";
    private const string GoodClaims = """{"iss":"https://id.example","aud":"nubabel","sub":"u","exp":1800000060}""";
    private static readonly JwsExpectations Expected = new("https://id.example", "nubabel", DateTimeOffset.FromUnixTimeSeconds(1_800_000_000));
    private readonly ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly List<string> asked = [];

    public void Dispose() => key.Dispose();

    private static string Encode(byte[] bytes) => Base64Url.EncodeToString(bytes);

    private string Signed(string header, byte[] payload)
    {
        var text = Encode(Encoding.UTF8.GetBytes(header)) + "." + Encode(payload);
        return text + "." + Encode(key.SignData(Encoding.ASCII.GetBytes(text), HashAlgorithmName.SHA256));
    }

    private string Signed(string header, string claims = GoodClaims) => Signed(header, Encoding.UTF8.GetBytes(claims));

    private JwsRefusal Verify(string token) => Jws.Verify(token, Find, Expected).Refusal;

    private ECDsa? Find(string kid)
    {
        asked.Add(kid);
        return kid == Kid ? key : null;
    }

    [Fact]
    public void The_tokens_of_these_tests_would_be_good() => Assert.Equal(JwsRefusal.None, Verify(Signed(GoodHeader)));

    /// <summary>§3.1 and §3.2: one algorithm, whatever the header says, and no key is looked for under another.</summary>
    [Theory]
    [InlineData("RS256")]
    [InlineData("PS256")]
    [InlineData("ES256K")]
    [InlineData("ES512")]
    [InlineData("EdDSA")]
    [InlineData("HS512")]
    [InlineData("NONE")]
    [InlineData("ES256 ")]
    [InlineData("")]
    public void Another_algorithm_is_refused_before_a_key_is_looked_for(string algorithm)
    {
        Assert.Equal(JwsRefusal.WrongAlgorithm, Verify(Signed($$"""{"alg":"{{algorithm}}","typ":"at+jwt","kid":"key-1"}""")));
        Assert.Empty(asked);
    }

    /// <summary>§3.3: nested, encrypted or in another serialization it is not a token of ours.</summary>
    [Fact]
    public void A_token_within_a_token_or_in_another_form_is_malformed()
    {
        var inner = Signed(GoodHeader);
        Assert.Equal(JwsRefusal.Malformed, Verify(Signed("""{"alg":"ES256","typ":"at+jwt","kid":"key-1","cty":"JWT"}""", inner)));
        var parts = inner.Split('.');
        Assert.Equal(JwsRefusal.Malformed, Verify($"{inner}.{parts[1]}.{parts[2]}"));
        Assert.Equal(JwsRefusal.Malformed, Verify($$"""{"payload":"{{parts[1]}}","signatures":[{"protected":"{{parts[0]}}","signature":"{{parts[2]}}"}]}"""));
        Assert.Equal(JwsRefusal.Malformed, Verify($$"""{"protected":"{{parts[0]}}","payload":"{{parts[1]}}","signature":"{{parts[2]}}"}"""));
    }

    /// <summary>§3.4: what is no point of the curve is no key.</summary>
    [Fact]
    public void A_point_that_is_not_on_the_curve_is_no_key()
    {
        var q = key.ExportParameters(false).Q;
        q.Y![31] ^= 1;
        Assert.ThrowsAny<CryptographicException>(() => new Jwk("EC", "P-256", Encode(q.X!), Encode(q.Y), Kid, "sig", "ES256").ToKey());
    }

    /// <summary>§3.6: nothing is ever inflated; what was deflated is no JSON.</summary>
    [Fact]
    public void A_compressed_payload_is_malformed()
    {
        using var packed = new MemoryStream();
        using (var deflate = new DeflateStream(packed, CompressionLevel.SmallestSize)) deflate.Write(Encoding.UTF8.GetBytes(GoodClaims));
        Assert.Equal(JwsRefusal.Malformed, Verify(Signed("""{"alg":"ES256","typ":"at+jwt","kid":"key-1","zip":"DEF"}""", packed.ToArray())));
    }

    /// <summary>§3.7: UTF-8 and nothing else.</summary>
    [Fact]
    public void What_is_not_utf8_is_malformed()
    {
        Assert.Equal(JwsRefusal.Malformed, Verify(Signed(GoodHeader, Encoding.Unicode.GetBytes(GoodClaims))));
        Assert.Equal(JwsRefusal.Malformed, Verify(Signed(GoodHeader, Encoding.Latin1.GetBytes(GoodClaims.Replace("\"u\"", "\"ü\"", StringComparison.Ordinal)))));
        Assert.Equal(JwsRefusal.Malformed, Verify(Signed(GoodHeader, [.. Encoding.UTF8.GetPreamble(), .. Encoding.UTF8.GetBytes(GoodClaims)])));
        Assert.Equal(JwsRefusal.Malformed, Verify(Signed(GoodHeader, "{\"a\":" + new string('[', 9) + new string(']', 9) + "}")));
    }

    /// <summary>§3.8 and §3.9: issuer and audience as they are, and as text.</summary>
    [Theory]
    [InlineData("\"https://id.example/\"", "\"nubabel\"", JwsRefusal.WrongIssuer)]
    [InlineData("\"HTTPS://ID.EXAMPLE\"", "\"nubabel\"", JwsRefusal.WrongIssuer)]
    [InlineData("[\"https://id.example\"]", "\"nubabel\"", JwsRefusal.WrongIssuer)]
    [InlineData("null", "\"nubabel\"", JwsRefusal.WrongIssuer)]
    [InlineData("\"https://id.example\"", "\"nubabel:platform\"", JwsRefusal.WrongAudience)]
    [InlineData("\"https://id.example\"", "\"Nubabel\"", JwsRefusal.WrongAudience)]
    [InlineData("\"https://id.example\"", "[]", JwsRefusal.WrongAudience)]
    [InlineData("\"https://id.example\"", "[[\"nubabel\"]]", JwsRefusal.WrongAudience)]
    [InlineData("\"https://id.example\"", "{\"nubabel\":true}", JwsRefusal.WrongAudience)]
    public void Issuer_and_audience_are_compared_exactly(string issuer, string audience, JwsRefusal refusal) =>
        Assert.Equal(refusal, Verify(Signed(GoodHeader, $$"""{"iss":{{issuer}},"aud":{{audience}},"exp":1800000060}""")));

    /// <summary>§3.10: a kid is looked up among our keys as it is, and never as anything else.</summary>
    [Theory]
    [InlineData("../../../../dev/null")]
    [InlineData("key-1' or '1'='1")]
    [InlineData("key-1;drop table nubabel.signing_keys")]
    [InlineData("https://evil.example/key-1")]
    [InlineData("KEY-1")]
    [InlineData("key-1 ")]
    public void A_kid_is_only_ever_compared(string kid)
    {
        Assert.Equal(JwsRefusal.UnknownKey, Verify(Signed($$"""{"alg":"ES256","typ":"at+jwt","kid":"{{kid}}"}""")));
        Assert.Equal([kid], asked);
    }

    [Fact]
    public void A_kid_that_is_none_is_not_looked_up()
    {
        foreach (var kid in new[] { "\"\"", "null", "[\"key-1\"]", "\"" + new string('k', 129) + "\"" })
            Assert.Equal(JwsRefusal.UnknownKey, Verify(Signed($$"""{"alg":"ES256","typ":"at+jwt","kid":{{kid}}}""")));
        Assert.Equal(JwsRefusal.Malformed, Verify(Signed("""{"alg":"ES256","typ":"at+jwt","kid":"key-1","kid":"key-1"}""")));
        Assert.Empty(asked);
    }

    /// <summary>§3.10: keys and addresses of keys in a header change nothing, also not for a token that we did sign.</summary>
    [Theory]
    [InlineData("\"jku\":\"https://evil.example/keys\"")]
    [InlineData("\"x5u\":\"file:///etc/passwd\"")]
    [InlineData("\"x5c\":[\"MIIB\"]")]
    [InlineData("\"jwk\":{\"kty\":\"oct\",\"k\":\"AA\"}")]
    public void A_key_that_the_header_brings_is_not_used(string more)
    {
        var header = $$"""{"alg":"ES256","typ":"at+jwt","kid":"key-1",{{more}}}""";
        Assert.Equal(JwsRefusal.None, Verify(Signed(header)));
        using var other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        Assert.Equal(JwsRefusal.BadSignature, Jws.Verify(Signed(header), _ => other, Expected).Refusal);
    }

    /// <summary>§3.11 and §3.12: another kind of token is not an access token, whoever signed it.</summary>
    [Theory]
    [InlineData("\"JWT\"")]
    [InlineData("\"logout+jwt\"")]
    [InlineData("\"secevent+jwt\"")]
    [InlineData("\"dpop+jwt\"")]
    [InlineData("\"AT+JWT\"")]
    [InlineData("\"application/at+jwt\"")]
    [InlineData("[\"at+jwt\"]")]
    [InlineData("null")]
    public void Another_type_is_refused_before_a_key_is_looked_for(string type)
    {
        Assert.Equal(JwsRefusal.WrongType, Verify(Signed($$"""{"alg":"ES256","typ":{{type}},"kid":"key-1"}""")));
        Assert.Empty(asked);
    }

    [Theory]
    [InlineData("\"1800000060\"")]
    [InlineData("null")]
    [InlineData("true")]
    [InlineData("1800000060.5")]
    [InlineData("-1")]
    [InlineData("1800000060,\"exp\":1900000000")]
    public void An_end_that_is_no_number_of_seconds_is_refused(string exp) =>
        Assert.Contains(Verify(Signed(GoodHeader, $$"""{"iss":"https://id.example","aud":"nubabel","exp":{{exp}}}""")), new[] { JwsRefusal.BadClaims, JwsRefusal.Malformed });

    [Fact]
    public void The_longest_token_has_4096_characters()
    {
        var token = Signed(GoodHeader, GoodClaims.Insert(1, "\"x\":\"" + new string('x', 2780) + "\","));
        Assert.InRange(token.Length, 3900, 4096);
        Assert.Equal(JwsRefusal.None, Verify(token));
        Assert.Equal(JwsRefusal.TooLong, Verify(Signed(GoodHeader, GoodClaims.Insert(1, "\"x\":\"" + new string('x', 3000) + "\","))));
    }
}
