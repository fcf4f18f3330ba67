using Npgsql;
using Nubabel.Testing;
using static Nubabel.Store.Tests.Committing;

namespace Nubabel.Store.Tests;

public sealed class CoalescerTests : IAsyncLifetime, IAsyncDisposable
{
    private readonly string tenant = Tally.Tenant();
    private TestDatabase test = null!;
    private Database db = null!;
    private Coalescer node = null!;

    public async Task InitializeAsync()
    {
        db = (test = await TestDatabase.Shared).Database;
        // One statement at a time, so that whoever comes meanwhile shares the next one.
        node = new Coalescer(db.Api, new CoalescerBounds(Statements: 1, MostStatements: 1) { LongestWait = BehindAnotherWait });
    }

    public Task DisposeAsync() => Task.CompletedTask;

    ValueTask IAsyncDisposable.DisposeAsync() => node.DisposeAsync();

    [Fact]
    public async Task Commits_of_many_tenants_share_statements_and_each_is_answered_what_is_read_back()
    {
        var commits = Enumerable.Range(0, 120).Select(i => (Tenant: Tally.Tenant(), Stream: Tally.Stream(), Count: i % 7 + 1)).ToArray();
        var answers = await Task.WhenAll(commits.Select(c => node.Commit(c.Tenant, Tally.On(c.Stream, 0, [.. Enumerable.Range(0, c.Count).Select(n => new Counted(n))]))));
        for (var i = 0; i < commits.Length; i++)
        {
            var done = Assert.IsType<Appended.Done>(answers[i]);
            var read = await db.Read(commits[i].Tenant, commits[i].Stream);
            Assert.Equal(read, done.Events);
            Assert.Equal(Enumerable.Range(0, commits[i].Count).Select(n => new Counted(n)), read.Select(e => e.Data));
            Assert.Equal(Enumerable.Range(1, commits[i].Count).Select(n => (long)n), read.Select(e => e.Version));
            Assert.Equal(read.OrderBy(e => e.Position), read);
        }
        Assert.InRange(node.Shared.Statements, 1, 20);
        Assert.InRange(node.Shared.Items, 80, 119);
    }

    [Fact]
    public async Task New_exact_and_any_with_claims_and_records_share_a_statement()
    {
        string exact = Tally.Stream(), any = Tally.Stream(), gone = Tally.Stream(), holder = Tally.Stream();
        ClaimValue x = new("name", "x"), y = new("name", "y");
        await node.Commit(tenant, new StreamAppend(exact, "tally", 0, [new Counted(1)], [x], []));
        await node.Commit(tenant, Tally.On(any, 0, new Counted(1), new Counted(2)));
        await node.Commit(tenant, new StreamAppend(holder, "tally", 0, [new Counted(1)], [new ClaimValue("name", "held")], []));
        var known = new IdempotencyRecord(tenant, "s", "known", [1], 200);
        await node.Commit(Item(tenant, known, Tally.On(Tally.Stream(), 0, new Counted(1))), default);
        var fresh = new IdempotencyRecord("*DEFAULT*", $"anonymous {tenant}", "fresh\"\\,", [2], 201, [9, 9]) { Versions = new Dictionary<string, long> { ["read,\"\\ only"] = 7 } };

        var answers = await node.BehindAnother(test, () =>
        [
            node.Commit(Item(tenant, fresh, new StreamAppend(exact, "tally", 1, [new Counted(2)], [y], [x])), default),
            node.Commit(tenant, Tally.On(any, StreamAppend.Any, new Counted(3))),
            node.Commit(tenant, Tally.On(gone, 4, new Counted(4))),
            node.Commit(tenant, new StreamAppend(Tally.Stream(), "tally", 0, [new Counted(5)], [new ClaimValue("name", "held")], [])),
            node.Commit(Item(tenant, known, Tally.On(Tally.Stream(), 0, new Counted(6))), default),
            node.Commit(tenant, Tally.On(Tally.Stream(), StreamAppend.Any, new Counted(7))),
        ]);

        Assert.Equal((1, 6), node.Shared);
        Assert.Equal(2, Assert.IsType<Appended.Done>(answers[0]).Events.Single().Version);
        Assert.Equal(3, Assert.IsType<Appended.Done>(answers[1]).Events.Single().Version);
        Assert.Equal(new Appended.Conflict(gone, 0, false), answers[2]);
        Assert.Equal(new Appended.Taken(new ClaimValue("name", "held"), holder), answers[3]);
        Assert.IsType<Appended.Repeated>(answers[4]);
        Assert.Equal(1, Assert.IsType<Appended.Done>(answers[5]).Events.Single().Version);
        Assert.Equal("held,y", await test.Scalar<string>($"select string_agg(value, ',' order by value) from nubabel.claims where tenant_id = '{tenant}'"));
        var kept = await IdempotencyRecord.Find(db.Api, "*DEFAULT*", fresh.Scope, fresh.Key, 24, default);
        Assert.Equal(new Dictionary<string, long> { ["read,\"\\ only"] = 7, [exact] = 2 }, kept!.Versions);
        Assert.Equal((byte[])[9, 9], kept.Answer);
    }

