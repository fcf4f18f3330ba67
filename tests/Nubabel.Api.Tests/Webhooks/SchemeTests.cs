using System.Text;
using Microsoft.AspNetCore.Http;
using Nubabel.Api.Webhooks;
using Nubabel.Domain.Webhooks;

namespace Nubabel.Api.Tests.Webhooks;

/// <summary>
/// Signatures as the providers' own documents show them: Standard Webhooks from its specification and libraries, GitHub from "Validating webhook deliveries", Slack from
/// "Verifying requests from Slack". Stripe and the default preset show none; theirs were made with Python's hmac.
/// </summary>
public sealed class SchemeTests
{
    private const string SlackBody =
        "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        + "&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";

    private const string StripeBody = "{\n  \"id\": \"evt_test_webhook\",\n  \"object\": \"event\",\n  \"type\": \"invoice.paid\"\n}";

    private static readonly Vector Standard = new(
        WebhookPreset.Standard, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", """{"test": 2432232314}""", 1614265330,
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"), ("webhook-timestamp", "1614265330"), ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));

    private static readonly Vector Github = new(
        WebhookPreset.Github, "It's a Secret to Everybody", "Hello, World!", null, ("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"));

    private static readonly Vector Slack = new(
        WebhookPreset.Slack, "8f742231b10e8888abcd99yyyzzz85a5", SlackBody, 1531420618,
        ("X-Slack-Request-Timestamp", "1531420618"), ("X-Slack-Signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"));

    private static readonly Vector Stripe = new(
        WebhookPreset.Stripe, "whsec_test_secret_of_an_endpoint", StripeBody, 1492774577, ("Stripe-Signature", "t=1492774577,v1=a929afc98dd457f48fceb3116263a50eee149887547b6d7a3f8eb82518db37de"));

    private static readonly Vector Default = new(
        WebhookPreset.Default, "a secret of the default preset", """{"a":1}""", 1700000000,
        ("x-webhook-event-id", "e1"), ("x-webhook-timestamp", "1700000000"), ("x-webhook-signature", "3ac9ce8ff92cdd7c80f7b5a07724c1b95b34a439519b5b93c6edc3af7511ba51"));

    private static readonly Vector Milliseconds = Default with
    {
        Time = 1700000000,
        Headers = [("x-webhook-event-id", "e1"), ("x-webhook-timestamp", "1700000000123"), ("x-webhook-signature", "0F0A28B01210FE89E69887A70EA09F6952C19019876C7BBF037177B47107F1F1")],
    };

    public static TheoryData<Vector> Vectors => [Standard, Github, Slack, Stripe, Default, Milliseconds];

    [Theory]
    [MemberData(nameof(Vectors))]
    public void The_signature_that_the_documents_show_is_right_and_no_other(Vector vector)
    {
        var scheme = Scheme.Of(vector.Preset);
        var (key, body) = (scheme.Key(vector.Secret), Encoding.UTF8.GetBytes(vector.Body));
        var signed = vector.Read()!;
        Assert.Equal(vector.Time, signed.At?.ToUnixTimeSeconds());
        Assert.True(signed.IsBy([key], body));
        Assert.True(signed.IsBy(["another"u8.ToArray(), key], body));
        Assert.False(signed.IsBy(["another"u8.ToArray()], body));
        Assert.False(signed.IsBy([], body));
        Assert.False(signed.IsBy([key], [.. body, (byte)' ']));
        Assert.False(signed.IsBy([key], body.AsSpan(1)));
        Assert.False((signed with { Prefix = [.. signed.Prefix, 0] }).IsBy([key], body));
    }

    [Theory]
    [MemberData(nameof(Vectors))]
    public void Each_header_is_needed(Vector vector)
    {
        foreach (var (name, _) in vector.Headers) Assert.Null((vector with { Headers = [.. vector.Headers.Where(h => h.Name != name)] }).Read());
        foreach (var (name, value) in vector.Headers) Assert.Null((vector with { Headers = [.. vector.Headers, (name, value)] }).Read());
    }

    [Theory]
    [InlineData("v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", true)]
    [InlineData("v1a,xyz v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=  v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", true)]
    [InlineData("v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", false)]
    [InlineData("g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", false)]
    [InlineData("v1,", false)]
    [InlineData("nonsense", false)]
    public void Of_several_standard_signatures_one_of_the_first_version_is_enough(string text, bool isRight) => Assert.Equal(isRight, IsRight(Standard, "webhook-signature", text));

    [Fact]
    public void Standard_headers_may_be_called_svix_and_the_secret_stand_without_its_mark()
    {
        var svix = Standard with { Headers = [.. Standard.Headers.Select(h => (h.Name.Replace("webhook-", "svix-", StringComparison.Ordinal), h.Value))] };
        Assert.True(svix.Read()!.IsBy([Scheme.Of(WebhookPreset.Standard).Key(Standard.Secret["whsec_".Length..])], Encoding.UTF8.GetBytes(Standard.Body)));
    }

    [Theory]
    [InlineData("t=1492774577,v1=00,v1=a929afc98dd457f48fceb3116263a50eee149887547b6d7a3f8eb82518db37de,v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39", true)]
    [InlineData(" t=1492774577 , v1=a929afc98dd457f48fceb3116263a50eee149887547b6d7a3f8eb82518db37de", true)]
    [InlineData("t=1492774577,v0=a929afc98dd457f48fceb3116263a50eee149887547b6d7a3f8eb82518db37de", false)]
    [InlineData("t=1492774578,v1=a929afc98dd457f48fceb3116263a50eee149887547b6d7a3f8eb82518db37de", false)]
    public void Of_several_Stripe_signatures_one_of_the_first_version_is_enough(string text, bool isRight) => Assert.Equal(isRight, IsRight(Stripe, "Stripe-Signature", text));

    [Theory]
    [InlineData("v1=a929afc98dd457f48fceb3116263a50eee149887547b6d7a3f8eb82518db37de")]
    [InlineData("t=,v1=a929afc98dd457f48fceb3116263a50eee149887547b6d7a3f8eb82518db37de")]
    [InlineData("t=soon")]
    public void Stripe_says_when(string text) => Assert.Null((Stripe with { Headers = [("Stripe-Signature", text)] }).Read());

    [Theory]
    [InlineData("")]
    [InlineData("-1")]
    [InlineData("1.5")]
    [InlineData("1e9")]
    [InlineData(" 1700000000")]
    [InlineData("999999999999999")]
    public void What_is_no_time_is_none(string text) => Assert.Null(Signed.Time(text));

    [Fact]
    public void A_repetition_is_recognised_by_what_was_signed()
    {
        // Stripe signs each attempt at another time; the id is in the body.
        Assert.Equal(Name(Stripe, StripeBody, 1), Name(Stripe, StripeBody, 2));
        Assert.NotEqual(Name(Stripe, StripeBody, 1), Name(Stripe, StripeBody.Replace("evt_test", "evt_other", StringComparison.Ordinal), 1));
        Assert.Equal(Name(Slack, """{"event_id":"Ev1","n":1}""", 1), Name(Slack, """{"event_id":"Ev1","n":1}""", 2));
        Assert.NotEqual(Name(Slack, SlackBody, 1), Name(Slack, SlackBody, 2));
        Assert.NotEqual(Name(Github, "a", 1), Name(Github, "b", 1));
        // What nobody has signed changes nothing.
        var github = Scheme.Of(WebhookPreset.Github);
        Assert.Equal(github.Identify(Github.Read()! with { EventId = "d1" }, "a"u8.ToArray()).Name, github.Identify(Github.Read()! with { EventId = "d2" }, "a"u8.ToArray()).Name);
        var own = Scheme.Of(WebhookPreset.Default);
        var (first, other) = (own.Identify(Default.Read()!, "a"u8.ToArray()), own.Identify(Default.Read()! with { EventId = "e2" }, "a"u8.ToArray()));
        Assert.Equal(first.Twin, other.Twin);
        Assert.NotEqual(first.Name, other.Name);
    }

    [Theory]
    [InlineData("github", WebhookPreset.Github)]
    [InlineData("stripe", WebhookPreset.Stripe)]
    [InlineData("slack", WebhookPreset.Slack)]
    [InlineData("standard", WebhookPreset.Standard)]
    [InlineData("acme", WebhookPreset.Default)]
    [InlineData("slack,stripe", WebhookPreset.Default)]
    [InlineData("3", WebhookPreset.Default)]
    public void A_providers_name_may_stand_for_its_preset(string provider, WebhookPreset preset) => Assert.Equal(preset, Scheme.Usual(provider));

    [Fact]
    public void Each_preset_takes_the_secrets_that_are_made_for_it()
    {
        foreach (var scheme in Enum.GetValues<WebhookPreset>().Select(Scheme.Of))
        {
            Assert.Null(scheme.Fault(scheme.Secret(new byte[32])));
            Assert.NotNull(scheme.Fault("short"));
            Assert.NotNull(scheme.Fault(new string('ä', 40)));
            Assert.NotNull(scheme.Fault(new string('A', 400)));
        }
    }

    private static string Name(Vector vector, string body, int time) =>
        Scheme.Of(vector.Preset).Identify(vector.Read()! with { Prefix = [(byte)time] }, Encoding.UTF8.GetBytes(body)).Name;

    private static bool IsRight(Vector vector, string header, string text) =>
        (vector with { Headers = [.. vector.Headers.Where(h => h.Name != header), (header, text)] }).Read()!.IsBy([Scheme.Of(vector.Preset).Key(vector.Secret)], Encoding.UTF8.GetBytes(vector.Body));

    /// <summary>A request as a document shows it.</summary>
    public sealed record Vector(WebhookPreset Preset, string Secret, string Body, long? Time, params (string Name, string Value)[] Headers)
    {
        internal Signed? Read()
        {
            var headers = new HeaderDictionary();
            foreach (var (name, value) in Headers) headers.Append(name, value);
            return Scheme.Of(Preset).Read(headers);
        }

        public override string ToString() => $"{Preset} {Time}";
    }
}
