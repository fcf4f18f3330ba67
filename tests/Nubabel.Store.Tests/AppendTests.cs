using Nubabel.Testing;

namespace Nubabel.Store.Tests;

public class AppendTests : IAsyncLifetime
{
    private readonly string tenant = Tally.Tenant();
    private Database db = null!;

    public async Task InitializeAsync() => db = (await TestDatabase.Shared).Database;

    public Task DisposeAsync() => Task.CompletedTask;

    [Fact]
    public async Task What_is_answered_is_what_is_read_back()
    {
        var stream = Tally.Stream();
        var done = Assert.IsType<Appended.Done>(await db.Commit(tenant, Tally.On(stream, 0, new Counted(1), new Labelled("ä\"'"), new Counted(3))));
        var read = await db.Read(tenant, stream);
        Assert.Equal(done.Events, read);
        Assert.Equal([1, 2, 3], read.Select(e => e.Version));
        Assert.True(read[0].Position < read[1].Position && read[1].Position < read[2].Position);
    }

    [Fact]
    public async Task A_stream_that_exists_refuses_to_be_new()
    {
        var stream = Tally.Stream();
        await db.Commit(tenant, Tally.On(stream, 0, new Counted(1), new Counted(2)));
        Assert.Equal(new Appended.Conflict(stream, 2, false), await db.Commit(tenant, Tally.On(stream, 0, new Counted(9))));
        Assert.Equal(2, (await db.Read(tenant, stream)).Count);
    }

    [Fact]
    public async Task A_missing_stream_refuses_an_exact_version()
    {
        var stream = Tally.Stream();
        Assert.Equal(new Appended.Conflict(stream, 0, false), await db.Commit(tenant, Tally.On(stream, 3, new Counted(9))));
        Assert.Empty(await db.Read(tenant, stream));
    }

    [Fact]
    public async Task A_refusal_draws_no_number()
    {
        await using var own = await TestDatabase.New();
        var stream = Tally.Stream();
        await own.Database.Commit(tenant, Tally.On(stream, 0, new Counted(1)));
        var before = await own.Scalar<long>("select last_value from events.mt_events_sequence");
        await own.Database.Commit(tenant, Tally.On(stream, 5, new Counted(1)));
        await own.Database.Commit(tenant, Tally.On(stream, 0, new Counted(1)));
        Assert.Equal(before, await own.Scalar<long>("select last_value from events.mt_events_sequence"));
    }

    [Fact]
    public async Task An_archived_stream_refuses_and_says_so()
    {
        var stream = Tally.Stream();
        await db.Commit(tenant, Tally.On(stream, 0, new Counted(1)));
        await (await TestDatabase.Shared).Run($"update events.mt_streams set is_archived = true where id = '{stream}'");
        Assert.Equal(new Appended.Conflict(stream, 1, true), await db.Commit(tenant, Tally.On(stream, 1, new Counted(2))));
        Assert.Equal(new Appended.Conflict(stream, 1, true), await db.Commit(tenant, Tally.On(stream, StreamAppend.Any, new Counted(2))));
    }

    [Fact]
    public async Task Any_version_makes_the_stream_or_continues_it()
    {
        var stream = Tally.Stream();
        var first = Assert.IsType<Appended.Done>(await db.Commit(tenant, Tally.On(stream, StreamAppend.Any, new Counted(1), new Counted(2))));
        var second = Assert.IsType<Appended.Done>(await db.Commit(tenant, Tally.On(stream, StreamAppend.Any, new Counted(3))));
        Assert.Equal([1, 2, 3], first.Events.Concat(second.Events).Select(e => e.Version));
        Assert.Equal(first.Events.Concat(second.Events), await db.Read(tenant, stream));
    }

