using System.Text;
using Nubabel.Api.Consumers;

namespace Nubabel.Api.Tests.Consumers;

/// <summary>Signatures by Standard Webhooks 1.0.</summary>
public sealed class SignatureTests
{
    /// <summary>
    /// The values that the reference libraries of Standard Webhooks test themselves with (github.com/standard-webhooks/standard-webhooks, `sign function works`), and that
    /// Svix, from which the standard came, prints in its documentation.
    /// </summary>
    [Fact]
    public void The_published_vector_is_met() => Assert.Equal(
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        Signatures.Of(["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "msg_p5jXN8AQM9LWM0D4loKWxJek", DateTimeOffset.FromUnixTimeSeconds(1614265330), """{"test": 2432232314}"""u8));

    [Fact]
    public void Each_secret_has_a_signature_of_its_own()
    {
        var (a, b) = (Signatures.NewSecret(), Signatures.NewSecret());
        var (at, body) = (DateTimeOffset.FromUnixTimeSeconds(1614265330), Encoding.UTF8.GetBytes("{}"));
        Assert.Equal($"{Signatures.Of([a], "1", at, body)} {Signatures.Of([b], "1", at, body)}", Signatures.Of([a, b], "1", at, body));
    }

    [Fact]
    public void A_secret_is_32_random_bytes()
    {
        var secret = Signatures.NewSecret();
        Assert.StartsWith("whsec_", secret, StringComparison.Ordinal);
        Assert.Equal(32, Convert.FromBase64String(secret["whsec_".Length..]).Length);
        Assert.NotEqual(secret, Signatures.NewSecret());
    }

    /// <summary>The body, the id and the time are all signed.</summary>
    [Theory]
    [InlineData("2", 1614265330, "{}")]
    [InlineData("1", 1614265331, "{}")]
    [InlineData("1", 1614265330, "{} ")]
    public void Whatever_is_changed_changes_the_signature(string id, long at, string body)
    {
        const string Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        Assert.NotEqual(Signatures.Of([Secret], "1", DateTimeOffset.FromUnixTimeSeconds(1614265330), "{}"u8), Signatures.Of([Secret], id, DateTimeOffset.FromUnixTimeSeconds(at), Encoding.UTF8.GetBytes(body)));
    }
}
