using System.Collections.Concurrent;

namespace Nubabel.Store.Tests.Messages;

/// <summary>What becomes of a message: once, in order, with what its handler writes.</summary>
public sealed class MessageTests
{
    [Fact]
    public async Task A_message_is_handled_with_its_envelope_and_leaves_nothing_behind()
    {
        var seen = new TaskCompletionSource<(Note Note, MessageContext Context)>();
        await using var node = await MessageNode.Start(QueueOptions.Fast(MessageNode.Queue()), (note, context) =>
        {
            seen.TrySetResult((note, context));
            return Task.CompletedTask;
        });
        var tenant = Tally.Tenant();
        var ids = await node.Send(tenant, new Message(new Note("hello", 7)) { Key = "k", Headers = new Dictionary<string, string> { ["from"] = "here" } });

        var (note, context) = await seen.Task.WaitAsync(MessageNode.Bound);
        Assert.Equal(new Note("hello", 7), note);
        Assert.Equal((ids[0], tenant, "system:test", "request", "k", 1, "here"),
            (context.Delivery.Id, context.Tenant, context.Actor, context.Delivery.CorrelationId, context.Delivery.Key, context.Delivery.Attempt, context.Delivery.Headers["from"]));
        await node.Done();
        Assert.Equal(0, await node.Scalar<long>($"select count(*) from nubabel.ready_lanes where queue = '{node.Options.Name}'"));
    }

    [Fact]
    public async Task Messages_of_a_key_are_handled_one_after_the_other_in_their_order()
    {
        var order = new ConcurrentDictionary<string, ConcurrentQueue<int>>();
        var now = new ConcurrentDictionary<string, int>();
        var together = 0;
        await using var node = await MessageNode.Start(QueueOptions.Fast(MessageNode.Queue()), async (note, context) =>
        {
            if (now.AddOrUpdate(context.Delivery.Key!, 1, (_, n) => n + 1) > 1) Interlocked.Increment(ref together);
            await Task.Yield();
            order.GetOrAdd(context.Delivery.Key!, _ => new()).Enqueue(note.Number);
            now.AddOrUpdate(context.Delivery.Key!, 0, (_, n) => n - 1);
        });
        var tenant = Tally.Tenant();
        for (var batch = 0; batch < 10; batch++)
            await node.Send(tenant, [.. Enumerable.Range(batch * 30, 30).Select(i => new Message(new Note("", i)) { Key = $"k{i % 7}" })]);
        await node.Done();

        Assert.Equal(0, together);
        foreach (var (key, numbers) in order) Assert.Equal(Enumerable.Range(0, 300).Where(i => $"k{i % 7}" == key), numbers);
    }

    [Fact]
    public async Task What_a_handler_appends_and_enqueues_commits_with_the_end_of_its_message()
    {
        var stream = Tally.Stream();
        var second = new TaskCompletionSource<string?>();
        await using var node = await MessageNode.Start(QueueOptions.Fast(MessageNode.Queue()), async (note, context) =>
        {
            if (note.Text == "second") second.TrySetResult(context.Delivery.CausationId);
            if (note.Text != "first") return;
            context.Journal.Enqueue(new Message(new Note("second")));
            var end = await context.Journal.Append(context.Journal.Now(), [Tally.On(stream, StreamAppend.None, new Counted(1))], context.Cancellation);
            Assert.IsType<Appended.Done>(end);
        });
        var tenant = Tally.Tenant();
        var ids = await node.Send(tenant, new Message(new Note("first")));
        Assert.Equal(ids[0].ToString(), await second.Task.WaitAsync(MessageNode.Bound));
        await node.Done();

        var events = await node.Journal(tenant).Read(stream, Until.End, default);
        Assert.Equal([1], events.Select(e => ((Counted)e.Data!).By));
        Assert.Equal(("system:test", "request", ids[0].ToString()), (events[0].Actor, events[0].CorrelationId, events[0].CausationId));
    }

