using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace Nubabel.Domain.Consumers;

/// <summary>
/// Where a consumer's events are sent: an absolute http or https URL without credentials and without a fragment. Which hosts and ports may be called is the
/// edge's to say, here and again at every connection.
/// </summary>
[JsonConverter(typeof(ValueConverter<EndpointUrl>))]
public sealed record EndpointUrl : IValue<EndpointUrl>
{
    public const int MaximumCharacters = 2000;

    private EndpointUrl(string value) => Value = value;

    /// <summary>In the framework's canonical form: the host in lower case and in ASCII, the path escaped.</summary>
    public string Value { get; }

    /// <exception cref="Refused"><c>consumer.url_invalid</c>.</exception>
    public static EndpointUrl Parse(string text)
    {
        if (text.Length is 0 or > MaximumCharacters) throw Invalid($"A URL has 1 to {MaximumCharacters} characters.");
        // The framework would drop or turn around what is not visible ASCII; two readers of such a text could see two addresses.
        if (text.AsSpan().ContainsAnyExceptInRange('!', '~') || text.Contains('\\', StringComparison.Ordinal)) throw Invalid("A URL is visible ASCII; other hosts are written in Punycode.");
        if (!Uri.TryCreate(text, UriKind.Absolute, out var uri) || uri.Scheme is not ("https" or "http")) throw Invalid("A URL is absolute and begins with https://.");
        if (uri.UserInfo.Length > 0) throw Invalid("A URL holds no credentials; deliveries are signed.");
        if (uri.Fragment.Length > 0) throw Invalid("A URL has no fragment: it is never sent.");
        if (uri.Host.Length == 0) throw Invalid("A URL names a host.");
        return uri.AbsoluteUri.Length <= MaximumCharacters ? new EndpointUrl(uri.AbsoluteUri) : throw Invalid($"A URL has 1 to {MaximumCharacters} characters.");
    }

    public static bool TryParse([NotNullWhen(true)] string? text, [NotNullWhen(true)] out EndpointUrl? url) => Attempt.Parse(text, out url);
    public override string ToString() => Value;

    private static Refused Invalid(string message) => new(RefusalKind.Invalid, "consumer.url_invalid", message);
}
