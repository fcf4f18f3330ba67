using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Npgsql;

namespace Nubabel.Testing;

/// <summary>
/// Stands between the product and PostgreSQL and speaks the wire protocol (PostgreSQL's documentation, "Message Formats"): it can rewrite each
/// statement on its way in, hears each notice on its way out and counts the round trips. So a test changes what every statement says, also those it does not know
/// of, while the product has no switch that could be left on.
/// </summary>
public sealed class PostgresProxy : IAsyncDisposable
{
    private const int StartUpV3 = 196_608;
    private readonly TcpListener listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource stop = new();
    private readonly NpgsqlConnectionStringBuilder target;
    private readonly Func<string, string> rewrite;
    private readonly Action<string> notice;
    private readonly Action answered;
    private readonly Task accepting;
    private long roundTrips, rows;
    private CancellationTokenSource sessions = new();

    /// <param name="connectionString">Of the login and database that it leads to.</param>
    /// <param name="rewrite">From the text of a statement to what is sent instead.</param>
    /// <param name="notice">Told the text of each notice.</param>
    /// <param name="answered">Told when a statement has run, before its client hears of it. Like <paramref name="rewrite"/> it cuts the connection by an <see cref="IOException"/>.</param>
    public PostgresProxy(string connectionString, Func<string, string>? rewrite = null, Action<string>? notice = null, Action? answered = null)
    {
        target = new NpgsqlConnectionStringBuilder(connectionString);
        (this.rewrite, this.notice, this.answered) = (rewrite ?? (sql => sql), notice ?? (_ => { }), answered ?? (() => { }));
        listener.Start();
        ConnectionString = new NpgsqlConnectionStringBuilder(connectionString)
        {
            Host = "127.0.0.1",
            Port = ((IPEndPoint)listener.LocalEndpoint).Port,
            // What is encrypted cannot be rewritten.
            SslMode = SslMode.Disable,
            GssEncryptionMode = GssEncryptionMode.Disable,
        }.ConnectionString;
        accepting = Accept();
    }

    /// <summary>How often a client has sent something and waited for the answer.</summary>
    public long RoundTrips => Interlocked.Read(ref roundTrips);

    /// <summary>How many rows the server has answered.</summary>
    public long Rows => Interlocked.Read(ref rows);

    /// <summary>The same login and database, through here.</summary>
    public string ConnectionString { get; }

    /// <summary>Breaks all connections, as a restart of the server does; new ones are taken.</summary>
    public async Task Cut()
    {
        using var old = Interlocked.Exchange(ref sessions, new CancellationTokenSource());
        await old.CancelAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        listener.Stop();
        await accepting;
        stop.Dispose();
        sessions.Dispose();
    }

    private async Task Accept()
    {
        var sessions = new List<Task>();
        try
        {
            while (true) sessions.Add(Session(await listener.AcceptTcpClientAsync(stop.Token)));
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or InvalidOperationException)
        {
            // Also where it is stopped between two of them: not listening any more is an invalid operation, and so is being disposed of.
            await Task.WhenAll(sessions);
        }
    }

    private async Task Session(TcpClient accepted)
    {
        using var client = accepted;
        using var server = Connect();
        client.NoDelay = true;
        await using var inner = new NetworkStream(server);
        await using var outer = client.GetStream();
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(stop.Token, sessions.Token);
        // Whichever side goes first, the other hears of it.
        await Task.WhenAny(In(outer, inner, ended.Token), Out(inner, outer, ended.Token));
        await ended.CancelAsync();
    }

    private Socket Connect()
    {
        var host = target.Host!;
        if (host.StartsWith('/'))
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            socket.Connect(new UnixDomainSocketEndPoint($"{host}/.s.PGSQL.{target.Port}"));
            return socket;
        }
        var tcp = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        tcp.Connect(host, target.Port);
        return tcp;
    }

    private async Task In(NetworkStream from, NetworkStream to, CancellationToken ct)
    {
        await Quietly(async () =>
        {
            await using var reader = new BufferedStream(from, 64 * 1024);
            var first = await Message(reader, typed: false, ct);
            await to.WriteAsync(first, ct);
            if (BinaryPrimitives.ReadInt32BigEndian(first.AsSpan(4)) != StartUpV3) return; // A cancellation: one message, and the end.
            while (true)
            {
                var message = await Message(reader, typed: true, ct);
                // Sync ends what is sent at once by the extended protocol; a simple query is one by itself.
                if (message[0] is (byte)'S' or (byte)'Q') Interlocked.Increment(ref roundTrips);
                await to.WriteAsync(message[0] switch
                {
                    (byte)'P' => Parse(message),
                    (byte)'Q' => Made('Q', Text(rewrite(TextAt(message, 5, out _)))),
                    _ => message,
                }, ct);
            }
        });
    }

    private async Task Out(NetworkStream from, NetworkStream to, CancellationToken ct)
    {
        await Quietly(async () =>
        {
            await using var reader = new BufferedStream(from, 64 * 1024);
            while (true)
            {
                var message = await Message(reader, typed: true, ct);
                if (message[0] == (byte)'N') Hear(message);
                if (message[0] == (byte)'D') Interlocked.Increment(ref rows);
                if (message[0] == (byte)'C') answered();
                await to.WriteAsync(message, ct);
            }
        });
    }

    /// <summary>Parse: the statement's name, its text, the types of its parameters.</summary>
    private byte[] Parse(byte[] message)
    {
        var name = TextAt(message, 5, out var afterName);
        var sql = TextAt(message, afterName, out var afterText);
        return Made('P', Text(name), Text(rewrite(sql)), message[afterText..]);
    }

    /// <summary>A notice: fields of a type byte and a text; M is the message.</summary>
    private void Hear(byte[] message)
    {
        for (var at = 5; message[at] != 0;)
        {
            var field = message[at];
            var text = TextAt(message, at + 1, out at);
            if (field == (byte)'M') notice(text);
        }
    }

    private static async Task<byte[]> Message(BufferedStream from, bool typed, CancellationToken ct)
    {
        var head = new byte[typed ? 5 : 4];
        await from.ReadExactlyAsync(head, ct);
        var length = BinaryPrimitives.ReadInt32BigEndian(head.AsSpan(typed ? 1 : 0)) - 4;
        var message = new byte[head.Length + length];
        head.CopyTo(message, 0);
        await from.ReadExactlyAsync(message.AsMemory(head.Length), ct);
        return message;
    }

    private static byte[] Made(char type, params byte[][] parts)
    {
        var message = new byte[5 + parts.Sum(p => p.Length)];
        message[0] = (byte)type;
        BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(1), message.Length - 1);
        var at = 5;
        foreach (var part in parts)
        {
            part.CopyTo(message, at);
            at += part.Length;
        }
        return message;
    }

    private static byte[] Text(string text) => [.. Encoding.UTF8.GetBytes(text), 0];

    private static string TextAt(byte[] message, int at, out int next)
    {
        var end = Array.IndexOf(message, (byte)0, at);
        next = end + 1;
        return Encoding.UTF8.GetString(message, at, end - at);
    }

    private static async Task Quietly(Func<Task> work)
    {
        try
        {
            await work();
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // One side has gone: the end of every session.
        }
    }
}
