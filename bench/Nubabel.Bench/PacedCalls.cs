using System.Buffers;
using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace Nubabel.Bench;

/// <summary>
/// Sends one request again and again at a given rate, over plain sockets that stay open, as cheaply as it can be done: it shares the machine with the
/// server that is measured. Open loop: a slot that is due is due, whether or not earlier ones are answered, and what no free connection can send is
/// counted as missed. A latency runs from when the slot was due.
/// </summary>
internal sealed class PacedCalls(Uri address, string path, string token, int perSecond, int connections) : IAsyncDisposable
{
    private const int AnswerBytes = 64 * 1024;
    private readonly byte[] request = Encoding.ASCII.GetBytes($"GET {path} HTTP/1.1\r\nHost: {address.Authority}\r\nAuthorization: Bearer {token}\r\n\r\n");
    private readonly List<TcpClient> clients = [];

    /// <summary>What came back: how many of each status, and the time of each in milliseconds.</summary>
    public sealed record Answered(IReadOnlyDictionary<int, int> Statuses, IReadOnlyList<double> Milliseconds, int Missed);

    public async Task Connect(CancellationToken ct)
    {
        for (var i = 0; i < connections; i++)
        {
            var client = new TcpClient { NoDelay = true };
            clients.Add(client);
            await client.ConnectAsync(address.Host, address.Port, ct);
        }
    }

    public async Task<Answered> Run(TimeSpan time, CancellationToken ct)
    {
        var start = TimeProvider.System.GetTimestamp();
        var total = (int)(perSecond * time.TotalSeconds);
        var next = -1;
        var statuses = new Dictionary<int, int>();
        var times = new List<double>(total);
        var gate = new Lock();
        await Task.WhenAll(clients.Select(client => Task.Run(() => Worker(client), ct)));
        return new Answered(statuses, times, total - times.Count);

        async Task Worker(TcpClient client)
        {
            var buffer = ArrayPool<byte>.Shared.Rent(AnswerBytes);
            for (int slot; (slot = Interlocked.Increment(ref next)) < total;)
            {
                var due = TimeSpan.FromSeconds((double)slot / perSecond);
                var early = due - TimeProvider.System.GetElapsedTime(start);
                if (early > TimeSpan.Zero) await Task.Delay(early, ct);
                // So late that the rounds would not end in time: missed.
                if (TimeProvider.System.GetElapsedTime(start) > time + TimeSpan.FromSeconds(1)) break;
                var status = await Call(client.GetStream(), buffer, ct);
                var took = TimeProvider.System.GetElapsedTime(start) - due;
                lock (gate)
                {
                    statuses[status] = statuses.GetValueOrDefault(status) + 1;
                    times.Add(took.TotalMilliseconds);
                }
            }
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    public ValueTask DisposeAsync()
    {
        foreach (var client in clients) client.Dispose();
        return ValueTask.CompletedTask;
    }

    private async Task<int> Call(NetworkStream stream, byte[] buffer, CancellationToken ct)
    {
        await stream.WriteAsync(request, ct);
        var (read, whole) = (0, int.MaxValue);
        while (read < whole)
        {
            var more = await stream.ReadAsync(buffer.AsMemory(read), ct);
            if (more == 0) throw new IOException("The server has closed the connection.");
            read += more;
            if (whole == int.MaxValue) whole = HttpText.Length(buffer.AsSpan(0, read));
        }
        return int.Parse(buffer.AsSpan(9, 3), CultureInfo.InvariantCulture);
    }
}
