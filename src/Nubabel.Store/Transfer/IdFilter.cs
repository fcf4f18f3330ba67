using System.Numerics;

namespace Nubabel.Store;

/// <summary>
/// The ids of a file's events in a bounded place, however many they are (a Bloom filter): an id that it does not know is none of them for certain; one that it knows most
/// likely is, and whoever must be certain looks at the file again.
/// </summary>
internal sealed class IdFilter
{
    /// <summary>Bits for an id, and those that each id sets: of a thousand strange ids one is taken for known.</summary>
    private const int BitsEach = 16, Marks = 6;

    /// <summary>128 MiB: enough for some sixty million ids; with more of them it is right less often.</summary>
    private const long MostBits = 1L << 30;

    private readonly ulong[] words;
    private readonly ulong mask;

    /// <param name="ids">About how many there will be.</param>
    public IdFilter(long ids)
    {
        var bits = BitOperations.RoundUpToPowerOf2((ulong)Math.Clamp(ids * BitsEach, 1 << 16, MostBits));
        words = new ulong[bits / 64];
        mask = bits - 1;
    }

    /// <summary>True when it may have been there before.</summary>
    public bool Add(Guid id)
    {
        var known = true;
        var (at, step) = Start(id);
        for (var i = 0; i < Marks; i++, at += step)
        {
            ref var word = ref words[(at & mask) / 64];
            var bit = 1UL << (int)(at % 64);
            known &= (word & bit) != 0;
            word |= bit;
        }
        return known;
    }

    /// <summary>False when it is none of them.</summary>
    public bool MayHave(Guid id)
    {
        var (at, step) = Start(id);
        for (var i = 0; i < Marks; i++, at += step)
            if ((words[(at & mask) / 64] & 1UL << (int)(at % 64)) == 0) return false;
        return true;
    }

    private static (ulong At, ulong Step) Start(Guid id)
    {
        Span<byte> bytes = stackalloc byte[16];
        id.TryWriteBytes(bytes);
        // Another writer's ids may be anything, numbers in a row too: each bit of the result depends on each of the id's.
        var high = Mixed(BitConverter.ToUInt64(bytes));
        var at = Mixed(high ^ BitConverter.ToUInt64(bytes[8..]));
        return (at, Mixed(at + high) | 1);
    }

    private static ulong Mixed(ulong n)
    {
        n = (n ^ n >> 30) * 0xbf58476d1ce4e5b9;
        n = (n ^ n >> 27) * 0x94d049bb133111eb;
        return n ^ n >> 31;
    }
}
