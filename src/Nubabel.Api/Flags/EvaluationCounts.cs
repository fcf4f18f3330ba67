using System.Collections.Concurrent;
using Nubabel.Api.Host;
using Nubabel.Domain.Flags;
using Nubabel.Projections.Flags;

namespace Nubabel.Api.Flags;

/// <summary>What is counted of a flag beside its cells: the evaluations for organizations that found no room in the table.</summary>
internal sealed class Tally(int number, string key)
{
    public long EnabledElsewhere;
    public long DisabledElsewhere;

    /// <summary>What the flag's cells are marked with; from 1.</summary>
    public int Number => number;

    public string Key => key;
}

/// <summary>
/// Counts evaluations by flag, organization and value in a table of fixed size: open addressing, a cell is taken once by compare-and-swap and never given
/// back, so counting takes no lock and allocates nothing. A cell also remembers its organization's bucket, which is the costly part of a rollout.
/// </summary>
internal sealed class EvaluationCounts(int capacity = EvaluationCounts.Cells)
{
    /// <summary>Pairs of flag and organization that are counted apart; a power of two. About 3 MB.</summary>
    public const int Cells = 65_536;

    // Cells that are looked at for one pair, so that a full table stays as quick as an empty one.
    private const int Probes = 16;
    private const int Free = 0, Claimed = 1, Taken = 2;

    private readonly Cell[] cells = new Cell[capacity];

    // What has been settled of each cell and tally. Beside the cells, so that what is counted in stays as small as it is; touched by one writer at a time.
    private readonly (long Enabled, long Disabled)[] settled = new (long, long)[capacity];
    private readonly Dictionary<Tally, (long Enabled, long Disabled)> settledElsewhere = [];
    private readonly List<(int Cell, long Enabled, long Disabled)> taken = [];
    private readonly List<(Tally Tally, long Enabled, long Disabled)> takenElsewhere = [];

    private readonly ConcurrentDictionary<string, Tally> tallies = new(StringComparer.Ordinal);
    private int numbers;

    /// <summary>Stays the same for a key whatever happens to its flag.</summary>
    public Tally TallyOf(FlagKey key) => tallies.GetOrAdd(key.Value, _ => new Tally(Interlocked.Increment(ref numbers), key.Value));

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

    /// <summary>
    /// What has been counted and not been settled, each flag and organization once. Taken again it is there again, until <see cref="Settle"/> says that the last
    /// take is kept elsewhere. One caller at a time; counting goes on meanwhile.
    /// </summary>
    public IReadOnlyList<Evaluated> Take()
    {
        taken.Clear();
        takenElsewhere.Clear();
        var keys = tallies.Values.ToDictionary(t => t.Number, t => t.Key);
        var counted = new Dictionary<(string Flag, Guid Organization), (long Enabled, long Disabled)>();
        for (var i = 0; i < cells.Length; i++)
        {
            ref var cell = ref cells[i];
            if (Volatile.Read(ref cell.State) != Taken) continue;
            var (on, off) = (Interlocked.Read(ref cell.Enabled) - settled[i].Enabled, Interlocked.Read(ref cell.Disabled) - settled[i].Disabled);
            // A flag that has come since the keys were listed is taken the next time.
            if (on + off == 0 || !keys.TryGetValue(cell.Flag, out var key)) continue;
            taken.Add((i, on, off));
            // A pair may have two cells.
            var (sumOn, sumOff) = counted.GetValueOrDefault((key, cell.Organization));
            counted[(key, cell.Organization)] = (sumOn + on, sumOff + off);
        }
        foreach (var tally in tallies.Values)
        {
            var (before, beforeOff) = settledElsewhere.GetValueOrDefault(tally);
            var (on, off) = (Interlocked.Read(ref tally.EnabledElsewhere) - before, Interlocked.Read(ref tally.DisabledElsewhere) - beforeOff);
            if (on + off > 0) takenElsewhere.Add((tally, on, off));
        }
        return
        [
            .. counted.Select(c => new Evaluated(c.Key.Flag, c.Key.Organization.ToString(), c.Value.Enabled, c.Value.Disabled)),
            .. takenElsewhere.Select(e => new Evaluated(e.Tally.Key, Node.Platform, e.Enabled, e.Disabled)),
        ];
    }

    /// <summary>What <see cref="Take"/> gave last is kept elsewhere now.</summary>
    public void Settle()
    {
        foreach (var (cell, on, off) in taken) settled[cell] = (settled[cell].Enabled + on, settled[cell].Disabled + off);
        foreach (var (tally, on, off) in takenElsewhere)
        {
            var (before, beforeOff) = settledElsewhere.GetValueOrDefault(tally);
            settledElsewhere[tally] = (before + on, beforeOff + off);
        }
        taken.Clear();
        takenElsewhere.Clear();
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
