using System.Text;
using Nubabel.Api.Host.Mail;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Host.Mail;

public sealed class MimeTests
{
    private static readonly Mailbox Sender = new("Nubabel", "no-reply@nubabel.example");
    private static readonly DateTimeOffset At = new(2026, 3, 7, 9, 5, 1, TimeSpan.FromHours(2));

    private static string Text(Letter letter, Mailbox? sender = null) => Encoding.UTF8.GetString(Mime.Of(letter, sender ?? Sender, "id0000000001", At).Bytes);

    [Fact]
    public void A_letter_is_text_and_html_beside_each_other()
    {
        var text = Text(new Letter("ada@example.com", "Your password was changed", ["Good day.", "It was changed."], "Look", "https://app.example.com/reset#nbp.1.2"));
        var letter = MailedLetters.Read(text);
        Assert.Equal("Sat, 07 Mar 2026 07:05:01 +0000", letter.Headers["Date"]);
        Assert.Equal("<id0000000001@nubabel.example>", letter.Headers["Message-ID"]);
        Assert.Equal("Nubabel <no-reply@nubabel.example>", letter.Headers["From"]);
        Assert.Equal("ada@example.com", letter.To);
        Assert.Equal("Your password was changed", letter.Subject);
        Assert.Equal("1.0", letter.Headers["MIME-Version"]);
        Assert.Equal("auto-generated", letter.Headers["Auto-Submitted"]);
        Assert.Equal("Good day.\r\n\r\nIt was changed.\r\n\r\nLook:\r\nhttps://app.example.com/reset#nbp.1.2\r\n\r\n", letter.Text);
        Assert.Contains("<p>It was changed.</p>", letter.Html, StringComparison.Ordinal);
        Assert.Contains("<a href=\"https://app.example.com/reset#nbp.1.2\">Look</a>", letter.Html, StringComparison.Ordinal);
        Assert.Equal("nbp.1.2", letter.Token);
        // Text first: RFC 2046 §5.1.4 puts the richest last.
        Assert.True(text.IndexOf("text/plain", StringComparison.Ordinal) < text.IndexOf("text/html", StringComparison.Ordinal));
        Assert.DoesNotContain("\n", text.Replace("\r\n", "", StringComparison.Ordinal), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Grüße aus Köln 🦆, sehr geehrte Damen und Herren, an diesem recht langen Betreff")]
    [InlineData("=?utf-8?B?SGFsbG8=?=")]
    [InlineData("日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語")]
    public void Every_language_comes_through(string words)
    {
        var text = Text(new Letter("ada@example.com", words, [words, new string('x', 2000)]));
        var letter = MailedLetters.Read(text);
        Assert.Equal(words, letter.Subject);
        Assert.StartsWith(words + "\r\n\r\n" + new string('x', 2000), letter.Text, StringComparison.Ordinal);
        Assert.True(Ascii.IsValid(text));
        Assert.All(text.Split("\r\n"), line => Assert.True(line.Length <= 900, line));
    }

    [Fact]
    public void What_somebody_typed_grows_no_headers()
    {
        const string Evil = "Hello\r\nBcc: eve@example.com\r\n\r\n<script>";
        var text = Text(new Letter("ada@example.com", Evil, [Evil], Evil, "https://x.example/\r\nBcc: eve@example.com"), new Mailbox("Ev\r\nBcc: eve@example.com", "a@b.example"));
        var headers = text[..text.IndexOf("\r\n\r\n", StringComparison.Ordinal)];
        Assert.DoesNotContain("\r\nBcc", headers, StringComparison.OrdinalIgnoreCase);
        Assert.Equal("Hello  Bcc: eve@example.com    <script>", MailedLetters.Read(text).Subject);
        Assert.Throws<FormatException>(() => Text(new Letter("ada@example.com\r\nBcc: eve@example.com", "x", ["x"])));
        Assert.Throws<FormatException>(() => Text(new Letter("ada@example.com>,<eve@example.com", "x", ["x"])));
    }

    [Fact]
    public void Text_is_not_markup()
    {
        var html = MailedLetters.Read(Text(new Letter("ada@example.com", "<b>", ["<img src=x onerror=alert(1)> & \"so\"\nnext"], "<i>", "https://x.example/?a=1&b=\"><script>"))).Html;
        Assert.DoesNotContain("<img", html, StringComparison.Ordinal);
        Assert.DoesNotContain("<script", html, StringComparison.Ordinal);
        Assert.DoesNotContain("<i>", html, StringComparison.Ordinal);
        Assert.Contains("&lt;img src=x onerror=alert(1)&gt; &amp; &quot;so&quot;<br>\r\nnext", html, StringComparison.Ordinal);
    }

    [Fact]
    public void An_international_domain_is_written_in_ascii()
    {
        Assert.Equal("ada@xn--kln-sna.example", Mime.Of(new Letter("ada@köln.example", "x", ["x"]), Sender, "id0000000001", At).To);
        var local = Mime.Of(new Letter("jürgen@köln.example", "x", ["x"]), Sender, "id0000000001", At);
        Assert.True(local.NeedsUtf8);
        Assert.Equal("jürgen@xn--kln-sna.example", local.To);
    }

    [Fact]
    public void Neither_a_letter_nor_a_message_prints_itself()
    {
        var letter = new Letter("ada@example.com", "secret", ["secret"]);
        Assert.DoesNotContain("ada", $"{letter}{Mime.Of(letter, Sender, "id", At)}", StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("no-reply@example.com", null, "no-reply@example.com")]
    [InlineData("Nubabel <no-reply@example.com>", "Nubabel", "no-reply@example.com")]
    [InlineData("\"Nubabel, GmbH\" <no-reply@example.com>", "Nubabel, GmbH", "no-reply@example.com")]
    public void A_sender_is_an_address_with_or_without_a_name(string text, string? name, string address) => Assert.Equal(new Mailbox(name, address), Mailbox.Parse(text));

    [Theory]
    [InlineData("nobody")]
    [InlineData("Nubabel <no-reply@example.com")]
    [InlineData("Nub\r\nBcc: x <no-reply@example.com>")]
    public void Anything_else_is_none(string text) => Assert.Null(Mailbox.Parse(text));
}
