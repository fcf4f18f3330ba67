using System.Collections.Concurrent;

namespace Nubabel.Store;

/// <summary>
/// The commands on this node that meet on a stream decide one after the other, in the order of coming, each on what the one before it has written: many at once would
/// each be refused by the first. Only who was refused once, or finds others waiting, takes a turn; nobody else pays for it. Who needs several streams takes its places in
/// all their lines at once, so two can never wait for each other. A hint to be polite and no lock: what is appended is guarded by its version.
/// </summary>
/// <param name="most">Commands in one line.</param>
internal sealed class CommandTurns(int most = CommandTurns.Most)
{
    /// <summary>Where this many wait, the last would wait longer than most callers do.</summary>
    public const int Most = 1_000;

    /// <summary>Before each of so many turns in a row, the line lets other nodes by: it cannot know whether they are there.</summary>
    private const int InARow = 16;

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(2);

    private readonly Lock gate = new();
    private readonly ConcurrentDictionary<(string Tenant, string Stream), Line> lines = [];
    private int count;

    /// <summary>Streams that commands have a turn on.</summary>
    public int Count => Volatile.Read(ref count);

    /// <summary>Whether somebody has a turn on the stream or waits for one. Takes no lock.</summary>
    public bool IsTaken(string tenant, string stream) => Count > 0 && lines.ContainsKey((tenant, stream));

    /// <summary>Waits until all that came before have gone; whoever disposes of the turn goes. Null where too many wait already.</summary>
    public async ValueTask<StreamTurn?> Enter(string tenant, IEnumerable<string> streams, CancellationToken ct)
    {
        if (Begin(tenant, streams) is not { } turn) return null;
        try
        {
            await turn.Ready.Task.WaitAsync(ct);
            if (turn.Pauses) await Task.Delay(Pause, ct);
            return turn;
        }
        catch
        {
            turn.Dispose();
            throw;
        }
    }

    /// <summary>What those in line have seen of the stream last, however heavy it is: it is gone with the last of them.</summary>
    public Seen? Find(string tenant, string stream)
    {
        if (Count == 0 || !lines.TryGetValue((tenant, stream), out var line)) return null;
        lock (gate) return line.Seen;
    }

    /// <summary>Shows the stream as it was just seen to those in line.</summary>
    public void Show(string tenant, string stream, Seen seen)
    {
        if (Count == 0 || seen.Version == 0 || !seen.IsSound || !lines.TryGetValue((tenant, stream), out var line)) return;
        lock (gate)
            if (line.Seen is null || line.Seen.Version < seen.Version) line.Seen = seen;
    }

    /// <summary>What was shown of the stream is contradicted by the log.</summary>
    public void Forget(string tenant, string stream)
    {
        if (Count == 0 || !lines.TryGetValue((tenant, stream), out var line)) return;
        lock (gate) line.Seen = null;
    }

    /// <summary>Nothing that was shown counts any more.</summary>
    public void ForgetAll()
    {
        lock (gate)
            foreach (var line in lines.Values) line.Seen = null;
    }

    private StreamTurn? Begin(string tenant, IEnumerable<string> streams)
    {
        var turn = new StreamTurn(this);
        lock (gate)
        {
            var keys = streams.Distinct().Select(s => (tenant, s)).ToArray();
            foreach (var key in keys)
                if (lines.TryGetValue(key, out var full) && full.Turns.Count >= most) return null;
            foreach (var key in keys)
            {
                if (!lines.TryGetValue(key, out var line))
                {
                    lines[key] = line = new Line();
                    count++;
                }
                if (line.Turns.Count > 0) turn.Blockers++;
                turn.Places.Add((key, line, line.Turns.AddLast(turn)));
            }
            if (turn.Blockers == 0) turn.Ready.SetResult();
        }
        return turn;
    }

    internal void Leave(StreamTurn turn)
    {
        lock (gate)
        {
            foreach (var (key, line, place) in turn.Places)
            {
                var wasFirst = line.Turns.First == place;
                line.Turns.Remove(place);
                line.Left++;
                if (line.AmongNodes > 0) line.AmongNodes--;
                if (line.Turns.First is { } next)
                {
                    next.Value.Pauses |= line.Left % InARow == 0;
                    if (wasFirst && --next.Value.Blockers == 0) next.Value.Ready.TrySetResult();
                    continue;
                }
                lines.TryRemove(key, out _);
                count--;
            }
            turn.Places.Clear();
        }
    }

    internal sealed class Line
    {
        /// <summary>The first has its turn, as far as this stream goes.</summary>
        public LinkedList<StreamTurn> Turns { get; } = new();
        public Seen? Seen { get; set; }

        /// <summary>How many have gone.</summary>
        public int Left { get; set; }

        /// <summary>For how many turns other nodes are still expected on the stream.</summary>
        public int AmongNodes { get; set; }
    }

    internal bool AreExpected(StreamTurn turn)
    {
        lock (gate) return turn.Places.Exists(p => p.Line.AmongNodes > 0);
    }

    internal void Expect(StreamTurn turn)
    {
        lock (gate)
            foreach (var place in turn.Places) place.Line.AmongNodes = StreamTurn.Expected;
    }
}

/// <summary>A command's turn on its streams: no other one on this node that takes turns decides on them meanwhile. Whoever disposes of it lets the next one go.</summary>
public sealed class StreamTurn : IDisposable
{
    /// <summary>Turns for which another node that was met is expected again.</summary>
    internal const int Expected = 50;

    private readonly CommandTurns all;

    internal StreamTurn(CommandTurns all) => this.all = all;

    internal TaskCompletionSource Ready { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    internal List<((string, string) Key, CommandTurns.Line Line, LinkedListNode<StreamTurn> Place)> Places { get; } = new(1);

    /// <summary>In how many lines somebody stands before it.</summary>
    internal int Blockers { get; set; }

    /// <summary>Whether it waits a moment before it begins.</summary>
    internal bool Pauses { get; set; }

    /// <summary>Whether other nodes were met on the streams lately, so that what this one remembers of them is most likely old.</summary>
    public bool IsAmongNodes => all.AreExpected(this);

    /// <summary>Another node was faster.</summary>
    public void Meet() => all.Expect(this);

    public void Dispose() => all.Leave(this);
}
