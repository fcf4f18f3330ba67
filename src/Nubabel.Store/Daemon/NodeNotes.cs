using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;

namespace Nubabel.Store;

/// <summary>
/// Carries short notes between the nodes of one database, by NOTIFY on one direct connection of each: at most once, and only to those who listen at that
/// moment. For what helps where it arrives and is no loss where it does not.
/// </summary>
public sealed partial class NodeNotes : IAsyncDisposable
{
    /// <summary>The most bytes of a note; PostgreSQL takes fewer than 8,000.</summary>
    public const int LongestNote = 7_900;

    private readonly NpgsqlDataSource direct;
    private readonly string channel;
    private readonly TimeSpan every;
    private readonly Func<IEnumerable<string>> outgoing;
    private readonly Action<string> incoming;
    private readonly Loop loop;

    /// <param name="connectionString">The daemon login's.</param>
    /// <param name="channel">Lower-case letters and underscores; who has the same one hears each other.</param>
    /// <param name="every">How long notes are gathered before they go out together.</param>
    /// <param name="outgoing">The notes to send now, none longer than <see cref="LongestNote"/>. What cannot be sent is lost.</param>
    /// <param name="incoming">Takes another node's note; must not throw.</param>
    public NodeNotes(string connectionString, string channel, TimeSpan every, Func<IEnumerable<string>> outgoing, Action<string> incoming, ILogger? log = null)
    {
        if (!ChannelName().IsMatch(channel)) throw new ArgumentException("A channel is lower-case letters and underscores.", nameof(channel));
        direct = DirectConnections.To(connectionString, Nodes.Process);
        (this.channel, this.every, this.outgoing, this.incoming) = (channel, every, outgoing, incoming);
        loop = new Loop($"notes {channel}", Round, log ?? NullLogger.Instance);
    }

    /// <summary>How often a connection has stood ready to hear.</summary>
    public int Listening { get; private set; }

    public void Start() => loop.Start();

    public async ValueTask DisposeAsync()
    {
        await loop.DisposeAsync();
        await direct.DisposeAsync();
    }

    private async Task Round(CancellationToken ct)
    {
        await using var connection = await direct.OpenConnectionAsync(ct);
        connection.Notification += (_, note) =>
        {
            if (note.PID != connection.ProcessID) incoming(note.Payload);
        };
        // A note need not survive a crash, so its commit need not wait for the disk.
        await using (var listen = new NpgsqlCommand($"set synchronous_commit = off; listen {channel}", connection)) await listen.ExecuteNonQueryAsync(ct);
        Listening++;
        loop.Goes();
        while (true)
        {
            var since = TimeProvider.System.GetTimestamp();
            // Whole milliseconds, as the driver takes less for no bound at all. A note that comes in ends a wait early.
            while (Math.Ceiling((every - TimeProvider.System.GetElapsedTime(since)).TotalMilliseconds) is > 0 and var left) await connection.WaitAsync(TimeSpan.FromMilliseconds(left), ct);
            foreach (var note in outgoing())
            {
                await using var notify = new NpgsqlCommand("select pg_notify($1, $2)", connection) { Parameters = { new() { Value = channel }, new() { Value = note } } };
                await notify.ExecuteNonQueryAsync(ct);
            }
        }
    }

    [GeneratedRegex("^[a-z_]{1,60}$")]
    private static partial Regex ChannelName();
}
