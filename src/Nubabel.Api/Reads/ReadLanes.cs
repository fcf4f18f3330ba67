using System.Numerics;

namespace Nubabel.Api.Reads;

/// <summary>
/// Which of a caller's streams a record of a read goes to. Commits to one stream follow each other, each a round trip and a write to the disk; so those that are under way
/// at the same time take a stream each, and a statement together. Who reads one after the other stays in one stream.
/// </summary>
internal sealed class ReadLanes
{
    /// <summary>So many streams a caller has at most.</summary>
    public const int Most = 16;

    private readonly Lock gate = new();
    private readonly Dictionary<(string Tenant, string Subject), uint> busy = [];

    // Each process begins with another one, so that a caller who goes to several processes meets itself in none.
    private readonly int first = Random.Shared.Next(Most);

    /// <summary>Takes a stream that nobody uses here; where all are in use, any. It is given back by disposing.</summary>
    public Lane Enter(string tenant, string subject)
    {
        lock (gate)
        {
            var used = busy.GetValueOrDefault((tenant, subject));
            var free = BitOperations.TrailingZeroCount(~used);
            if (free >= Most) return new Lane(null, tenant, subject, Random.Shared.Next(Most), 0);
            busy[(tenant, subject)] = used | 1u << free;
            return new Lane(this, tenant, subject, (first + free) % Most, 1u << free);
        }
    }

    private void Leave(string tenant, string subject, uint bit)
    {
        lock (gate)
        {
            var used = busy[(tenant, subject)] & ~bit;
            if (used == 0) busy.Remove((tenant, subject));
            else busy[(tenant, subject)] = used;
        }
    }

    /// <summary>A stream of a caller, taken for one commit.</summary>
    /// <param name="Number">From 0 on.</param>
    internal readonly record struct Lane(ReadLanes? Owner, string Tenant, string Subject, int Number, uint Bit) : IDisposable
    {
        public void Dispose() => Owner?.Leave(Tenant, Subject, Bit);
    }
}
