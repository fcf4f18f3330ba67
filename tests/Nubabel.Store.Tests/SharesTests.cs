namespace Nubabel.Store.Tests;

/// <summary>The rule by which nodes share the projections out, on nodes that are only imagined.</summary>
public sealed class SharesTests
{
    private static readonly TimeSpan Beat = TimeSpan.FromMilliseconds(500);

    [Theory]
    [InlineData(10, 1)]
    [InlineData(10, 2)]
    [InlineData(10, 3)]
    [InlineData(9, 4)]
    [InlineData(3, 5)]
    public void Nodes_that_start_together_have_equal_shares_within_seconds_and_then_move_nothing(int projections, int nodes)
    {
        var cluster = new Cluster(projections);
        for (var n = 0; n < nodes; n++) cluster.Join($"n{n}");
        cluster.Run(TimeSpan.FromSeconds(6));
        cluster.IsEven();
        var moves = cluster.Moves;
        cluster.Run(TimeSpan.FromSeconds(60));
        Assert.Equal(moves, cluster.Moves);
    }

    [Fact]
    public void A_node_that_joins_gets_its_share_and_each_lease_moves_once()
    {
        var cluster = new Cluster(10);
        cluster.Join("old");
        cluster.Run(TimeSpan.FromSeconds(5));
        cluster.Join("new");
        var before = cluster.Moves;
        cluster.Run(Shares.Settle - Beat);
        Assert.Equal(before, cluster.Moves);
        cluster.Run(TimeSpan.FromSeconds(5));
        cluster.IsEven();
        Assert.Equal(before + 5, cluster.Moves);
    }

    [Fact]
    public void A_node_that_comes_and_goes_every_second_moves_nothing()
    {
        var cluster = new Cluster(10);
        cluster.Join("steady");
        cluster.Run(TimeSpan.FromSeconds(5));
        var before = cluster.Moves;
        for (var i = 0; i < 20; i++)
        {
            cluster.Join("nervous");
            cluster.Run(TimeSpan.FromSeconds(1));
            cluster.Leave("nervous");
            cluster.Run(TimeSpan.FromSeconds(1));
        }
        Assert.Equal(before, cluster.Moves);
    }

    [Fact]
    public void What_a_killed_node_had_is_taken_within_two_seconds_also_when_it_still_counts_as_there()
    {
        foreach (var isListed in (bool[])[false, true])
        {
            var cluster = new Cluster(10);
            foreach (var n in (string[])["a", "b", "c"]) cluster.Join(n);
            cluster.Run(TimeSpan.FromSeconds(6));
            cluster.Kill("a", isListed);
            cluster.Run(TimeSpan.FromSeconds(2) - Beat);
            cluster.NobodyLies();
        }
    }

    [Fact]
    public void Two_builds_side_by_side_each_run_what_only_they_know_and_share_the_rest()
    {
        var cluster = new Cluster(9);
        cluster.Join("old 1", also: "tenth:All");
        cluster.Join("old 2", also: "tenth:All");
        cluster.Join("new", also: "tenth:V2:All");
        cluster.Run(TimeSpan.FromSeconds(10));
        cluster.NobodyLies();
        Assert.Equal("new", cluster.Owners["tenth:V2:All"]);
        Assert.StartsWith("old", cluster.Owners["tenth:All"], StringComparison.Ordinal);
        cluster.IsEven();
        var moves = cluster.Moves;
        cluster.Run(TimeSpan.FromSeconds(60));
        Assert.Equal(moves, cluster.Moves);
    }

    [Fact]
    public void A_node_that_would_run_nothing_is_given_nothing()
    {
        var cluster = new Cluster(4);
        cluster.Join("well");
        cluster.Join("stuck", takes: false);
        cluster.Run(TimeSpan.FromSeconds(20));
        Assert.All(cluster.Owners.Values, owner => Assert.Equal("well", owner));
        Assert.Equal(4, cluster.Moves);
    }

    /// <summary>Nodes that beat one after the other, each with a view that is true at its beat.</summary>
    private sealed class Cluster(int projections)
    {
        private readonly Dictionary<string, (Shares Shares, string[] Wanted, bool Beats)> nodes = [];
        private readonly string[] names = [.. Enumerable.Range(0, projections).Select(p => $"p{p}:All")];
        private TimeSpan now;

        public Dictionary<string, string?> Owners { get; } = [];
        public int Moves { get; private set; }

        public void Join(string node, string? also = null, bool takes = true)
        {
            string[] runs = also is null ? names : [.. names, also];
            nodes[node] = (new Shares(node), takes ? runs : [], true);
            foreach (var projection in runs) Owners.TryAdd(projection, null);
        }

        public void Leave(string node)
        {
            nodes.Remove(node);
            foreach (var projection in Owners.Keys.Where(p => Owners[p] == node).ToList()) Owners[projection] = null;
        }

        public void Kill(string node, bool isListed)
        {
            var was = nodes[node];
            Leave(node);
            if (isListed) nodes[node] = was with { Beats = false };
        }

        public void Run(TimeSpan time)
        {
            for (var until = now + time; now < until; now += Beat)
                foreach (var (node, (shares, wanted, beats)) in nodes.ToList())
                    if (beats) BeatOf(node, shares, wanted);
        }

        public void NobodyLies() => Assert.DoesNotContain(Owners, o => o.Value is null);

        public void IsEven()
        {
            NobodyLies();
            var counts = nodes.Keys.Select(n => Owners.Values.Count(o => o == n)).ToList();
            Assert.InRange(counts.Max() - counts.Min(), 0, 1);
        }

        private void BeatOf(string node, Shares shares, string[] wanted)
        {
            var view = new NodesView(nodes.ToDictionary(n => n.Key, n => (IReadOnlySet<string>)n.Value.Wanted.ToHashSet()), new Dictionary<string, string?>(Owners));
            List<string> held = [.. Owners.Where(o => o.Value == node).Select(o => o.Key)];
            foreach (var given in shares.Give(view, held, now))
            {
                Owners[given] = null;
                held.Remove(given);
            }
            foreach (var taken in shares.Take(view, wanted, held.Count, now).Where(p => Owners[p] is null))
            {
                Owners[taken] = node;
                Moves++;
            }
        }
    }
}
