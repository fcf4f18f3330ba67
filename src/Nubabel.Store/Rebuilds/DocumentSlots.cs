using System.Runtime.InteropServices;

namespace Nubabel.Store;

/// <summary>The slots that keys are hashed into. Which slot a key has is the same in every process: one may go on where another one has ended.</summary>
internal static class DocumentSlots
{
    /// <summary>A power of two. One slot's documents must fit into memory, so there are many.</summary>
    public const int Count = 1024;

    /// <summary>FNV-1a, 64 bits, over the texts as UTF-16.</summary>
    public static int Of(string tenant, string key)
    {
        var hash = Add(Add(0xcbf29ce484222325, tenant), key);
        // Its low bits alone are the weakest.
        return (int)((hash ^ hash >> 32) & (Count - 1));

        static ulong Add(ulong hash, string text)
        {
            foreach (var b in MemoryMarshal.AsBytes(text.AsSpan())) hash = (hash ^ b) * 0x100000001b3;
            return hash;
        }
    }
}

/// <summary>
/// About how much memory documents take: their number, and the size of some of them as JSON. Nobody knows what a row takes as objects; several times its JSON
/// is on the safe side for small rows.
/// </summary>
internal sealed class DocumentSizes(int partitions)
{
    /// <summary>Each so many-th step is looked at.</summary>
    private const int Every = 64;

    /// <summary>A document, its place in the table of keys, its row, and what the collector has not taken yet.</summary>
    private const long EachTakes = 300;

    private const int TimesItsJson = 3;

    // A line of the processor's cache for each, so that they do not write over one another's.
    private readonly Part[] parts = [.. Enumerable.Range(0, partitions).Select(_ => new Part())];

    public long Bytes => parts.Sum(p => p.Documents * (EachTakes + p.KeyLength * sizeof(char) + (long)(p.Average * TimesItsJson)));

    public void Added(int part, string key)
    {
        parts[part].Documents++;
        parts[part].KeyLength = Math.Max(parts[part].KeyLength, key.Length);
    }

    public void Removed(int part) => parts[part].Documents--;

    public bool IsSample(int part) => parts[part].Steps++ % Every == 0;

    /// <summary>Newer ones count more: documents grow.</summary>
    public void Sampled(int part, int bytes) => parts[part].Average += (bytes - parts[part].Average) * (parts[part].Average == 0 ? 1 : 0.02);

    private sealed class Part
    {
        public long Documents { get; set; }
        public int KeyLength { get; set; }
        public double Average { get; set; }
        public long Steps { get; set; }
    }
}
