using Nubabel.Testing;

namespace Nubabel.Store.Tests;

public class ClaimTests : IAsyncLifetime
{
    private readonly string tenant = Tally.Tenant();
    private readonly ClaimValue x = new("name", "x"), y = new("name", "y");
    private TestDatabase test = null!;
    private Database db = null!;

    public async Task InitializeAsync() => db = (test = await TestDatabase.Shared).Database;

    public Task DisposeAsync() => Task.CompletedTask;

    [Fact]
    public async Task A_claim_is_taken_with_the_events_and_refused_to_the_next()
    {
        string a = Tally.Stream(), b = Tally.Stream();
        Assert.IsType<Appended.Done>(await db.Commit(tenant, New(a, x)));
        Assert.Equal(new Appended.Taken(x, a), await db.Commit(tenant, New(b, x)));
        Assert.Empty(await db.Read(tenant, b));
        Assert.IsType<Appended.Done>(await db.Commit(tenant, New(b, y)));
    }

    [Fact]
    public async Task Of_fifty_who_claim_at_once_one_wins()
    {
        var results = await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => db.Commit(tenant, New(Tally.Stream(), x))));
        var winner = Assert.Single(results.OfType<Appended.Done>()).Events[0].Stream;
        Assert.Equal(49, results.Count(r => r is Appended.Taken t && t.Holder == winner));
        Assert.Equal(1, await test.Scalar<long>($"select count(*) from events.mt_streams where tenant_id = '{tenant}'"));
    }

    [Fact]
    public async Task A_refused_version_takes_and_releases_nothing()
    {
        string a = Tally.Stream();
        await db.Commit(tenant, New(a, x));
        Assert.IsType<Appended.Conflict>(await db.Commit(tenant, new StreamAppend(a, "tally", 7, [new Counted(1)], [y], [x])));
        Assert.Equal("x", await Held());
    }

    [Fact]
    public async Task Of_two_claims_of_which_one_is_taken_none_is_taken()
    {
        string a = Tally.Stream(), b = Tally.Stream();
        await db.Commit(tenant, New(a, y));
        Assert.Equal(new Appended.Taken(y, a), await db.Commit(tenant, New(b, x, y)));
        Assert.Equal("y", await Held());
        Assert.Empty(await db.Read(tenant, b));
    }

    [Fact]
    public async Task A_change_of_claim_frees_the_old_value()
    {
        string a = Tally.Stream(), b = Tally.Stream();
        await db.Commit(tenant, New(a, x));
        Assert.IsType<Appended.Done>(await db.Commit(tenant, new StreamAppend(a, "tally", 1, [new Counted(1)], [y], [x])));
        Assert.IsType<Appended.Done>(await db.Commit(tenant, New(b, x)));
    }

    [Fact]
    public async Task Two_streams_that_swap_their_values_are_both_refused_and_never_deadlock()
    {
        for (var round = 0; round < 20; round++)
        {
            var own = Tally.Tenant();
            string a = Tally.Stream(), b = Tally.Stream();
            await db.Commit(own, New(a, x));
            await db.Commit(own, New(b, y));
            var results = await Task.WhenAll(
                db.Commit(own, new StreamAppend(a, "tally", 1, [new Counted(1)], [y], [x])),
                db.Commit(own, new StreamAppend(b, "tally", 1, [new Counted(1)], [x], [y])));
            Assert.All(results, r => Assert.IsType<Appended.Taken>(r));
        }
    }

    [Theory]
    [InlineData("tally-a", "tally-b")]
    [InlineData("tally-b", "tally-a")]
    public async Task Within_a_commit_a_stream_takes_what_another_gives_up_whatever_their_names(string giver, string taker)
    {
        await db.Commit(tenant, New(giver, x));
        Assert.Equal(new Appended.Taken(x, giver), await db.Commit(tenant, new StreamAppend(taker, "tally", 0, [new Counted(1)], [x], [])));
        Assert.IsType<Appended.Done>(await db.Commit(tenant, new StreamAppend(giver, "tally", 1, [new Counted(1)], [], [x]), new StreamAppend(taker, "tally", 0, [new Counted(1)], [x], [])));
        Assert.Equal(taker, await test.Scalar<string>($"select stream_id from nubabel.claims where tenant_id = '{tenant}'"));
        Assert.IsType<Appended.Done>(await db.Commit(tenant, new StreamAppend(giver, "tally", 2, [new Counted(1)], [x], [y]), new StreamAppend(taker, "tally", 1, [new Counted(1)], [y], [x])));
        Assert.Equal("x,y", await Held());
    }

    [Fact]
    public async Task Another_tenant_has_its_own_values()
    {
        await db.Commit(tenant, New(Tally.Stream(), x));
        Assert.IsType<Appended.Done>(await db.Commit(Tally.Tenant(), New(Tally.Stream(), x)));
    }

    [Fact]
    public async Task A_claim_cannot_be_released_by_a_stream_that_does_not_hold_it()
    {
        string a = Tally.Stream(), b = Tally.Stream();
        await db.Commit(tenant, New(a, x));
        await db.Commit(tenant, New(b, y));
        await db.Commit(tenant, new StreamAppend(b, "tally", 1, [new Counted(1)], [], [x]));
        Assert.Equal("x,y", await Held());
    }

    private static StreamAppend New(string stream, params ClaimValue[] claims) => new(stream, "tally", 0, [new Counted(1)], claims, []);

    private Task<string> Held() => test.Scalar<string>($"select string_agg(value, ',' order by value) from nubabel.claims where tenant_id = '{tenant}'");
}
