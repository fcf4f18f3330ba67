using Nubabel.Api.Host.Mail;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Host.Mail;

/// <summary>Letters over real sockets to a server that speaks SMTP.</summary>
public sealed class SmtpTests
{
    private static readonly Letter Letter = new("ada@example.com", "Hello", ["First.", ".dot", "..", "."]);

    private static MailSettings Settings(SmtpServer server, MailSecurity security, string? user = null, string? password = null) => new()
    {
        Host = "localhost",
        Port = server.Port,
        Security = security,
        User = user,
        Password = password,
        From = new Mailbox("Nubabel", "no-reply@nubabel.example"),
        LinkBase = "https://app.example.com",
    };

    private static Task Carry(SmtpServer server, MailSettings settings, Letter? letter = null, bool trusted = true) =>
        new SmtpCarrier(settings, trusted ? [server.Certificate] : null)
            .Carry(Mime.Of(letter ?? Letter, settings.From, "id0000000001", TimeProvider.System.GetUtcNow()), "x", CancellationToken.None);

    [Theory]
    [InlineData(MailSecurity.None, false)]
    [InlineData(MailSecurity.StartTls, true)]
    [InlineData(MailSecurity.Tls, true)]
    public async Task A_letter_arrives_as_it_was_written(MailSecurity security, bool isProtected)
    {
        await using var server = new SmtpServer { TlsAtOnce = security == MailSecurity.Tls };
        await Carry(server, Settings(server, security));
        var mail = Assert.Single(server.Received);
        Assert.Equal(("no-reply@nubabel.example", "ada@example.com", isProtected), (mail.From, mail.To, mail.Protected));
        Assert.Equal("First.\r\n\r\n.dot\r\n\r\n..\r\n\r\n.\r\n\r\n\r\n", MailedLetters.Read(mail.Text).Text);
        // The line that ends the data is the server's; nothing was added to the message.
        Assert.Equal("QUIT", server.Commands.Last());
    }

    [Theory]
    [InlineData("AUTH PLAIN LOGIN", "AUTH PLAIN")]
    [InlineData("AUTH LOGIN CRAM-MD5", "AUTH LOGIN")]
    public async Task Who_has_an_account_signs_in(string offered, string used)
    {
        await using var server = new SmtpServer { Account = ("nubabel", "s3cret ü"), Able = ["STARTTLS", offered] };
        await Carry(server, Settings(server, MailSecurity.StartTls, "nubabel", "s3cret ü"));
        Assert.Equal("nubabel", Assert.Single(server.Received).User);
        Assert.Contains(used, server.Commands);

        var refused = await Assert.ThrowsAsync<NotCarried>(() => Carry(server, Settings(server, MailSecurity.StartTls, "nubabel", "wrong")));
        Assert.Equal((true, "The mail server answered 535."), (refused.ForGood, refused.Message));
    }

    [Fact]
    public async Task Without_protection_where_it_is_asked_for_nothing_is_said()
    {
        await using var bare = new SmtpServer { Able = ["AUTH PLAIN"] };
        var refused = await Assert.ThrowsAsync<NotCarried>(() => Carry(bare, Settings(bare, MailSecurity.StartTls, "nubabel", "secret")));
        Assert.Equal("The mail server does not offer STARTTLS.", refused.Message);
        Assert.All(bare.Commands, command => Assert.StartsWith("EHLO", command, StringComparison.Ordinal));

        await using var stranger = new SmtpServer();
        var distrusted = await Assert.ThrowsAsync<NotCarried>(() => Carry(stranger, Settings(stranger, MailSecurity.StartTls), trusted: false));
        Assert.False(distrusted.ForGood);
        Assert.Empty(stranger.Received);
    }

    [Fact]
    public async Task What_is_slipped_in_before_the_protection_is_not_believed()
    {
        await using var server = new SmtpServer();
        server.Answer("STARTTLS", "220 go ahead\r\n250 and this");
        Assert.Equal("The mail server spoke out of turn.", (await Assert.ThrowsAsync<NotCarried>(() => Carry(server, Settings(server, MailSecurity.StartTls)))).Message);
    }

    [Theory]
    [InlineData("RCPT", "550 no such user ada@example.com", true)]
    [InlineData("RCPT", "451 later", false)]
    [InlineData(".", "554 spam", true)]
    [InlineData(".", "452 full", false)]
    [InlineData("MAIL", "421 closing", false)]
    public async Task Five_hundreds_are_for_good_and_four_hundreds_are_not(string command, string answer, bool forGood)
    {
        await using var server = new SmtpServer();
        server.Answer(command, answer);
        var refused = await Assert.ThrowsAsync<NotCarried>(() => Carry(server, Settings(server, MailSecurity.None)));
        Assert.Equal((forGood, $"The mail server answered {answer[..3]}."), (refused.ForGood, refused.Message));
    }

    [Fact]
    public async Task An_address_beyond_ascii_needs_a_server_that_takes_it()
    {
        var letter = Letter with { To = "jürgen@köln.example" };
        await using var modern = new SmtpServer();
        await Carry(modern, Settings(modern, MailSecurity.None), letter);
        Assert.Equal("MAIL FROM:<no-reply@nubabel.example> SMTPUTF8", Assert.Single(modern.Received).MailCommand);

        await using var old = new SmtpServer { Able = [] };
        Assert.True((await Assert.ThrowsAsync<NotCarried>(() => Carry(old, Settings(old, MailSecurity.None), letter))).ForGood);
    }

    [Fact]
    public async Task Nobody_there_is_a_reason_to_try_again()
    {
        var server = new SmtpServer();
        await server.DisposeAsync();
        Assert.False((await Assert.ThrowsAsync<NotCarried>(() => Carry(server, Settings(server, MailSecurity.None) with { Port = 1 }))).ForGood);
    }

    [Fact]
    public async Task A_letter_that_is_refused_for_now_is_tried_again_and_arrives_once()
    {
        await using var server = new SmtpServer();
        server.Answer("RCPT", "451 greylisted");
        server.Answer(".", "452 full");
        var settings = Settings(server, MailSecurity.StartTls);
        for (var attempt = 1; attempt <= 3; attempt++)
        {
            var outcome = await Record.ExceptionAsync(() => Carry(server, settings));
            Assert.Equal(attempt < 3, outcome is NotCarried { ForGood: false });
        }
        Assert.Single(server.Received);
        Assert.Equal(3, server.Commands.Count(c => c.StartsWith("MAIL", StringComparison.Ordinal)));
    }
}
