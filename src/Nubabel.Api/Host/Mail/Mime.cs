using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;

namespace Nubabel.Api.Host.Mail;

/// <summary>
/// A letter as an Internet message (RFC 5322, 2045–2047): text and HTML beside each other, UTF-8. No line of a header comes from outside without
/// having lost its control characters, so a letter cannot grow headers of its own; the HTML holds escaped text, one link and nothing remote.
/// </summary>
public sealed record Mime(string Id, string From, string To, byte[] Bytes)
{
    /// <summary>RFC 5322 §2.1.1 allows 998; what is longer is folded by its encoding.</summary>
    private const int LongestLine = 900;

    /// <summary>So that an encoded word stays below the 75 characters of RFC 2047 §2.</summary>
    private const int WordBytes = 42;

    /// <summary>Whether the mail server must know SMTPUTF8 (RFC 6531): the local part of an address is not ASCII.</summary>
    public bool NeedsUtf8 => !Ascii.IsValid(From) || !Ascii.IsValid(To);

    /// <param name="id">Names the letter in the log and in <c>Message-ID</c>: the same on every attempt, so that a receiver can tell a repetition.</param>
    /// <exception cref="FormatException">The address is none.</exception>
    public static Mime Of(Letter letter, Mailbox sender, string id, DateTimeOffset at)
    {
        var (from, to) = (Envelope(sender.Address), Envelope(letter.To));
        var boundary = $"nubabel-{id}";
        var message = new StringBuilder(4096);
        // RFC 5322 §3.3 wants the zone without a colon.
        Header("Date", at.ToUniversalTime().ToString("ddd, dd MMM yyyy HH:mm:ss", CultureInfo.InvariantCulture) + " +0000");
        Header("Message-ID", $"<{id}@{from[(from.LastIndexOf('@') + 1)..]}>");
        Header("From", sender.Name is { } name ? $"{Phrase(name)} <{from}>" : from);
        Header("To", to);
        Header("Subject", Phrase(letter.Subject));
        // RFC 3834: nobody's holiday answer should come back.
        Header("Auto-Submitted", "auto-generated");
        Header("MIME-Version", "1.0");
        Header("Content-Type", $"multipart/alternative; boundary=\"{boundary}\"");
        message.Append("\r\n");
        Part("text/plain", Text(letter));
        Part("text/html", Html(letter));
        message.Append("--").Append(boundary).Append("--\r\n");
        return new Mime(id, from, to, Encoding.UTF8.GetBytes(message.ToString()));

        void Header(string header, string value) => message.Append(header).Append(": ").Append(value).Append("\r\n");

        void Part(string type, string body)
        {
            var plain = Ascii.IsValid(body) && body.Split("\r\n").All(line => line.Length <= LongestLine);
            message.Append("--").Append(boundary).Append("\r\n");
            Header("Content-Type", type + "; charset=utf-8");
            Header("Content-Transfer-Encoding", plain ? "7bit" : "quoted-printable");
            message.Append("\r\n").Append(plain ? body : QuotedPrintable(body)).Append("\r\n");
        }
    }

    // A record prints its members.
    public override string ToString() => $"Mail {Id}";

    private static string Text(Letter letter)
    {
        var text = new StringBuilder();
        foreach (var paragraph in letter.Paragraphs) text.Append(Lines(paragraph)).Append("\r\n\r\n");
        if (letter.ActionLink is { } link) text.Append(Line(letter.ActionText ?? "")).Append(":\r\n").Append(Line(link)).Append("\r\n");
        return text.ToString();
    }

