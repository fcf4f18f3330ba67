using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace Nubabel.Bench;

/// <summary>
/// Sends requests over plain sockets that stay open, each as soon as its connection has the answer to the last: all by one thread that waits for all of them at once,
/// because whatever the load costs is taken from the server on the same cores.
/// </summary>
internal sealed class ClosedCalls : IDisposable
{
    private const int AnswerBytes = 64 * 1024;
    private readonly List<Connection> connections = [];

    public ClosedCalls(Uri address, int count)
    {
        for (var i = 0; i < count; i++) connections.Add(new Connection(address));
    }

    /// <summary>Milliseconds of each answer; every one must have the status that is expected.</summary>
    /// <param name="request">Fills the bytes of the n-th request of all, and says how many there are.</param>
    public double[] Run(TimeSpan time, int status, Func<byte[], long, int> request, CancellationToken ct)
    {
        var taken = new List<double>(100_000);
        var until = Stopwatch.GetTimestamp() + (long)(time.TotalSeconds * Stopwatch.Frequency);
        var sent = 0L;
        var waiting = connections.ToDictionary(c => c.Socket);
        foreach (var connection in connections) connection.Send(request, sent++);
        var ready = new List<Socket>(connections.Count);
        while (waiting.Count > 0)
        {
            ct.ThrowIfCancellationRequested();
            ready.Clear();
            ready.AddRange(waiting.Keys);
            Socket.Select(ready, null, null, TimeSpan.FromSeconds(10));
            if (ready.Count == 0) throw new TimeoutException("The server does not answer.");
            foreach (var socket in ready)
            {
                var connection = waiting[socket];
                if (connection.Receive(status) is not { } milliseconds) continue;
                taken.Add(milliseconds);
                if (Stopwatch.GetTimestamp() < until) connection.Send(request, sent++);
                else waiting.Remove(socket);
            }
        }
        return [.. taken.Order()];
    }

    public void Dispose()
    {
        foreach (var connection in connections) connection.Socket.Dispose();
    }

    private sealed class Connection
    {
        private readonly byte[] outgoing = new byte[4096];
        private readonly byte[] incoming = new byte[AnswerBytes];
        private int read;
        private int whole;
        private long begun;

        public Connection(Uri address) => Socket.Connect(address.Host, address.Port);

        public Socket Socket { get; } = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };

        public void Send(Func<byte[], long, int> request, long n)
        {
            var length = request(outgoing, n);
            (read, whole, begun) = (0, int.MaxValue, Stopwatch.GetTimestamp());
            for (var sent = 0; sent < length;) sent += Socket.Send(outgoing.AsSpan(sent, length - sent));
        }

        /// <summary>Takes what has come; the time when the answer is whole.</summary>
        public double? Receive(int status)
        {
            var more = Socket.Receive(incoming.AsSpan(read));
            if (more == 0) throw new IOException("The server has closed the connection.");
            read += more;
            if (whole == int.MaxValue) whole = HttpText.Length(incoming.AsSpan(0, read));
            if (read < whole) return null;
            var took = Stopwatch.GetElapsedTime(begun).TotalMilliseconds;
            if (int.Parse(incoming.AsSpan(9, 3), CultureInfo.InvariantCulture) != status) throw new InvalidOperationException($"Not {status}: {Encoding.UTF8.GetString(incoming, 0, read)}");
            return took;
        }
    }
}

/// <summary>What must be known of an answer on the wire.</summary>
internal static class HttpText
{
    /// <summary>Of head and body together; endless until the head is there.</summary>
    public static int Length(ReadOnlySpan<byte> answer)
    {
        var end = answer.IndexOf("\r\n\r\n"u8);
        if (end < 0) return int.MaxValue;
        var head = answer[..end];
        var at = head.IndexOf("Content-Length: "u8);
        if (at < 0 && head.IndexOf("Transfer-Encoding: chunked"u8) >= 0) return answer.EndsWith("\r\n0\r\n\r\n"u8) ? answer.Length : int.MaxValue;
        if (at < 0) throw new InvalidOperationException("An answer without a length: " + Encoding.ASCII.GetString(head));
        var digits = head[(at + "Content-Length: ".Length)..];
        var line = digits.IndexOf((byte)'\r');
        return end + 4 + int.Parse(line < 0 ? digits : digits[..line], CultureInfo.InvariantCulture);
    }
}