    [Fact]
    public async Task A_commit_that_comes_alone_shares_nothing()
    {
        for (var i = 0; i < 5; i++) Assert.IsType<Appended.Done>(await node.Commit(tenant, Tally.On(Tally.Stream(), 0, new Counted(1))));
        Assert.Equal((0, 0), node.Shared);
    }

    [Fact]
    public async Task A_stream_row_without_events_as_a_foreign_writer_may_leave_it_counts_as_missing()
    {
        var stream = Tally.Stream();
        await test.Run($"insert into events.mt_streams (tenant_id, id, version) values ('{tenant}', '{stream}', 0)");
        Assert.Equal(1, Assert.IsType<Appended.Done>(await node.Commit(tenant, Tally.On(stream, 0, new Counted(1)))).Events.Single().Version);
        Assert.Single(await db.Read(tenant, stream));
    }

    [Fact]
    public async Task Tenants_in_one_statement_neither_see_nor_write_each_others_streams_claims_and_records()
    {
        string other = Tally.Tenant(), stream = Tally.Stream();
        var claim = new ClaimValue("name", "x");
        var record = new IdempotencyRecord(other, "s", "k", [1], 200);
        await node.Commit(Item(other, record, new StreamAppend(stream, "tally", 0, [new Counted(1)], [claim], [])), default);

        var answers = await node.BehindAnother(test, () =>
        [
            node.Commit(other, Tally.On(stream, 1, new Counted(2))),
            node.Commit(tenant, Tally.On(stream, 1, new Counted(66))),
            node.Commit(tenant, new StreamAppend(Tally.Stream(), "tally", 0, [new Counted(3)], [claim], [])),
            node.Commit(Item(tenant, record with { Tenant = tenant }, Tally.On(Tally.Stream(), 0, new Counted(4))), default),
            node.Commit(tenant, new StreamAppend(Tally.Stream(), "tally", 0, [new Counted(5)], [], [claim with { Value = "y" }])),
        ]);

        Assert.Equal((1, 5), node.Shared);
        Assert.Equal([typeof(Appended.Done), typeof(Appended.Conflict), typeof(Appended.Done), typeof(Appended.Done), typeof(Appended.Done)], answers.Select(a => a.GetType()));
        Assert.Equal([1, 2], (await db.Read(other, stream)).Select(e => ((Counted)e.Data!).By));
        Assert.Empty(await db.Read(tenant, stream));
    }