    private static string Html(Letter letter)
    {
        var html = new StringBuilder("<!doctype html>\r\n<html lang=\"en\">\r\n<head>\r\n<meta charset=\"utf-8\">\r\n<title>").Append(Escaped(letter.Subject)).Append("</title>\r\n</head>\r\n")
            .Append("<body style=\"font-family:sans-serif;font-size:16px;line-height:1.5;color:#222;max-width:36em;margin:1.5em\">\r\n");
        foreach (var paragraph in letter.Paragraphs) html.Append("<p>").Append(Escaped(Lines(paragraph)).ReplaceLineEndings("<br>\r\n")).Append("</p>\r\n");
        if (letter.ActionLink is { } link)
        {
            html.Append("<p><a href=\"").Append(Escaped(Line(link))).Append("\">").Append(Escaped(letter.ActionText ?? link)).Append("</a></p>\r\n")
                .Append("<p style=\"font-size:13px;color:#555\">").Append(Escaped(Line(link))).Append("</p>\r\n");
        }
        return html.Append("</body>\r\n</html>\r\n").ToString();
    }

    // Line by line: an encoder would write the ends of lines as references.
    private static string Escaped(string text) => string.Join("\r\n", text.Split("\r\n").Select(HtmlEncoder.Default.Encode));

    private static string Lines(string paragraph) => string.Join("\r\n", paragraph.ReplaceLineEndings("\n").Split('\n').Select(Line));

    /// <summary>Without control characters, the ends of lines among them.</summary>
    private static string Line(string text) => string.Concat(text.Select(c => char.IsControl(c) || c is '\u2028' or '\u2029' ? ' ' : c));

    /// <summary>A phrase or an unstructured value: as it is where that is safe and short, else in encoded words.</summary>
    private static string Phrase(string text)
    {
        var line = Line(text).Trim();
        // What could be read as another part of an address, or as an encoded word, is encoded.
        if (line.Length <= 60 && Ascii.IsValid(line) && line.All(c => char.IsAsciiLetterOrDigit(c) || " !'*+-/_.?".Contains(c)) && !line.Contains("=?", StringComparison.Ordinal) && !line.Contains('.', StringComparison.Ordinal)) return line;
        var words = new List<string>();
        var word = new List<byte>(WordBytes);
        foreach (var rune in line.EnumerateRunes())
        {
            if (word.Count + rune.Utf8SequenceLength > WordBytes) Flush();
            word.AddRange(Encoding.UTF8.GetBytes(rune.ToString()));
        }
        Flush();
        return string.Join("\r\n ", words);

        void Flush()
        {
            if (word.Count > 0) words.Add($"=?utf-8?B?{Convert.ToBase64String([.. word])}?=");
            word.Clear();
        }
    }

    /// <summary>The address as commands and headers name it: the domain in ASCII (RFC 5890).</summary>
    private static string Envelope(string address)
    {
        if (!Domain.Email.TryParse(address, out var email) || email.Value.Any(c => char.IsControl(c) || char.IsWhiteSpace(c))) throw new FormatException("This is not an address.");
        var at = email.Value.LastIndexOf('@');
        try
        {
            return email.Value[..(at + 1)] + new IdnMapping().GetAscii(email.Value, at + 1);
        }
        catch (ArgumentException)
        {
            throw new FormatException("The domain cannot be written in ASCII.");
        }
    }

    /// <summary>RFC 2045 §6.7: lines of at most 76 characters.</summary>
    private static string QuotedPrintable(string text)
    {
        var quoted = new StringBuilder(text.Length * 2);
        foreach (var line in text.Split("\r\n"))
        {
            var column = 0;
            var bytes = Encoding.UTF8.GetBytes(line);
            for (var i = 0; i < bytes.Length; i++)
            {
                var b = bytes[i];
                var literal = b is (>= 33 and <= 126 and not (byte)'=') || (b is (byte)' ' or (byte)'\t' && i + 1 < bytes.Length);
                if (column + (literal ? 1 : 3) > 75)
                {
                    quoted.Append("=\r\n");
                    column = 0;
                }
                if (literal) quoted.Append((char)b);
                else quoted.Append('=').Append(b.ToString("X2", CultureInfo.InvariantCulture));
                column += literal ? 1 : 3;
            }
            quoted.Append("\r\n");
        }
        return quoted.ToString(0, quoted.Length - 2);
    }
}
