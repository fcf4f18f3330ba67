using System.Text.Json;

namespace Nubabel.Api.Webhooks;

/// <summary>
/// Ours: <c>{timestamp}.{body}</c>. The event's id is not signed, so it says nothing alone: with another id, what was signed is the same delivery; with
/// another time, the same id and body are.
/// </summary>
internal sealed class DefaultScheme : Scheme
{
    public override string Needs => "x-webhook-event-id, x-webhook-timestamp and x-webhook-signature";

    public override Signed? Read(IHeaderDictionary headers) =>
        Name(One(headers, "x-webhook-event-id")) is { } id && One(headers, "x-webhook-timestamp") is { } time && Signed.Time(time) is { } at && One(headers, "x-webhook-signature") is { } signature
            ? new Signed(Signed.Before(time, "."), Signed.Hex(signature), at, id)
            : null;

    public override Identity Identify(Signed signed, ReadOnlyMemory<byte> body) =>
        new($"event {signed.EventId} {Hash(body)}", Whole(signed, body), signed.EventId, Name(Texts(body, ["type"])[0]));
}

/// <summary>Standard Webhooks: <c>{id}.{timestamp}.{body}</c> in base64, several with their versions, of which <c>v1</c> counts. Some senders call the headers <c>svix-…</c>.</summary>
internal sealed class StandardScheme : Scheme
{
    private const string Mark = "whsec_";

    public override string Needs => "webhook-id, webhook-timestamp and webhook-signature";

    public override Signed? Read(IHeaderDictionary headers)
    {
        var start = headers.ContainsKey("webhook-id") ? "webhook-" : "svix-";
        if (Name(One(headers, start + "id")) is not { } id || One(headers, start + "timestamp") is not { } time || Signed.Time(time) is not { } at || One(headers, start + "signature") is not { } text) return null;
        var signatures = text.Split(' ', StringSplitOptions.RemoveEmptyEntries).Where(s => s.StartsWith("v1,", StringComparison.Ordinal)).SelectMany(s => Signed.Base64(s[3..]));
        return new Signed(Signed.Before(id, ".", time, "."), [.. signatures], at, id);
    }

    public override Identity Identify(Signed signed, ReadOnlyMemory<byte> body) => new($"id {signed.EventId}", null, signed.EventId, Name(Texts(body, ["type"])[0]));

    public override byte[] Key(string secret) => Convert.FromBase64String(secret.StartsWith(Mark, StringComparison.Ordinal) ? secret[Mark.Length..] : secret);

    public override string? Fault(string secret)
    {
        var text = secret.StartsWith(Mark, StringComparison.Ordinal) ? secret[Mark.Length..] : secret;
        return text.Length <= 100 && Convert.TryFromBase64String(text, new byte[100], out var length) && length is >= 24 and <= 64 ? null : "whsec_ and 24 to 64 bytes in base64";
    }

    public override string Secret(ReadOnlySpan<byte> random) => Mark + Convert.ToBase64String(random);
}

/// <summary>GitHub: the body alone. No time is signed and no id, so the body is what tells two deliveries apart.</summary>
internal sealed class GithubScheme : Scheme
{
    public override string Needs => "X-Hub-Signature-256";

    public override Signed? Read(IHeaderDictionary headers) =>
        One(headers, "X-Hub-Signature-256") is { } text
            ? new Signed([], text.StartsWith("sha256=", StringComparison.Ordinal) ? Signed.Hex(text[7..]) : [], null, Name(One(headers, "X-GitHub-Delivery")), Name(One(headers, "X-GitHub-Event")))
            : null;

    public override Identity Identify(Signed signed, ReadOnlyMemory<byte> body) => new($"body {Hash(body)}", null, signed.EventId, signed.EventType);
}

/// <summary>Stripe: <c>{t}.{body}</c> in hexadecimal, several under <c>v1</c>. Each attempt is signed anew at its own time; the event's id stands in the body.</summary>
internal sealed class StripeScheme : Scheme
{
    public override string Needs => "Stripe-Signature";

    public override Signed? Read(IHeaderDictionary headers)
    {
        if (One(headers, "Stripe-Signature") is not { } text) return null;
        var parts = text.Split(',').Select(p => p.Trim().Split('=', 2)).Where(p => p.Length == 2).ToArray();
        var time = parts.FirstOrDefault(p => p[0] == "t")?[1];
        return time is not null && Signed.Time(time) is { } at ? new Signed(Signed.Before(time, "."), [.. parts.Where(p => p[0] == "v1").SelectMany(p => Signed.Hex(p[1]))], at) : null;
    }

    public override Identity Identify(Signed signed, ReadOnlyMemory<byte> body)
    {
        var texts = Texts(body, ["id"], ["type"]);
        var id = Name(texts[0]);
        return new Identity(id is null ? Whole(signed, body) : $"id {id}", null, id, Name(texts[1]));
    }
}

/// <summary>Slack: <c>v0:{timestamp}:{body}</c>. Events have their id in the body; commands and interactions have none, and are not repeated. It asks once whether the address is ours.</summary>
internal sealed class SlackScheme : Scheme
{
    public override string Needs => "X-Slack-Request-Timestamp and X-Slack-Signature";

    public override Signed? Read(IHeaderDictionary headers) =>
        One(headers, "X-Slack-Request-Timestamp") is { } time && Signed.Time(time) is { } at && One(headers, "X-Slack-Signature") is { } text
            ? new Signed(Signed.Before("v0:", time, ":"), text.StartsWith("v0=", StringComparison.Ordinal) ? Signed.Hex(text[3..]) : [], at)
            : null;

    public override Identity Identify(Signed signed, ReadOnlyMemory<byte> body)
    {
        var texts = Texts(body, ["event_id"], ["event", "type"], ["type"]);
        var id = Name(texts[0]);
        return new Identity(id is null ? Whole(signed, body) : $"id {id}", null, id, Name(texts[1]) ?? Name(texts[2]));
    }

    public override IResult? Answer(ReadOnlyMemory<byte> body) =>
        Texts(body, ["type"], ["challenge"]) is ["url_verification", { } challenge] ? Results.Json(new Dictionary<string, string> { ["challenge"] = challenge }, (JsonSerializerOptions?)null) : null;

    // Slack shows the people what a command is answered.
    public override IResult Taken(Guid id) => Results.Ok();
}
