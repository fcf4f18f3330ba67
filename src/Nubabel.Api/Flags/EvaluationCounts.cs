using System.Collections.Concurrent;
using Nubabel.Domain;
using Nubabel.Domain.Flags;
using Nubabel.Domain.Organizations;
using Nubabel.Projections.Flags;

namespace Nubabel.Api.Flags;

/// <summary>What is counted of a flag beside its cells: the evaluations for organizations that found no room in the table.</summary>
internal sealed class Tally(int number)
{
    public long EnabledElsewhere;
    public long DisabledElsewhere;

    /// <summary>What the flag's cells are marked with; from 1.</summary>
    public int Number => number;
}

/// <summary>
/// Counts evaluations by flag, organization and value in a table of fixed size: open addressing, a cell is taken once by compare-and-swap and never given
/// back, so counting takes no lock and allocates nothing. A cell also remembers its organization's bucket, which is the costly part of a rollout.
/// </summary>
internal sealed class EvaluationCounts(DateTimeOffset since, int capacity = EvaluationCounts.Cells)
{
    /// <summary>Pairs of flag and organization that are counted apart; a power of two. About 3 MB.</summary>
    public const int Cells = 65_536;

    /// <summary>Organizations that are shown of a flag.</summary>
    public const int MostShown = 100;

    // Cells that are looked at for one pair, so that a full table stays as quick as an empty one.
    private const int Probes = 16;
    private const int Free = 0, Claimed = 1, Taken = 2;

    private readonly Cell[] cells = new Cell[capacity];
    private readonly ConcurrentDictionary<string, Tally> tallies = new(StringComparer.Ordinal);
    private int numbers;

    /// <summary>Stays the same for a key whatever happens to its flag.</summary>
    public Tally TallyOf(FlagKey key) => tallies.GetOrAdd(key.Value, _ => new Tally(Interlocked.Increment(ref numbers)));

    /// <summary>The cell of a flag and an organization, taken where there was none; -1 where there is no room.</summary>
    public int Find(Tally tally, Guid organization)
    {
        var mask = cells.Length - 1;
        var at = HashCode.Combine(tally.Number, organization) & mask;
        for (var probe = 0; probe < Probes; probe++, at = (at + 1) & mask)
        {
            ref var cell = ref cells[at];
            var state = Volatile.Read(ref cell.State);
            if (state == Taken && cell.Flag == tally.Number && cell.Organization == organization) return at;
            if (state == Free && Interlocked.CompareExchange(ref cell.State, Claimed, Free) == Free)
            {
                (cell.Flag, cell.Organization) = (tally.Number, organization);
                // Last, so that whoever sees it taken sees whose it is.
                Volatile.Write(ref cell.State, Taken);
                return at;
            }
            // One that is being taken right now may be this pair's own; then the pair gets two cells, which are added up when they are shown.
        }
        return -1;
    }

    public void Add(Tally tally, int cell, bool enabled)
    {
        if (cell < 0) Interlocked.Increment(ref enabled ? ref tally.EnabledElsewhere : ref tally.DisabledElsewhere);
        else Interlocked.Increment(ref enabled ? ref cells[cell].Enabled : ref cells[cell].Disabled);
    }

    /// <summary>The organization's bucket of the flag, from its cell or worked out.</summary>
    public int Bucket(int cell, string key, Guid organization)
    {
        if (cell < 0) return Buckets.Of(key, organization);
        // Kept one higher, so that 0 is "not known yet". Two at once write the same.
        var kept = Volatile.Read(ref cells[cell].BucketAndOne);
        if (kept > 0) return kept - 1;
        var bucket = Buckets.Of(key, organization);
        Volatile.Write(ref cells[cell].BucketAndOne, bucket + 1);
        return bucket;
    }

    public FlagCounts Of(FlagKey key)
    {
        if (!tallies.TryGetValue(key.Value, out var tally)) return new FlagCounts(since, 0, 0, [], true);
        var (elseOn, elseOff) = (Interlocked.Read(ref tally.EnabledElsewhere), Interlocked.Read(ref tally.DisabledElsewhere));
        var organizations = new Dictionary<Guid, (long Enabled, long Disabled)>();
        for (var i = 0; i < cells.Length; i++)
        {
            ref var cell = ref cells[i];
            if (Volatile.Read(ref cell.State) != Taken || cell.Flag != tally.Number) continue;
            var (on, off) = organizations.GetValueOrDefault(cell.Organization);
            organizations[cell.Organization] = (on + Interlocked.Read(ref cell.Enabled), off + Interlocked.Read(ref cell.Disabled));
        }
        var most = organizations.OrderByDescending(o => o.Value.Enabled + o.Value.Disabled).ThenBy(o => o.Key).Take(MostShown)
            .Select(o => new OrganizationCount(new Id<Organization>(o.Key), o.Value.Enabled, o.Value.Disabled));
        return new FlagCounts(
            since, elseOn + organizations.Values.Sum(o => o.Enabled), elseOff + organizations.Values.Sum(o => o.Disabled), [.. most],
            elseOn + elseOff == 0 && organizations.Count <= MostShown);
    }

    private struct Cell
    {
        public int State;
        public int Flag;
        public Guid Organization;
        public int BucketAndOne;
        public long Enabled;
        public long Disabled;
    }
}
