using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace Nubabel.Api.Host.Mail;

/// <summary>
/// Hands messages to a mail server, each over a connection of its own (RFC 5321). Small, because submission needs little of SMTP: who relays onward is the
/// server's business. Where protection is asked for, nothing is said without it.
/// </summary>
/// <param name="trust">The roots a server's certificate must lead to; null for the machine's.</param>
public sealed class SmtpCarrier(MailSettings settings, X509Certificate2Collection? trust = null) : ICarrier
{
    /// <summary>One attempt, from the connection to the server's word that it has the message.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(10);

    public async Task Carry(Mime message, string subject, CancellationToken ct)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        limit.CancelAfter(Longest);
        try
        {
            using var client = new TcpClient();
            await client.ConnectAsync(settings.Host!, settings.Port, limit.Token);
            await using var dialogue = new SmtpDialogue(client.GetStream());
            await Submit(dialogue, message, limit.Token);
        }
        catch (Exception e) when (e is SocketException or IOException or AuthenticationException || (e is OperationCanceledException && !ct.IsCancellationRequested))
        {
            throw new NotCarried(e is OperationCanceledException ? "The mail server took too long." : $"The connection to the mail server failed ({e.GetType().Name}).", inner: e);
        }
    }

    private async Task Submit(SmtpDialogue server, Mime message, CancellationToken ct)
    {
        if (settings.Security == MailSecurity.Tls) await server.Protect(Tls(), ct);
        await server.Expect(220, ct);
        var able = await server.Greet(ct);
        if (settings.Security == MailSecurity.StartTls)
        {
            // Not offered means misconfigured or taken out on the way. Neither is a reason to go on without.
            if (!able.Contains("STARTTLS")) throw new NotCarried("The mail server does not offer STARTTLS.");
            await server.Say("STARTTLS", 220, ct);
            await server.Protect(Tls(), ct);
            able = await server.Greet(ct);
        }
        await Authenticate(server, able, ct);
        if (message.NeedsUtf8 && !able.Contains("SMTPUTF8"))
            throw new NotCarried("The mail server takes ASCII addresses only.", forGood: true) { IsOfRecipient = System.Text.Ascii.IsValid(message.From) };
        await server.Say($"MAIL FROM:<{message.From}>{(message.NeedsUtf8 ? " SMTPUTF8" : "")}", 250, ct);
        await Address(server, message.To, ct);
        await server.Say("DATA", 354, ct);
        await server.Send(message.Bytes, ct);
        await server.Expect(250, ct);
        await server.Leave(ct);
    }

    private static async Task Address(SmtpDialogue server, string to, CancellationToken ct)
    {
        try
        {
            await server.Say($"RCPT TO:<{to}>", 250, ct);
        }
        // What RFC 5321 and 7504 say of a mailbox and its name. Other refusals (530, 554: it does not relay for this server) would meet every letter.
        catch (NotCarried e) when (e.Answer is 501 or 550 or 551 or 552 or 553 or 556)
        {
            throw new NotCarried(e.Message, forGood: true, e) { Answer = e.Answer, IsOfRecipient = true };
        }
    }

    private async Task Authenticate(SmtpDialogue server, IReadOnlySet<string> able, CancellationToken ct)
    {
        if (settings.User is not { } user) return;
        var password = settings.Password ?? "";
        if (able.Contains("AUTH PLAIN"))
        {
            await server.Say("AUTH PLAIN " + Base64($"\0{user}\0{password}"), 235, ct);
        }
        else if (able.Contains("AUTH LOGIN"))
        {
            await server.Say("AUTH LOGIN", 334, ct);
            await server.Say(Base64(user), 334, ct);
            await server.Say(Base64(password), 235, ct);
        }
        else
        {
            throw new NotCarried("The mail server offers neither AUTH PLAIN nor AUTH LOGIN.");
        }
    }

    private static string Base64(string text) => Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(text));

    private SslClientAuthenticationOptions Tls()
    {
        var options = new SslClientAuthenticationOptions { TargetHost = settings.Host };
        if (trust is not null)
        {
            options.CertificateChainPolicy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
            options.CertificateChainPolicy.CustomTrustStore.AddRange(trust);
        }
        return options;
    }
}
