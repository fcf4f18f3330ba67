using Npgsql;
using Nubabel.Testing;

namespace Nubabel.Store.Tests.Messages;

/// <summary>Commits that enqueue messages share statements with others, and each takes its own messages with it or none.</summary>
public sealed class CommitsWithMessagesTests : IAsyncLifetime, IAsyncDisposable
{
    private readonly string queue = MessageNode.Queue();
    private TestDatabase test = null!;
    private Coalescer node = null!;
    private Outbox outbox = null!;

    public async Task InitializeAsync()
    {
        test = await TestDatabase.Shared;
        // One statement at a time, so that whoever comes meanwhile shares the next one.
        node = new Coalescer(test.Database.Api, new CoalescerBounds(Statements: 1, MostStatements: 1));
        outbox = new Outbox(MessageNode.TypesOf(QueueOptions.Fast(queue)));
    }

    public Task DisposeAsync() => Task.CompletedTask;

    ValueTask IAsyncDisposable.DisposeAsync() => node.DisposeAsync();

    [Fact]
    public async Task Each_commit_takes_its_own_messages_with_it_and_a_refused_one_takes_none()
    {
        var commits = Enumerable.Range(0, 90).Select(i => (Tenant: Tally.Tenant(), Stream: Tally.Stream(), Number: i)).ToArray();
        // Every third expects a version that is not there; every fifth enqueues nothing.
        var answers = await Task.WhenAll(commits.Select(c => node.Commit(
            Item(c.Tenant, Tally.On(c.Stream, c.Number % 3 == 0 ? 7 : 0, new Counted(1)), c.Number % 5 == 0 ? [] : [new Message(new Note("a", c.Number)) { Key = $"k{c.Number}" }, new Message(new Note("b", c.Number))]), default)));

        Assert.InRange(node.Shared.Statements, 1, 20);
        Assert.InRange(node.Shared.Items, 60, 89);
        Assert.Equal(0, node.Halved);
        Assert.All(commits, c => Assert.Equal(c.Number % 3 != 0, answers[c.Number] is Appended.Done));
        var wanted = commits.Where(c => c.Number % 3 != 0 && c.Number % 5 != 0).SelectMany(c => new[] { $"{c.Tenant} a{c.Number}", $"{c.Tenant} b{c.Number}" });
        Assert.Equal(wanted.Order(StringComparer.Ordinal), (await Waiting()).Order(StringComparer.Ordinal));
        // A lane that nobody is told of would wait for the next look at all of them.
        Assert.Equal(0, await test.Scalar<long>($"select count(*) from nubabel.messages m where queue = '{queue}' and not exists (select from nubabel.ready_lanes r where r.queue = m.queue and r.tenant_id = m.tenant_id and r.lane = m.lane)"));
    }

    [Fact]
    public async Task Messages_of_one_commit_keep_their_order_also_on_a_stream_that_exists()
    {
        var (tenant, streams) = (Tally.Tenant(), Enumerable.Range(0, 20).Select(_ => Tally.Stream()).ToArray());
        await Task.WhenAll(streams.Select(s => node.Commit(tenant, Tally.On(s, 0, new Counted(1)))));
        var messages = Enumerable.Range(0, 10).Select(i => new Message(new Note("m", i)) { Key = "k" }).ToArray();
        await Task.WhenAll(streams.Select((s, i) => node.Commit(Item(tenant, Tally.On(s, 1, new Counted(2), new Counted(3)), [.. messages.Select(m => m with { Key = $"k{i}" })]), default)));
        Assert.True(node.Shared.Items > 20);
        for (var i = 0; i < streams.Length; i++)
            Assert.Equal("0123456789", await test.Scalar<string>($"select string_agg(body->>'number', '' order by seq) from nubabel.messages where queue = '{queue}' and tenant_id = '{tenant}' and key = 'k{i}'"));
    }

    [Fact]
    public async Task A_message_that_the_database_refuses_fails_its_own_commit_alone()
    {
        var bad = Tally.Stream();
        var others = Enumerable.Range(0, 20).Select(_ => (Tenant: Tally.Tenant(), Stream: Tally.Stream())).ToArray();
        Task<Appended>[] all = [.. others[..10].Select(Good), node.Commit(Item(Tally.Tenant(), Tally.On(bad, 0, new Counted(1)), [new Message(new Note("\0"))]), default), .. others[10..].Select(Good)];
        await Task.WhenAll(all.Select(t => t.ContinueWith(_ => { }, TaskScheduler.Default)));
        Assert.Equal(PostgresErrorCodes.UntranslatableCharacter, (await Assert.ThrowsAsync<PostgresException>(() => all[10])).SqlState);
        foreach (var (answer, i) in all.Select((answer, i) => (answer, i)))
            if (i != 10) Assert.IsType<Appended.Done>(await answer);
        Assert.Equal(20, (await Waiting()).Count);
        Assert.Equal(0, await test.Scalar<long>($"select count(*) from events.mt_streams where id = '{bad}'"));

        Task<Appended> Good((string Tenant, string Stream) c) => node.Commit(Item(c.Tenant, Tally.On(c.Stream, 0, new Counted(1)), [new Message(new Note("good"))]), default);
    }

    [Fact]
    public async Task A_message_for_later_or_once_goes_alone()
    {
        var tenant = Tally.Tenant();
        var commits = Enumerable.Range(0, 8).Select(i => node.Commit(Item(tenant, Tally.On(Tally.Stream(), 0, new Counted(1)),
            [i % 2 == 0 ? new Message(new Note("once")) { Once = "same" } : new Message(new Note("later")) { After = TimeSpan.FromHours(1) }]), default));
        Assert.All(await Task.WhenAll(commits), a => Assert.IsType<Appended.Done>(a));
        Assert.Equal(0, node.Shared.Statements);
        Assert.Single(await Waiting());
        Assert.Equal(4, await test.Scalar<long>($"select count(*) from nubabel.deferred_messages where queue = '{queue}' and tenant_id = '{tenant}'"));
    }

    private AppendItem Item(string tenant, StreamAppend append, Message[] messages)
    {
        var (origin, at) = (new Origin("system:test"), Tally.Now());
        return new AppendItem(Tally.Types, new Envelope(tenant, origin.Actor, "request", null, null, at), [append], null,
            messages.Length == 0 ? null : new Enqueued(outbox, [.. messages.Select(m => outbox.Draft(tenant, m, origin, at))]));
    }

    private async Task<IReadOnlyList<string>> Waiting()
    {
        var all = await test.Scalar<string>($"select coalesce(string_agg(tenant_id || ' ' || (body->>'text') || (body->>'number'), ','), '') from nubabel.messages where queue = '{queue}'");
        return all.Length == 0 ? [] : all.Split(',');
    }
}