    [Fact]
    public async Task A_statement_for_tenants_that_are_not_set_is_refused_by_the_database()
    {
        foreach (var waits in new[] { false, true })
        {
            await using var batch = db.Api.CreateBatch();
            batch.BatchCommands.Add(Append.Tenant($"{Tally.Tenant()},{Tally.Tenant()}"));
            batch.BatchCommands.Add(AppendMany.Command(AppendMany.Lines([Item(tenant, null, Tally.On(Tally.Stream(), 0, new Counted(1)))]), waits));
            Assert.Equal(PostgresErrorCodes.InsufficientPrivilege, (await Assert.ThrowsAsync<PostgresException>(() => batch.ExecuteNonQueryAsync())).SqlState);
        }
        Assert.Throws<ArgumentException>(() => Item($"{tenant},{Tally.Tenant()}", null, Tally.On(Tally.Stream(), 0, new Counted(1))));
    }

    [Fact]
    public async Task Of_many_who_expect_the_same_version_one_wins_and_the_others_hear_the_actual_one()
    {
        var stream = Tally.Stream();
        await node.Commit(tenant, Tally.On(stream, 0, new Counted(0)));
        var answers = await Task.WhenAll(Enumerable.Range(0, 50).Select(i => node.Commit(tenant, Tally.On(stream, 1, new Counted(i)))));
        Assert.Single(answers.OfType<Appended.Done>());
        Assert.Equal(49, answers.Count(a => a == new Appended.Conflict(stream, 2, false)));
        Assert.Equal(2, (await db.Read(tenant, stream)).Count);
    }

    [Fact]
    public async Task Of_many_who_want_one_claim_or_come_with_one_key_one_wins()
    {
        var claim = new ClaimValue("name", "x");
        var claimed = await Task.WhenAll(Enumerable.Range(0, 40).Select(i => node.Commit(tenant, new StreamAppend(Tally.Stream(), "tally", 0, [new Counted(i)], [claim], []))));
        var winner = Assert.Single(claimed.OfType<Appended.Done>()).Events[0].Stream;
        Assert.Equal(39, claimed.Count(a => a == new Appended.Taken(claim, winner)));
        var record = new IdempotencyRecord(tenant, "s", "k", [1], 200);
        var keyed = await Task.WhenAll(Enumerable.Range(0, 40).Select(i => node.Commit(Item(tenant, record, Tally.On(Tally.Stream(), 0, new Counted(i))), default)));
        Assert.Single(keyed.OfType<Appended.Done>());
        Assert.Equal(39, keyed.Count(a => a is Appended.Repeated));
        Assert.Equal(0, node.Halved);
    }

    [Fact]
    public async Task Disposal_waits_for_what_is_under_way_and_takes_nothing_more()
    {
        var own = new Coalescer(db.Api, new CoalescerBounds(Statements: 1, MostStatements: 1));
        var commits = Enumerable.Range(0, 50).Select(_ => own.Commit(tenant, Tally.On(Tally.Stream(), 0, new Counted(1)))).ToArray();
        await own.DisposeAsync();
        Assert.All(commits, c => Assert.True(c.IsCompletedSuccessfully || c.Wait(1000)));
        Assert.All(await Task.WhenAll(commits), a => Assert.IsType<Appended.Done>(a));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => own.Commit(tenant, Tally.On(Tally.Stream(), 0, new Counted(1))));
    }

    [Fact]
    public async Task A_node_takes_on_no_more_than_its_bound_and_from_one_tenant_a_quarter()
    {
        await using var own = new Coalescer(db.Api, new CoalescerBounds(Statements: 1, MostStatements: 1, Live: 40));
        var stream = Tally.Stream();
        await own.Commit(tenant, Tally.On(stream, 0, new Counted(0)));
        Task<Appended>[] waiting;
        await using (await Holding.OfRow(test, stream))
        {
            waiting = [.. Enumerable.Range(0, 10).Select(_ => own.Commit(tenant, Tally.On(stream, StreamAppend.Any, new Counted(1))))];
            await Assert.ThrowsAsync<TooManyCommits>(() => own.Commit(tenant, Tally.On(Tally.Stream(), 0, new Counted(1))));
            Assert.IsType<Appended.Done>(await own.Commit(Tally.Tenant(), Tally.On(Tally.Stream(), 0, new Counted(1))));
        }
        Assert.All(await Task.WhenAll(waiting), a => Assert.IsType<Appended.Done>(a));
    }
}
