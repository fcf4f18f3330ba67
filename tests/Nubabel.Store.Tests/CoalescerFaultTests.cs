using System.Runtime.CompilerServices;
using System.Text.Json;
using Npgsql;
using Nubabel.Testing;
using static Nubabel.Store.Tests.Committing;

namespace Nubabel.Store.Tests;

/// <summary>What goes wrong in a shared statement is the matter of whoever caused it.</summary>
public sealed class CoalescerFaultTests : IAsyncLifetime, IAsyncDisposable
{
    private readonly string tenant = Tally.Tenant();
    private TestDatabase test = null!;
    private Coalescer node = null!;

    // A database of its own: the tests look at who waits in it.
    public async Task InitializeAsync()
    {
        test = await TestDatabase.New();
        node = new Coalescer(test.Database.Api, new CoalescerBounds(Statements: 1, MostStatements: 1) { Apart = TimeSpan.FromMinutes(1) });
    }

    public Task DisposeAsync() => Task.CompletedTask;

    async ValueTask IAsyncDisposable.DisposeAsync()
    {
        await node.DisposeAsync();
        await test.DisposeAsync();
    }

    [Theory]
    [InlineData("a letter that jsonb refuses", PostgresErrorCodes.UntranslatableCharacter)]
    [InlineData("a type that is too long", PostgresErrorCodes.StringDataRightTruncation)]
    public async Task A_poisonous_commit_fails_alone_and_all_others_are_written(string poison, string state)
    {
        var isLetter = poison.Contains("letter", StringComparison.Ordinal);
        var types = new EventTypes([new EventType(isLetter ? "tally_labelled" : new string('x', 501), typeof(Labelled))], JsonSerializerOptions.Web);
        var bad = new AppendItem(types, new Envelope(tenant, "system:test", null, null, null, Tally.Now()), [Tally.On(Tally.Stream(), 0, new Labelled(isLetter ? "\0" : "a"))], null);
        await using var patient = Patient();
        Task<Appended> poisoned = null!;
        var others = await patient.BehindAnother(test, () =>
        {
            var before = Enumerable.Range(0, 20).Select(_ => Good(patient)).ToArray();
            poisoned = patient.Commit(bad, default);
            return [.. before, .. Enumerable.Range(0, 20).Select(_ => Good(patient))];
        });
        Assert.Equal(state, (await Assert.ThrowsAsync<PostgresException>(() => poisoned)).SqlState);
        Assert.All(others, a => Assert.IsType<Appended.Done>(a));
        Assert.InRange(patient.Halved, 1, 6);
        Assert.Equal(41, await test.Scalar<long>("select count(*) from events.mt_events"));
        Assert.Equal(41, await test.Scalar<long>("select count(*) from events.mt_streams"));
        // For a while its tenant goes alone, so it cannot make a statement fail again.
        var halved = patient.Halved;
        Task<Appended>[] again = [];
        await patient.BeginBehindAnother(test, () => { again = [.. Enumerable.Range(0, 6).Select(_ => patient.Commit(bad, default)), .. Enumerable.Range(0, 20).Select(_ => Good(patient))]; });
        await Task.WhenAll(again.Select(t => t.ContinueWith(_ => { }, TaskScheduler.Default)));
        Assert.Equal(6, again.Count(t => t.IsFaulted));
        Assert.Equal(halved, patient.Halved);
    }

    /// <summary>The driver prepares a statement at its second use. Refused at that very moment, it must not break those behind it.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public async Task A_poisonous_commit_leaves_its_connection_as_it_was(int before)
    {
        var types = new EventTypes([new EventType("tally_labelled", typeof(Labelled))], JsonSerializerOptions.Web);
        await using var one = Database.Open("main", test.ApiString + ";Maximum Pool Size=1;Max Auto Prepare=200;Auto Prepare Min Usages=2", test.DaemonString);
        for (var i = 0; i < before; i++) await Commit("good");
        Assert.Equal(PostgresErrorCodes.UntranslatableCharacter, (await Assert.ThrowsAsync<PostgresException>(() => Commit("\0"))).SqlState);
        for (var i = 0; i < 4; i++) Assert.IsType<Appended.Done>(await Commit("good"));

        Task<Appended> Commit(string label) =>
            Append.Commit(one.Api, types, new Envelope(tenant, "system:test", null, null, null, Tally.Now()), [Tally.On(Tally.Stream(), 0, new Labelled(label))], null, default);
    }

