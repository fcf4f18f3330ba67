using System.Buffers.Binary;
using Nubabel.Store;

namespace Nubabel.Api.Host.Rates;

/// <summary>
/// Tells the other nodes once a second what was spent here, and takes off what was spent there, so that a limit holds over all nodes (docs/operations.md
/// says how exactly). A key is worth telling of when a quarter of its burst has gone, so that the many who send little cost nothing. When notes get lost,
/// or the database is away, each node still holds its own limit.
/// </summary>
public sealed class Exchange : IAsyncDisposable
{
    /// <summary>A key is told of from this part of its burst on: a quarter.</summary>
    internal const int Threshold = 4;

    /// <summary>How often a node tells.</summary>
    public static readonly TimeSpan Every = TimeSpan.FromSeconds(1);

    private const string Channel = "nubabel_limits";

    // One byte for the policy, sixteen for the key, eight for the ticks.
    private const int IdAt = 1, TicksAt = 17, EntryBytes = 25;
    private const int EntriesOfNote = NodeNotes.LongestNote * 3 / 4 / EntryBytes;

    private readonly RateLimits limits;
    private readonly NodeNotes notes;

    public Exchange(RateLimits limits, string connectionString, ILogger<Exchange> log)
    {
        this.limits = limits;
        notes = new NodeNotes(connectionString, Channel, Every, Outgoing, Incoming, log);
    }

    /// <summary>Whether it hears what others tell from now on; what they told before is lost to it.</summary>
    internal bool Hears => notes.Listening > 0;

    public void Start() => notes.Start();

    public ValueTask DisposeAsync() => notes.DisposeAsync();

    internal IEnumerable<string> Outgoing() =>
        limits.All.SelectMany((meters, policy) => meters.Tell().Select(spent => Entry((byte)policy, spent.Id, spent.Ticks)))
            .Chunk(EntriesOfNote).Select(entries => Convert.ToBase64String([.. entries.SelectMany(e => e)]));

    /// <summary>What cannot be read is another build's and is left.</summary>
    internal void Incoming(string note)
    {
        var bytes = new byte[NodeNotes.LongestNote];
        if (!Convert.TryFromBase64String(note, bytes, out var length)) return;
        for (var entry = bytes.AsSpan(0, length); entry.Length >= EntryBytes; entry = entry[EntryBytes..])
            if (entry[0] < limits.All.Count)
                limits.All[entry[0]].Charge(BinaryPrimitives.ReadUInt128BigEndian(entry[IdAt..]), BinaryPrimitives.ReadInt64BigEndian(entry[TicksAt..]));
    }

    private static byte[] Entry(byte policy, UInt128 id, long ticks)
    {
        var entry = new byte[EntryBytes];
        entry[0] = policy;
        BinaryPrimitives.WriteUInt128BigEndian(entry.AsSpan(IdAt), id);
        BinaryPrimitives.WriteInt64BigEndian(entry.AsSpan(TicksAt), ticks);
        return entry;
    }
}
