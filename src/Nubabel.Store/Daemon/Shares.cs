namespace Nubabel.Store;

/// <summary>What a heartbeat sees of the nodes and of who has which lease.</summary>
/// <param name="Takes">The nodes that are there, and which projections each of them would run.</param>
/// <param name="Owners">Each projection that some node runs, by progression name, and the name of whoever has its lease.</param>
internal sealed record NodesView(IReadOnlyDictionary<string, IReadOnlySet<string>> Takes, IReadOnlyDictionary<string, string?> Owners)
{
    /// <summary>The other nodes that would run it.</summary>
    public IEnumerable<string> Others(string projection, string than) => Takes.Where(n => n.Key != than && n.Value.Contains(projection)).Select(n => n.Key);

    public int Holds(string node) => Owners.Values.Count(o => o == node);
}

/// <summary>
/// How the projections are shared out over the nodes. Nobody decides for all: each node takes and gives by the same rule, and the locks see to it that
/// none is taken twice. A node takes what is free while it has less than its share and nobody has fewer; it gives back when another has two fewer, so each
/// move makes the shares more even and none undoes another. What is still free after a while is taken by whoever comes.
/// </summary>
internal sealed class Shares(string node)
{
    /// <summary>So long shares must have been uneven before something is given back: a restart, or a node that comes and goes, moves nothing.</summary>
    internal static readonly TimeSpan Settle = TimeSpan.FromSeconds(2);

    /// <summary>So long those whose turn it is may leave a lease lying.</summary>
    internal static readonly TimeSpan Abandoned = TimeSpan.FromSeconds(1);

    private readonly Dictionary<string, TimeSpan> freeSince = [];
    private TimeSpan? unevenSince;

    /// <summary>What to try to take now.</summary>
    /// <param name="wanted">What this node would run, with what it has.</param>
    /// <param name="holds">How many it has.</param>
    /// <param name="now">By a clock that only goes forward.</param>
    public IReadOnlyList<string> Take(NodesView view, IReadOnlyCollection<string> wanted, int holds, TimeSpan now)
    {
        var free = wanted.Where(p => view.Owners.GetValueOrDefault(p) is null).ToHashSet();
        foreach (var taken in freeSince.Keys.Where(p => !free.Contains(p)).ToList()) freeSince.Remove(taken);
        var share = Share(view, wanted);
        var take = new List<string>();
        // Every node goes through them in another order, so that those who start together do not all try for the same ones.
        foreach (var projection in free.OrderBy(p => HashCode.Combine(node, p)))
        {
            freeSince.TryAdd(projection, now);
            var others = view.Others(projection, than: node).ToList();
            if (others.Count == 0 || holds + take.Count < share && others.All(o => view.Holds(o) >= holds) || now - freeSince[projection] >= Abandoned) take.Add(projection);
        }
        return take;
    }

    /// <summary>What to give back, so that others can take it.</summary>
    public IReadOnlyList<string> Give(NodesView view, IReadOnlyCollection<string> held, TimeSpan now)
    {
        var excess = Excess(view, held);
        if (excess.Count == 0) unevenSince = null;
        else unevenSince ??= now;
        if (now - unevenSince is not { } uneven || uneven < Settle) return [];
        unevenSince = null;
        return excess;
    }

    /// <summary>⌈projections / nodes⌉ where all nodes run the same; else each projection counts by how many would run it.</summary>
    private int Share(NodesView view, IReadOnlyCollection<string> wanted) =>
        (int)Math.Ceiling(wanted.Sum(p => 1.0 / (1 + view.Others(p, than: node).Count())) - 1e-9);

    private List<string> Excess(NodesView view, IReadOnlyCollection<string> held)
    {
        var has = view.Takes.Keys.ToDictionary(n => n, view.Holds);
        var mine = held.Count;
        var excess = new List<string>();
        foreach (var projection in held.Order(StringComparer.Ordinal))
        {
            var least = view.Others(projection, than: node).MinBy(o => has[o]);
            if (least is null || has[least] > mine - 2) continue;
            excess.Add(projection);
            has[least]++;
            mine--;
        }
        return excess;
    }
}
