namespace Nubabel.Store;

/// <summary>Too many long histories are being read at this node; nothing was decided on them. Whoever comes again in a moment finds room.</summary>
public sealed class TooMuchHistory() : Exception("Too many long histories are being read at this node.");

/// <summary>
/// Bounds what the histories weigh together that are being read at one moment. A stream may have become long, by whoever is patient; a burst of commands on it
/// would fill the memory with as many copies. Short histories are always read, and so is a long one when no other is: it only takes its time.
/// </summary>
/// <param name="most">Of all reads that are under way, in bytes.</param>
internal sealed class HistoryReads(long most)
{
    /// <summary>What a read may weigh without being counted: some thousand events.</summary>
    private const long Short = 2 << 20;

    private readonly long most = most;
    private readonly Lock gate = new();
    private long weight;

    /// <summary>What the long ones weigh now.</summary>
    public long Weight
    {
        get { lock (gate) return weight; }
    }

    /// <summary>Begins a read.</summary>
    public Read Begin() => new(this);

    /// <summary>One read; what it has counted is free again when it is disposed of.</summary>
    public sealed class Read(HistoryReads all) : IDisposable
    {
        private long seen, counted;

        /// <summary>One event more.</summary>
        /// <exception cref="TooMuchHistory">There is no room for it; its own is free at once, so that of many who meet here one goes on.</exception>
        public void Add(int bytes)
        {
            seen += bytes;
            if (seen - counted < Short) return;
            lock (all.gate)
            {
                var others = all.weight - counted;
                all.weight = others + seen;
                counted = seen;
                // Alone it goes on, however long it is.
                if (others == 0 || all.weight <= all.most) return;
                all.weight = others;
                counted = 0;
            }
            throw new TooMuchHistory();
        }

        public void Dispose()
        {
            lock (all.gate) all.weight -= counted;
            counted = 0;
        }
    }
}