    [Fact]
    public async Task Of_many_who_expect_the_same_version_one_wins()
    {
        var stream = Tally.Stream();
        await db.Commit(tenant, Tally.On(stream, 0, new Counted(0)));
        var results = await Task.WhenAll(Enumerable.Range(0, 30).Select(i => db.Commit(tenant, Tally.On(stream, 1, new Counted(i)))));
        Assert.Single(results.OfType<Appended.Done>());
        Assert.All(results.OfType<Appended.Conflict>(), c => Assert.Equal(2, c.Actual));
        Assert.Equal(2, (await db.Read(tenant, stream)).Count);
    }

    [Fact]
    public async Task Several_streams_commit_together_or_not_at_all()
    {
        string a = Tally.Stream(), b = Tally.Stream(), c = Tally.Stream();
        await db.Commit(tenant, Tally.On(b, 0, new Counted(1)));
        Assert.Equal(new Appended.Conflict(b, 1, false), await db.Commit(tenant, Tally.On(a, 0, new Counted(1)), Tally.On(b, 0, new Counted(2)), Tally.On(c, 0, new Counted(3))));
        Assert.Empty(await db.Read(tenant, a));
        Assert.Empty(await db.Read(tenant, c));
        Assert.IsType<Appended.Done>(await db.Commit(tenant, Tally.On(a, 0, new Counted(1)), Tally.On(b, 1, new Counted(2)), Tally.On(c, 0, new Counted(3))));
        foreach (var (stream, count) in new[] { (a, 1), (b, 2), (c, 1) }) Assert.Equal(count, (await db.Read(tenant, stream)).Count);
    }

    [Fact]
    public async Task Commits_over_the_same_streams_in_opposite_order_do_not_deadlock()
    {
        string a = Tally.Stream(), b = Tally.Stream();
        for (var round = 0; round < 10; round++)
        {
            var results = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => i % 2 == 0
                ? db.Commit(tenant, Tally.On(a, round, new Counted(i)), Tally.On(b, round, new Counted(i)))
                : db.Commit(tenant, Tally.On(b, round, new Counted(i)), Tally.On(a, round, new Counted(i)))));
            Assert.Single(results.OfType<Appended.Done>());
        }
    }

    [Fact]
    public async Task Another_tenant_may_use_the_same_stream_id_and_sees_only_its_own()
    {
        string stream = Tally.Stream(), other = Tally.Tenant();
        Assert.IsType<Appended.Done>(await db.Commit(tenant, Tally.On(stream, 0, new Counted(1))));
        Assert.Empty(await db.Read(other, stream));
        Assert.IsType<Appended.Done>(await db.Commit(other, Tally.On(stream, 0, new Counted(7))));
        Assert.Equal(new Counted(1), (await db.Read(tenant, stream)).Single().Data);
    }

    [Fact]
    public async Task A_cancelled_commit_is_unknown_not_failed()
    {
        var stream = Tally.Stream();
        await db.Commit(tenant, Tally.On(stream, 0, new Counted(0)));
        var shared = await TestDatabase.Shared;
        await using var blocker = await shared.Superuser.OpenConnectionAsync();
        await using var transaction = await blocker.BeginTransactionAsync();
        await using (var hold = new Npgsql.NpgsqlCommand($"select from events.mt_streams where id = '{stream}' for update", blocker)) await hold.ExecuteNonQueryAsync();
        using var cancel = new CancellationTokenSource();
        var envelope = new Envelope(tenant, "system:test", null, null, null, Tally.Now());
        var commit = Append.Commit(db.Api, Tally.Types, envelope, [Tally.On(stream, 1, new Counted(1))], null, cancel.Token);
        // It has been sent: what is cancelled on the way to that has not happened, and is known not to have.
        await TestWait.Until("the commit waits for the stream", async () => await shared.Scalar<long>($"select count(*) from pg_stat_activity a where {blocker.ProcessID} = any(pg_blocking_pids(a.pid))") > 0);
        await cancel.CancelAsync();
        await Assert.ThrowsAsync<OutcomeUnknown>(() => commit);
    }
}