    [Fact]
    public async Task Whose_row_another_session_holds_waits_alone_and_delays_nobody()
    {
        var held = Tally.Stream();
        await node.Commit(tenant, Tally.On(held, 0, new Counted(0)));
        Task<Appended> waiting;
        await using (await Holding.OfRow(test, held))
        {
            var first = Good();
            waiting = node.Commit(tenant, Tally.On(held, 1, new Counted(1)));
            var others = Enumerable.Range(0, 20).Select(_ => Good()).ToArray();
            Assert.All(await Task.WhenAll([first, .. others]), a => Assert.IsType<Appended.Done>(a));
            await test.UntilWaiting();
            Assert.Equal(0, node.Halved);
            Assert.False(waiting.IsCompleted);
        }
        Assert.Equal(2, Assert.IsType<Appended.Done>(await waiting).Events.Single().Version);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Whose_stream_another_session_is_making_waits_alone_for_what_becomes_of_it(bool commits)
    {
        var contested = Tally.Stream();
        var holder = await Holding.OfNew(test, tenant, contested);
        var first = Good();
        var waiting = node.Commit(tenant, Tally.On(contested, 0, new Counted(1)));
        var others = Enumerable.Range(0, 20).Select(_ => Good()).ToArray();
        Assert.All(await Task.WhenAll([first, .. others]), a => Assert.IsType<Appended.Done>(a));
        Assert.True(node.Halved > 0);
        Assert.False(waiting.IsCompleted);
        if (commits) await holder.Commit();
        await holder.DisposeAsync();
        if (commits) Assert.Equal(new Appended.Conflict(contested, 1, false), await waiting);
        else Assert.IsType<Appended.Done>(await waiting);
    }

    [Fact]
    public async Task A_claim_that_another_session_takes_meanwhile_takes_back_the_statement_and_refuses_one()
    {
        var claim = new ClaimValue("name", "x");
        await using var patient = Patient();
        var holder = await Holding.Of(test, $"insert into nubabel.claims values ('{tenant}', 'name', 'x', 'tally-other')");
        var first = patient.Commit(Tally.Tenant(), Tally.On(Tally.Stream(), 0, new Counted(0)));
        var claiming = patient.Commit(tenant, new StreamAppend(Tally.Stream(), "tally", 0, [new Counted(1)], [claim], []));
        var others = Enumerable.Range(0, 20).Select(_ => patient.Commit(Tally.Tenant(), Tally.On(Tally.Stream(), 0, new Counted(2)))).ToArray();
        await test.UntilWaiting();
        await holder.Commit();
        await holder.DisposeAsync();
        Assert.Equal(new Appended.Taken(claim, "tally-other"), await claiming);
        Assert.All(await Task.WhenAll([first, .. others]), a => Assert.IsType<Appended.Done>(a));
        Assert.Equal(21, await test.Scalar<long>("select count(*) from events.mt_events"));
    }

    [Fact]
    public async Task A_tenant_whose_every_commit_is_refused_makes_no_statement_fail_and_everybody_else_is_written()
    {
        var stale = Tally.Stream();
        await node.Commit(tenant, Tally.On(stale, 0, new Counted(0), new Counted(1)));
        var conflicts = Enumerable.Range(0, 100).Select(i => node.Commit(tenant, Tally.On(i % 2 == 0 ? stale : Tally.Stream(), 1, new Counted(i)))).ToArray();
        var others = Enumerable.Range(0, 100).Select(_ => Good()).ToArray();
        Assert.All(await Task.WhenAll(others), a => Assert.IsType<Appended.Done>(a));
        Assert.All(await Task.WhenAll(conflicts), a => Assert.IsType<Appended.Conflict>(a));
        Assert.Equal(0, node.Halved);
    }

    [Fact]
    public async Task Cancelled_while_it_waits_for_its_turn_it_is_cancelled_and_nothing_is_written()
    {
        var held = Tally.Stream();
        await node.Commit(tenant, Tally.On(held, 0, new Counted(0)));
        await using (await Holding.OfRow(test, held))
        {
            var running = node.Commit(tenant, Tally.On(held, 1, new Counted(1)));
            using var cancel = new CancellationTokenSource();
            var queued = node.Commit(Item(tenant, null, Tally.On(held, StreamAppend.Any, new Counted(2))), cancel.Token);
            await test.UntilWaiting();
            await cancel.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => queued);
            Assert.False(running.IsCompleted);
        }
        Assert.Equal(3, Assert.IsType<Appended.Done>(await node.Commit(tenant, Tally.On(held, 2, new Counted(3)))).Events.Single().Version);
        using var early = new CancellationTokenSource();
        await early.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => node.Commit(Item(tenant, null, Tally.On(Tally.Stream(), 0, new Counted(2))), early.Token));
        Assert.Equal(3, await test.Scalar<long>("select count(*) from events.mt_events"));
    }

    /// <summary>While the database hangs, callers give up and come again: what they have given up is not to fill the memory until somebody's turn comes.</summary>
    [Fact]
    public async Task What_is_given_up_while_it_waits_is_let_go_at_once()
    {
        var held = Tally.Stream();
        await node.Commit(tenant, Tally.On(held, 0, new Counted(0)));
        await using (await Holding.OfRow(test, held))
        {
            var running = node.Commit(tenant, Tally.On(held, 1, new Counted(1)));
            await test.UntilWaiting();
            var weak = await GivenUp(held);
            await Until(() =>
            {
                GC.Collect();
                return Task.FromResult(!weak.IsAlive);
            });
            Assert.False(running.IsCompleted);
        }
        Assert.Equal(3, Assert.IsType<Appended.Done>(await node.Commit(tenant, Tally.On(held, 2, new Counted(3)))).Events.Single().Version);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private async Task<WeakReference> GivenUp(string stream)
    {
        var item = Item(tenant, null, Tally.On(stream, StreamAppend.Any, new Counted(2)));
        using var cancel = new CancellationTokenSource();
        var queued = node.Commit(item, cancel.Token);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => queued);
        return new WeakReference(item);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Cancelled_during_the_commit_it_is_unknown_and_the_others_in_the_statement_do_not_notice(bool shared)
    {
        await using var patient = Patient();
        var contested = Tally.Stream();
        using var cancel = new CancellationTokenSource();
        Task<Appended>[] others = [];
        Task<Appended> cancelled = null!;
        await using (await Holding.OfNew(test, tenant, contested))
        {
            if (shared)
            {
                await patient.BeginBehindAnother(test, () =>
                {
                    others = [patient.Commit(tenant, Tally.On(contested, 0, new Counted(1)))];
                    cancelled = patient.Commit(Item(tenant, null, Tally.On(Tally.Stream(), 0, new Counted(2))), cancel.Token);
                });
            }
            else cancelled = patient.Commit(Item(tenant, null, Tally.On(contested, 0, new Counted(2))), cancel.Token);
            await test.UntilWaiting();
            await cancel.CancelAsync();
            await Assert.ThrowsAsync<OutcomeUnknown>(() => cancelled);
        }
        Assert.All(await Task.WhenAll(others), a => Assert.IsType<Appended.Done>(a));
        Assert.Equal(shared ? 3 : 0, await test.Scalar<long>("select count(*) from events.mt_events"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Where_the_connection_is_lost_during_the_commit_all_in_it_hear_that_the_outcome_is_unknown(bool shared)
    {
        var proxy = new PostgresProxy(test.ApiString);
        await using var source = NpgsqlDataSource.Create(proxy.ConnectionString);
        await using var far = new Coalescer(source, new CoalescerBounds(Statements: 1, MostStatements: 1) { LongestWait = TimeSpan.FromSeconds(20) });
        var contested = Tally.Stream();
        await using var holder = await Holding.OfNew(test, tenant, contested);
        Task<Appended>[] commits = [];
        // One goes alone at once; those behind it share the next statement.
        if (shared) await far.BeginBehindAnother(test, () => { commits = [Contested(), .. Enumerable.Range(0, 5).Select(i => far.Commit(tenant, Tally.On(Tally.Stream(), 0, new Counted(i))))]; });
        else commits = [Contested()];
        await test.UntilWaiting();
        await proxy.DisposeAsync();
        foreach (var commit in commits) await Assert.ThrowsAsync<OutcomeUnknown>(() => commit);

        Task<Appended> Contested() => far.Commit(tenant, Tally.On(contested, 0, new Counted(1)));
    }

    /// <summary>Waits for what is in the way for as long as a test needs it to.</summary>
    private Coalescer Patient() => new(test.Database.Api, new CoalescerBounds(Statements: 1, MostStatements: 1) { Apart = TimeSpan.FromMinutes(1), LongestWait = BehindAnotherWait });

    private Task<Appended> Good() => Good(node);

    private static Task<Appended> Good(Coalescer node) => node.Commit(Tally.Tenant(), Tally.On(Tally.Stream(), 0, new Counted(1)));
}
