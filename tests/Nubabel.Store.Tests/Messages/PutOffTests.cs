using System.Collections.Concurrent;

namespace Nubabel.Store.Tests.Messages;

/// <summary>Messages whose handlers ask to be called later.</summary>
public sealed class PutOffTests
{
    private static QueueOptions Once => QueueOptions.Fast(MessageNode.Queue()) with { Attempts = 1, Lanes = 1 };

    /// <summary>Waits until the message has been put off once more, for the hour that its handler asked for, and lets that be over.</summary>
    private static async Task Later(MessageNode node, Func<bool> called)
    {
        await MessageNode.Until(async () => called() && await node.Lanes("until > now() + interval '30 minutes'") == 1, () => "it is not put off");
        await (await Nubabel.Testing.TestDatabase.Shared).Run($"update nubabel.lanes set until = now() where queue = '{node.Options.Name}' and until is not null");
    }

    [Fact]
    public async Task A_message_that_is_put_off_loses_no_attempt_keeps_its_place_and_holds_up_no_other_key()
    {
        var seen = new ConcurrentQueue<string>();
        var calls = 0;
        await using var node = await MessageNode.Start(Once, (note, context) =>
        {
            Assert.Equal(1, context.Delivery.Attempt);
            if (note.Text == "a1" && Interlocked.Increment(ref calls) <= 3) throw new NotYet(TimeSpan.FromHours(1));
            seen.Enqueue(note.Text);
            return Task.CompletedTask;
        });
        var tenant = Tally.Tenant();
        await node.Send(tenant, new Message(new Note("a1")) { Key = "a" }, new Message(new Note("a2")) { Key = "a" }, new Message(new Note("b1")) { Key = "b" });
        await MessageNode.Until(() => Task.FromResult(!seen.IsEmpty), () => "the other key is held up");
        for (var i = 1; i <= 3; i++) await Later(node, () => Volatile.Read(ref calls) == i);
        await node.Done();
        Assert.Equal(4, calls);
        Assert.Equal(["b1", "a1", "a2"], seen);
        Assert.Equal(0, await node.Letters());
    }

    [Fact]
    public async Task One_without_a_key_leaves_the_lane_that_it_shares_and_comes_again()
    {
        var seen = new ConcurrentQueue<int>();
        var calls = 0;
        await using var node = await MessageNode.Start(Once, (note, _) =>
        {
            if (note.Number == 0 && Interlocked.Increment(ref calls) <= 2) throw new NotYet(TimeSpan.FromHours(1));
            seen.Enqueue(note.Number);
            return Task.CompletedTask;
        });
        await node.Send(Tally.Tenant(), [.. Enumerable.Range(0, 10).Select(i => new Message(new Note("", i)))]);
        await MessageNode.Until(() => Task.FromResult(seen.Count == 9), () => $"{seen.Count} of 9");
        for (var i = 1; i <= 2; i++) await Later(node, () => Volatile.Read(ref calls) == i);
        await node.Done();
        Assert.Equal(10, seen.Distinct().Count());
        Assert.Equal(0, seen.Last());
        Assert.Equal(0, await node.Letters());
    }

    [Fact]
    public async Task What_the_handler_enqueued_before_is_not_sent()
    {
        var calls = 0;
        var seen = new ConcurrentQueue<string>();
        await using var node = await MessageNode.Start(Once, (note, context) =>
        {
            if (note.Text == "first")
            {
                context.Journal.Enqueue(new Message(new Note($"of call {Interlocked.Increment(ref calls)}")));
                if (calls == 1) throw new NotYet(TimeSpan.FromMilliseconds(50));
            }
            else
            {
                seen.Enqueue(note.Text);
            }
            return Task.CompletedTask;
        });
        await node.Send(Tally.Tenant(), new Message(new Note("first")));
        await node.Done();
        Assert.Equal(["of call 2"], seen);
    }
}
