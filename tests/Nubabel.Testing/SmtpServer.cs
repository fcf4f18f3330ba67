using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Nubabel.Testing;

/// <summary>What a mail server was handed: the envelope, and the message as it would be stored, dots unstuffed.</summary>
public sealed record ReceivedMail(string From, string To, string Text, bool Protected, string? User, string MailCommand);

/// <summary>A mail server on a loopback port: real sockets, STARTTLS or TLS with a certificate of its own, AUTH PLAIN and LOGIN.</summary>
public sealed class SmtpServer : IAsyncDisposable
{
    private readonly TcpListener listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource ended = new();
    private readonly Task accepting;

    public SmtpServer()
    {
        listener.Start();
        accepting = Accept();
    }

    public int Port => ((IPEndPoint)listener.LocalEndpoint).Port;

    /// <summary>Whether a client must speak TLS from the first byte.</summary>
    public bool TlsAtOnce { get; init; }

    /// <summary>What it says it can do.</summary>
    public IReadOnlyList<string> Able { get; init; } = ["8BITMIME", "SMTPUTF8", "STARTTLS", "AUTH PLAIN LOGIN"];

    /// <summary>Where set, nobody else may send.</summary>
    public (string User, string Password)? Account { get; init; }

    /// <summary>Answers instead of its own, by command: <c>RCPT</c> → 451. Taken one at a time; <c>.</c> is the end of a message.</summary>
    public ConcurrentDictionary<string, ConcurrentQueue<string>> Answers { get; } = new();

    public ConcurrentQueue<ReceivedMail> Received { get; } = new();
    public ConcurrentQueue<string> Commands { get; } = new();

    /// <summary>Until it is completed no connection is answered.</summary>
    public TaskCompletionSource? Silent { get; init; }

    public X509Certificate2 Certificate { get; } = Made();

    public void Answer(string command, params string[] answers)
    {
        foreach (var answer in answers) Answers.GetOrAdd(command, _ => new()).Enqueue(answer);
    }

    /// <summary>Waits until so many messages are there.</summary>
    public async Task<IReadOnlyList<ReceivedMail>> Mails(int count)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while (Received.Count < count) await Task.Delay(10, deadline.Token);
        return [.. Received];
    }

    public async ValueTask DisposeAsync()
    {
        await ended.CancelAsync();
        listener.Dispose();
        await accepting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        Certificate.Dispose();
        ended.Dispose();
    }

    private async Task Accept()
    {
        while (!ended.IsCancellationRequested)
        {
            var client = await listener.AcceptTcpClientAsync(ended.Token);
            _ = Task.Run(async () =>
            {
                using (client)
                {
                    try
                    {
                        if (Silent is { } silent) await silent.Task.WaitAsync(ended.Token);
                        await new Conversation(this, client.GetStream()).Run(ended.Token);
                    }
                    catch (Exception e) when (e is IOException or OperationCanceledException or System.Security.Authentication.AuthenticationException)
                    {
                        // The client has gone, or trusts nobody.
                    }
                }
            });
        }
    }

    private static X509Certificate2 Made()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("localhost");
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        var now = TimeProvider.System.GetUtcNow();
        return request.CreateSelfSigned(now.AddDays(-1), now.AddDays(1));
    }

    /// <summary>One connection.</summary>
    private sealed class Conversation(SmtpServer server, Stream connection)
    {
        private Stream stream = connection;
        private string from = "", to = "", mail = "";
        private string? user;

        public async Task Run(CancellationToken ct)
        {
            if (server.TlsAtOnce) await Protect(ct);
            await Say("220 localhost ready", ct);
            while (await Line(ct) is { } line)
            {
                var command = line.Split(' ', ':')[0].ToUpperInvariant();
                server.Commands.Enqueue(command is "AUTH" ? string.Join(' ', line.Split(' ').Take(2)) : line);
                if (server.Answers.TryGetValue(command, out var scripted) && scripted.TryDequeue(out var answer)) await Say(answer, ct);
                else if (!await Do(command, line, ct)) return;
            }
        }

        private async Task<bool> Do(string command, string line, CancellationToken ct)
        {
            switch (command)
            {
                case "EHLO":
                    var able = server.Able.Where(a => a != "STARTTLS" || stream is not SslStream).ToArray();
                    await Say(string.Concat(able.Select(a => $"250-{a}\r\n").Prepend("250-localhost\r\n")) + "250 SIZE 1000000", ct);
                    break;
                case "STARTTLS":
                    await Say("220 go ahead", ct);
                    await Protect(ct);
                    break;
                case "AUTH":
                    await Authenticate(line, ct);
                    break;
                case "MAIL" when server.Account is not null && user is null:
                    await Say("530 sign in first", ct);
                    break;
                case "MAIL":
                    (from, mail) = (Address(line), line);
                    await Say("250 ok", ct);
                    break;
                case "RCPT":
                    to = Address(line);
                    await Say("250 ok", ct);
                    break;
                case "DATA":
                    await Say("354 go ahead", ct);
                    await Receive(ct);
                    break;
                case "QUIT":
                    await Say("221 bye", ct);
                    return false;
                default:
                    await Say("500 what?", ct);
                    break;
            }
            return true;
        }

        private async Task Receive(CancellationToken ct)
        {
            var text = new StringBuilder();
            string? line;
            while ((line = await Line(ct)) is not null and not ".") text.Append(line.StartsWith('.') ? line[1..] : line).Append("\r\n");
            // Whoever goes away in the middle of a message has not sent it.
            if (line is null) return;
            if (server.Answers.TryGetValue(".", out var scripted) && scripted.TryDequeue(out var answer))
            {
                await Say(answer, ct);
                return;
            }
            server.Received.Enqueue(new ReceivedMail(from, to, text.ToString(), stream is SslStream, user, mail));
            await Say("250 taken", ct);
        }

        private async Task Authenticate(string line, CancellationToken ct)
        {
            var words = line.Split(' ');
            string[] said;
            if (words[1] == "PLAIN")
            {
                said = Decoded(words[2]).Split('\0')[1..];
            }
            else
            {
                await Say("334 VXNlcm5hbWU6", ct);
                var name = Decoded((await Line(ct))!);
                await Say("334 UGFzc3dvcmQ6", ct);
                said = [name, Decoded((await Line(ct))!)];
            }
            var right = server.Account is { } account && said[0] == account.User && said[1] == account.Password;
            if (right) user = said[0];
            await Say(right ? "235 welcome" : "535 no", ct);
        }

        private static string Decoded(string text) => Encoding.UTF8.GetString(Convert.FromBase64String(text));

        private static string Address(string line) => line[(line.IndexOf('<', StringComparison.Ordinal) + 1)..line.IndexOf('>', StringComparison.Ordinal)];

        private async Task Protect(CancellationToken ct)
        {
            var tls = new SslStream(stream);
            await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions { ServerCertificate = server.Certificate }, ct);
            stream = tls;
        }

        private async Task Say(string line, CancellationToken ct) => await stream.WriteAsync(Encoding.UTF8.GetBytes(line + "\r\n"), ct);

        private async Task<string?> Line(CancellationToken ct)
        {
            var line = new List<byte>();
            var one = new byte[1];
            while (await stream.ReadAsync(one, ct) == 1)
            {
                if (one[0] == '\n') return Encoding.UTF8.GetString([.. line]).TrimEnd('\r');
                line.Add(one[0]);
            }
            return null;
        }
    }
}
