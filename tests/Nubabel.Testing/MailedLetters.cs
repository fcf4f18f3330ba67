using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Nubabel.Testing;

/// <summary>A message read back: its headers unfolded and decoded, its two bodies.</summary>
public sealed record MailedLetter(IReadOnlyDictionary<string, string> Headers, string Text, string Html)
{
    public string Subject => Headers["Subject"];
    public string To => Headers["To"];

    /// <summary>What stands behind the <c>#</c> of the letter's link: the token.</summary>
    public string Token => Text[(Text.IndexOf('#', StringComparison.Ordinal) + 1)..].Split('\r', '\n', ' ')[0];
}

/// <summary>The mails that a server in Development has written.</summary>
public static partial class MailedLetters
{
    /// <summary>The newest letter to the address, once there are so many.</summary>
    public static async Task<MailedLetter> LetterTo(this TestApi api, string address, int count = 1)
    {
        var deadline = TimeProvider.System.GetUtcNow().AddSeconds(20);
        while (true)
        {
            var letters = api.LettersTo(address);
            if (letters.Count >= count) return letters[^1];
            if (TimeProvider.System.GetUtcNow() > deadline) throw new TimeoutException($"There are {letters.Count} letters, not {count}.");
            await Task.Delay(10);
        }
    }

    /// <summary>The letters to the address so far, oldest first.</summary>
    public static IReadOnlyList<MailedLetter> LettersTo(this TestApi api, string address)
    {
        return [.. Directory.GetFiles(api.Database.Mail, "*.eml").Order(StringComparer.Ordinal).Select(file => Read(File.ReadAllText(file))).Where(mail => mail.To == address)];
    }

    public static MailedLetter Read(string message)
    {
        var (headers, body) = Split(message);
        var boundary = Boundary().Match(headers["Content-Type"]).Groups[1].Value;
        var parts = body.Split($"--{boundary}")[1..^1].Select(part => Split(part[2..])).ToArray();
        return new MailedLetter(headers, Decoded(parts, "text/plain"), Decoded(parts, "text/html"));
    }

    private static (Dictionary<string, string> Headers, string Body) Split(string text)
    {
        var end = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        var lines = text[..end].Replace("\r\n ", " ", StringComparison.Ordinal).Split("\r\n");
        return (lines.Select(line => line.Split(": ", 2)).ToDictionary(pair => pair[0], pair => Words(pair[1]), StringComparer.OrdinalIgnoreCase), text[(end + 4)..]);
    }

    private static string Decoded(IEnumerable<(Dictionary<string, string> Headers, string Body)> parts, string type)
    {
        var (headers, body) = parts.Single(part => part.Headers["Content-Type"].StartsWith(type, StringComparison.Ordinal));
        return headers["Content-Transfer-Encoding"] == "7bit" ? body : QuotedPrintable(body);
    }

    private static string Words(string value) =>
        EncodedWord().Replace(value.Replace("?= =?", "?==?", StringComparison.Ordinal), word => Encoding.UTF8.GetString(Convert.FromBase64String(word.Groups[1].Value)));

    private static string QuotedPrintable(string body)
    {
        var bytes = new List<byte>();
        body = body.Replace("=\r\n", "", StringComparison.Ordinal);
        for (var i = 0; i < body.Length; i++)
        {
            if (body[i] != '=')
            {
                bytes.Add((byte)body[i]);
                continue;
            }
            bytes.Add(byte.Parse(body.AsSpan(i + 1, 2), NumberStyles.HexNumber, CultureInfo.InvariantCulture));
            i += 2;
        }
        return Encoding.UTF8.GetString([.. bytes]);
    }

    [GeneratedRegex("boundary=\"([^\"]+)\"")]
    private static partial Regex Boundary();

    [GeneratedRegex(@"=\?utf-8\?B\?([A-Za-z0-9+/=]*)\?=")]
    private static partial Regex EncodedWord();
}