    [Fact]
    public async Task A_handler_commits_once()
    {
        var failure = new TaskCompletionSource<Exception?>();
        await using var node = await MessageNode.Start(QueueOptions.Fast(MessageNode.Queue()), async (_, context) =>
        {
            await context.Journal.Append(context.Journal.Now(), [Tally.On(Tally.Stream(), StreamAppend.None, new Counted(1))], context.Cancellation);
            failure.TrySetResult(await Record.ExceptionAsync(() => context.Journal.Append(context.Journal.Now(), [Tally.On(Tally.Stream(), StreamAppend.None, new Counted(2))], context.Cancellation)));
        });
        await node.Send(Tally.Tenant(), new Message(new Note("")));
        Assert.IsType<InvalidOperationException>(await failure.Task.WaitAsync(MessageNode.Bound));
        await node.Done();
    }

    [Fact]
    public async Task A_commit_that_is_refused_enqueues_nothing()
    {
        await using var node = await MessageNode.Create(QueueOptions.Fast(MessageNode.Queue()), (_, _) => Task.CompletedTask);
        var (tenant, stream) = (Tally.Tenant(), Tally.Stream());
        var journal = node.Journal(tenant);
        journal.Enqueue(new Message(new Note("with it")));
        Assert.IsType<Appended.Done>(await journal.Append(journal.Now(), [Tally.On(stream, StreamAppend.None, new Counted(1))], default));
        Assert.Equal(1, await node.Left());

        var late = node.Journal(tenant);
        late.Enqueue(new Message(new Note("not with it")) { Once = "late" });
        Assert.IsType<Appended.Conflict>(await late.Append(late.Now(), [Tally.On(stream, StreamAppend.None, new Counted(2))], default));
        Assert.Equal(1, await node.Left());
        Assert.Equal(0, await node.Scalar<long>($"select count(*) from nubabel.message_ids where queue = '{node.Options.Name}'"));

        // The same commit on the right version carries it.
        Assert.IsType<Appended.Done>(await late.Append(late.Now(), [Tally.On(stream, 1, new Counted(2))], default));
        Assert.Equal(2, await node.Left());
    }

    [Fact]
    public async Task Of_many_who_enqueue_the_same_id_at_once_one_does()
    {
        var runs = 0;
        await using var node = await MessageNode.Start(QueueOptions.Fast(MessageNode.Queue()), (_, _) =>
        {
            Interlocked.Increment(ref runs);
            return Task.CompletedTask;
        });
        var tenant = Tally.Tenant();
        var sent = await Task.WhenAll(Enumerable.Range(0, 32).Select(i => node.Send(tenant,
            [.. new[] { "a", "b", "c" }.OrderBy(_ => Random.Shared.Next()).Select(id => new Message(new Note(id)) { Once = id })])));
        Assert.Equal(3, sent.Sum(s => s.Count));
        await node.Done();
        Assert.Equal(3, runs);

        // Done, and remembered; another tenant's is another one.
        Assert.Empty(await node.Send(tenant, new Message(new Note("a")) { Once = "a" }));
        Assert.Single(await node.Send(Tally.Tenant(), new Message(new Note("a")) { Once = "a" }));
        await node.Done();
        Assert.Equal(4, runs);
    }

    [Fact]
    public async Task A_message_for_later_comes_at_its_time_and_keeps_nobody_waiting()
    {
        var seen = new ConcurrentQueue<string>();
        await using var node = await MessageNode.Start(QueueOptions.Fast(MessageNode.Queue()), (note, _) =>
        {
            seen.Enqueue(note.Text);
            return Task.CompletedTask;
        });
        var tenant = Tally.Tenant();
        await node.Send(tenant, new Message(new Note("later")) { Key = "k", After = TimeSpan.FromHours(1) }, new Message(new Note("now")) { Key = "k" });
        await MessageNode.Until(() => Task.FromResult(seen.Count == 1), () => "nothing came");
        Assert.Equal(["now"], seen);
        Assert.Equal(1, await node.Scalar<long>($"select count(*) from nubabel.deferred_messages where queue = '{node.Options.Name}' and due between now() + interval '30 minutes' and now() + interval '1 hour'"));
        // Its time has come.
        await (await Nubabel.Testing.TestDatabase.Shared).Run($"update nubabel.deferred_messages set due = now() where queue = '{node.Options.Name}'");
        await node.Done();
        Assert.Equal(["now", "later"], seen);
    }
}
