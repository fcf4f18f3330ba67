using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Host.Rates;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Rates;

/// <summary>
/// A limit over two nodes. Their clocks stand still, so that nothing comes back while a test looks: what is let in beyond the burst of one node is what
/// docs/operations.md says may be.
/// </summary>
public sealed class ExchangeTests
{
    private const int Burst = 40;

    private static async Task<(TestApi A, TestApi B, StillTime Time)> Nodes(TestDatabase database)
    {
        var time = new StillTime();
        var (a, b) = (await TestApi.Start(database, Configure, time: time), await TestApi.Start(database, Configure, time: time));
        // A note reaches those who listen at that moment, which a node begins to do beside all else that it starts with.
        await Races.Burst.Until("both hear each other", TimeSpan.FromSeconds(20), () => Task.FromResult(new[] { a, b }.All(node => node.Services.GetRequiredService<Exchange>().Hears)));
        return (a, b, time);

        static void Configure(Dictionary<string, string?> settings) => (settings["Limits:UserRequestsPerMinute"], settings["Limits:UserBurst"]) = ("2400", "40");
    }

    [Fact]
    public async Task What_one_node_let_in_counts_at_the_other_within_two_seconds()
    {
        await using var database = await TestDatabase.New();
        var (a, b, _) = await Nodes(database);
        await using var __ = a;
        await using var ___ = b;
        var tenant = await a.SignUp();
        using var atB = b.As(tenant.AccessToken);
        Assert.Equal(Burst, await LetIn(tenant.Client, 100));
        // A tells once a second. B is asked once in each of its rounds: more requests would spend B's own burst before it has heard of A's.
        Assert.Equal(TimeSpan.FromSeconds(1), Exchange.Every);
        for (var rounds = 0; await LetIn(atB, 1) == 1; rounds++)
        {
            Assert.True(rounds < 3, "A has told three times, and B lets in.");
            await Told(a, rounds: 1);
        }
    }

    /// <summary>The sentence in docs/operations.md: over n nodes, n × burst + rate × (time + (n − 1) × 1 s), and a quarter burst more for each other node.</summary>
    [Fact]
    public async Task Two_nodes_overshoot_by_no_more_than_is_said()
    {
        await using var database = await TestDatabase.New();
        var (a, b, time) = await Nodes(database);
        await using var __ = a;
        await using var ___ = b;
        var tenant = await a.SignUp();
        using var atB = b.As(tenant.AccessToken);
        var passed = (await Task.WhenAll(LetIn(tenant.Client, 100), LetIn(atB, 100))).Sum();
        Assert.InRange(passed, Burst, 2 * Burst);
        // Each hears of the other's spending and owes it: that much must come back before it lets anybody in again.
        await Task.WhenAll(Told(a), Told(b));
        const int Rounds = 4;
        for (var round = 0; round < Rounds; round++)
        {
            time.Move(TimeSpan.FromSeconds(1));
            passed += (await Task.WhenAll(LetIn(tenant.Client, 100), LetIn(atB, 100))).Sum();
            await Task.WhenAll(Told(a), Told(b));
        }
        // 2 bursts, 40 a second, one second's worth more for the notes on their way, and the quarter that is not told of.
        Assert.InRange(passed, Burst + 1, 2 * Burst + 40 * (Rounds + 1) + Burst / 4);
    }

    [Fact]
    public async Task Without_notes_each_node_holds_the_limit_by_itself()
    {
        await using var database = await TestDatabase.New();
        var (a, b, _) = await Nodes(database);
        await using var __ = a;
        await using var ___ = b;
        var tenant = await a.SignUp();
        using var atB = b.As(tenant.AccessToken);
        await a.Services.GetRequiredService<Exchange>().DisposeAsync();
        await b.Services.GetRequiredService<Exchange>().DisposeAsync();
        Assert.Equal((Burst, Burst), (await LetIn(tenant.Client, 100), await LetIn(atB, 100)));
    }

    [Fact]
    public async Task A_note_holds_many_keys_and_one_that_is_none_is_left()
    {
        await using var database = await TestDatabase.New();
        var (a, b, _) = await Nodes(database);
        await using var __ = a;
        await using var ___ = b;
        // Stopped, so that the test alone carries the notes.
        var (from, to) = (a.Services.GetRequiredService<Exchange>(), b.Services.GetRequiredService<Exchange>());
        await from.DisposeAsync();
        await to.DisposeAsync();
        var allowance = new Allowance(60, 1);
        for (var i = 0; i < 1000; i++) a.Services.GetRequiredService<RateLimits>().All[1].Take((UInt128)i, allowance);
        var notes = from.Outgoing().ToArray();
        Assert.InRange(notes.Length, 2, 10);
        Assert.All(notes, note => Assert.InRange(note.Length, 1, Store.NodeNotes.LongestNote));
        foreach (var note in notes.Concat(["", "nonsense", "AAAA", Convert.ToBase64String(Enumerable.Repeat((byte)255, 25).ToArray())])) to.Incoming(note);
        var meters = b.Services.GetRequiredService<RateLimits>().All[1];
        Assert.Equal(0, Enumerable.Range(0, 1000).Count(i => meters.Take((UInt128)i, allowance).Passed));
        Assert.True(meters.Take(1000, allowance).Passed);
        Assert.Empty(from.Outgoing());
    }

    private static async Task<int> LetIn(HttpClient client, int requests) =>
        (await Races.Burst.Of(requests, async _ =>
        {
            using var answer = await client.GetAsync("/api/user");
            return (int)answer.StatusCode;
        })).Count(status => status == 200);

    /// <summary>Waits until the node has told all it had to tell, and a round longer.</summary>
    private static async Task Told(TestApi api, int rounds = 2)
    {
        var meters = api.Services.GetRequiredService<RateLimits>().All[0];
        var until = meters.Rounds + rounds;
        await Races.Burst.Until($"{rounds} rounds", TimeSpan.FromSeconds(10), () => Task.FromResult(meters.Rounds >= until));
    }
}
