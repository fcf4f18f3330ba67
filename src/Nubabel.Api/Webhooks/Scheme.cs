using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Nubabel.Domain.Webhooks;

namespace Nubabel.Api.Webhooks;

/// <summary>What a delivery is, in the words of what was signed: another one of the same names is a repetition.</summary>
/// <param name="Name">Makes the webhook's id.</param>
/// <param name="Twin">Recognises it too; null for nothing.</param>
internal sealed record Identity(string Name, string? Twin, string? EventId, string? EventType);

/// <summary>How a provider signs, and by what a repetition is recognised. All are HMAC-SHA256; they differ in headers, forms and what stands before the body.</summary>
internal abstract class Scheme
{
    private static readonly Dictionary<WebhookPreset, Scheme> ByPreset = new()
    {
        [WebhookPreset.Default] = new DefaultScheme(),
        [WebhookPreset.Standard] = new StandardScheme(),
        [WebhookPreset.Github] = new GithubScheme(),
        [WebhookPreset.Stripe] = new StripeScheme(),
        [WebhookPreset.Slack] = new SlackScheme(),
    };

    private static readonly Dictionary<string, WebhookPreset> ByWord = Enum.GetValues<WebhookPreset>().ToDictionary(p => p.ToString().ToLowerInvariant());

    public static Scheme Of(WebhookPreset preset) => ByPreset[preset];

    /// <summary>The preset that a provider's name stands for, where nobody says.</summary>
    public static WebhookPreset Usual(string provider) => ByWord.GetValueOrDefault(provider, WebhookPreset.Default);

    /// <summary>The headers that a request must have, for people.</summary>
    public abstract string Needs { get; }

    /// <summary>What the headers say; null where one is missing or cannot be read.</summary>
    public abstract Signed? Read(IHeaderDictionary headers);

    /// <summary>After the signature was found good.</summary>
    public abstract Identity Identify(Signed signed, ReadOnlyMemory<byte> body);

    /// <summary>The bytes of a secret.</summary>
    public virtual byte[] Key(string secret) => Encoding.UTF8.GetBytes(secret);

    /// <summary>Why a text cannot be a secret; null where it can.</summary>
    public virtual string? Fault(string secret) =>
        secret.Length is >= 16 and <= 200 && !secret.AsSpan().ContainsAnyExceptInRange(' ', '~') && secret.Trim().Length == secret.Length ? null : "16 to 200 characters of ASCII without blanks around them";

    /// <summary>A secret of 256 bit as the provider takes it.</summary>
    public virtual string Secret(ReadOnlySpan<byte> random) => Convert.ToHexStringLower(random);

    /// <summary>What is answered instead of taking it for a webhook; null for most.</summary>
    public virtual IResult? Answer(ReadOnlyMemory<byte> body) => null;

    /// <summary>What a webhook is answered that was taken.</summary>
    public virtual IResult Taken(Guid id) => Results.Json(new TakenWebhook(id.ToString("D")), Host.Json.Options);

    /// <summary>The only value of a header that is neither empty nor too long to be one; null otherwise.</summary>
    protected static string? One(IHeaderDictionary headers, string name) => headers[name] is [{ Length: > 0 and <= 4096 } text] ? text.Trim() : null;

    /// <summary>A name of a provider's that can be kept: short, and visible ASCII.</summary>
    protected static string? Name(string? text) => text is { Length: > 0 and <= 200 } && !text.AsSpan().ContainsAnyExceptInRange('!', '~') ? text : null;

    protected static string Hash(ReadOnlyMemory<byte> body) => Convert.ToHexStringLower(SHA256.HashData(body.Span));

    /// <summary>By time and body, where nothing better was signed.</summary>
    protected static string Whole(Signed signed, ReadOnlyMemory<byte> body) => $"signed {Encoding.UTF8.GetString(signed.Prefix)} {Hash(body)}";

    /// <summary>Texts in a JSON body, each by the path of its members; null for what is not there.</summary>
    protected static string?[] Texts(ReadOnlyMemory<byte> body, params string[][] paths)
    {
        try
        {
            using var json = JsonDocument.Parse(body);
            return [.. paths.Select(path => Find(json.RootElement, path))];
        }
        catch (JsonException)
        {
            return new string?[paths.Length];
        }
    }

    private static string? Find(JsonElement from, string[] path)
    {
        try
        {
            foreach (var member in path)
                if (from.ValueKind != JsonValueKind.Object || !from.TryGetProperty(member, out from)) return null;
            return from.ValueKind == JsonValueKind.String ? from.GetString() : null;
        }
        catch (InvalidOperationException)
        {
            // Half a surrogate pair, in the text or in the name of any member beside it.
            return null;
        }
    }
}

/// <summary>The answer to a webhook.</summary>
/// <param name="Id">Of the webhook: the same for every repetition.</param>
public sealed record TakenWebhook(string Id);
