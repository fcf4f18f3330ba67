using System.Text;
using Microsoft.Extensions.Primitives;

namespace Nubabel.Api.Host;

/// <summary>Reads <c>Idempotency-Key</c>: a string as RFC 8941 quotes it, or bare; both forms of one key are equal.</summary>
public static class IdempotencyKeys
{
    public const string Header = "Idempotency-Key";
    private const int LongestKey = 255;

    /// <summary>The key, null where none was sent.</summary>
    public static string? Of(HttpRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        var header = request.Headers[Header];
        return header.Count == 0 ? null : Parse(header) ?? throw new Problem("idempotency.key_invalid", $"{Header} is 1 to {LongestKey} visible ASCII characters, bare or quoted.");
    }

    internal static string? Parse(StringValues header)
    {
        if (header is not [{ } text]) return null;
        var key = text.StartsWith('"') ? Unquoted(text) : text;
        return key is { Length: > 0 and <= LongestKey } && !key.AsSpan().ContainsAnyExceptInRange('!', '~') ? key : null;
    }

    private static string? Unquoted(string text)
    {
        var key = new StringBuilder(text.Length);
        for (var i = 1; i < text.Length; i++)
        {
            if (text[i] == '"') return i == text.Length - 1 ? key.ToString() : null;
            if (text[i] == '\\' && (++i == text.Length || text[i] is not ('"' or '\\'))) return null;
            key.Append(text[i]);
        }
        return null;
    }
}
