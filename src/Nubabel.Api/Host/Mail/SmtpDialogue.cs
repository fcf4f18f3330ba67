using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;

namespace Nubabel.Api.Host.Mail;

/// <summary>The lines of one SMTP connection. Commands never show in exceptions: they hold addresses and passwords.</summary>
internal sealed class SmtpDialogue(NetworkStream connection) : IAsyncDisposable
{
    /// <summary>Of one answer. RFC 5321 §4.5.3.1.5 says 512 a line; whoever sends more than this is not a mail server.</summary>
    private const int LongestAnswer = 16 * 1024;

    private readonly byte[] buffer = new byte[2048];
    private readonly string name = Named(connection.Socket);
    private Stream stream = connection;
    private int begin, end;

    /// <summary>From here on under TLS.</summary>
    public async Task Protect(SslClientAuthenticationOptions options, CancellationToken ct)
    {
        // What came in the clear behind the answer to STARTTLS would be read as if it had come protected.
        if (begin < end) throw new NotCarried("The mail server spoke out of turn.");
        var tls = new SslStream(stream, leaveInnerStreamOpen: false);
        stream = tls;
        await tls.AuthenticateAsClientAsync(options, ct);
    }

    /// <summary>Introduces itself; what the server is able to do, upper case, mechanisms of AUTH one by one.</summary>
    public async Task<IReadOnlySet<string>> Greet(CancellationToken ct)
    {
        await Write("EHLO " + name, ct);
        var able = new HashSet<string>();
        foreach (var line in (await Answer(250, ct)).Skip(1))
        {
            var words = line.ToUpperInvariant().Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words.Length == 0) continue;
            able.Add(words[0]);
            foreach (var word in words.Skip(1)) able.Add($"{words[0]} {word}");
        }
        return able;
    }

    public async Task Say(string command, int expected, CancellationToken ct)
    {
        await Write(command, ct);
        await Expect(expected, ct);
    }

    public async Task Expect(int expected, CancellationToken ct) => await Answer(expected, ct);

    /// <summary>The message and the dot behind it; a line that begins with a dot gets a second one (RFC 5321 §4.5.2).</summary>
    public async Task Send(byte[] message, CancellationToken ct)
    {
        using var stuffed = new MemoryStream(message.Length + 64);
        var atLineStart = true;
        foreach (var b in message)
        {
            if (atLineStart && b == '.') stuffed.WriteByte((byte)'.');
            stuffed.WriteByte(b);
            atLineStart = b == '\n';
        }
        stuffed.Write(atLineStart ? ".\r\n"u8 : "\r\n.\r\n"u8);
        await stream.WriteAsync(stuffed.GetBuffer().AsMemory(0, (int)stuffed.Length), ct);
    }

    /// <summary>Says goodbye; the message is taken already, so no failure counts any more.</summary>
    public async Task Leave(CancellationToken ct)
    {
        try
        {
            await Write("QUIT", ct);
            await Answer(221, ct);
        }
        catch (Exception e) when (e is IOException or NotCarried or OperationCanceledException)
        {
        }
    }

    public async ValueTask DisposeAsync() => await stream.DisposeAsync();

    private async Task Write(string command, CancellationToken ct)
    {
        // Addresses and credentials have been checked and encoded before; this is the last lock against a second command in one.
        if (command.AsSpan().ContainsAny('\r', '\n')) throw new NotCarried("A command holds a line end.", forGood: true);
        await stream.WriteAsync(Encoding.UTF8.GetBytes(command + "\r\n"), ct);
    }

    private async Task<IReadOnlyList<string>> Answer(int expected, CancellationToken ct)
    {
        var lines = new List<string>();
        var length = 0;
        while (true)
        {
            var line = await Line(ct);
            if ((length += line.Length + 2) > LongestAnswer || line.Length < 3 || !int.TryParse(line.AsSpan(0, 3), NumberStyles.None, CultureInfo.InvariantCulture, out var code))
                throw new NotCarried("The mail server does not speak SMTP.");
            lines.Add(line.Length > 4 ? line[4..] : "");
            if (line.Length > 3 && line[3] == '-') continue;
            // 2xx where another 2xx was expected is as good: 251 forwards, 252 does not verify.
            if (code / 100 == expected / 100 && (expected / 100 != 3 || code == expected)) return lines;
            throw new NotCarried(string.Create(CultureInfo.InvariantCulture, $"The mail server answered {code}."), forGood: code is >= 500 and < 600) { Answer = code };
        }
    }

    private async Task<string> Line(CancellationToken ct)
    {
        var line = new StringBuilder();
        while (true)
        {
            for (; begin < end; begin++)
            {
                if (buffer[begin] == '\n')
                {
                    begin++;
                    return line.ToString().TrimEnd('\r');
                }
                if (line.Length > LongestAnswer) throw new NotCarried("The mail server does not speak SMTP.");
                line.Append((char)buffer[begin]);
            }
            (begin, end) = (0, await stream.ReadAsync(buffer, ct));
            if (end == 0) throw new NotCarried("The mail server closed the connection.");
        }
    }

    /// <summary>Who has no name says its address (RFC 5321 §4.1.4).</summary>
    private static string Named(Socket socket) =>
        socket.LocalEndPoint is not IPEndPoint { Address: var address } ? "[127.0.0.1]"
        : address.IsIPv4MappedToIPv6 ? $"[{address.MapToIPv4()}]"
        : address.AddressFamily == AddressFamily.InterNetworkV6 ? $"[IPv6:{new IPAddress(address.GetAddressBytes())}]"
        : $"[{address}]";
}
