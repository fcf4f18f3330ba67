using System.Collections.Concurrent;

namespace Nubabel.Store.Tests.Messages;

/// <summary>What is enqueued when a message is given up.</summary>
public sealed class LastWordTests
{
    private static QueueOptions Quick => QueueOptions.Fast(MessageNode.Queue()) with { Attempts = 2, Backoff = new Backoff(TimeSpan.FromMilliseconds(20), TimeSpan.FromMilliseconds(20)) };

    [Fact]
    public async Task A_message_that_dies_says_so_once_and_one_that_recovers_says_nothing()
    {
        var told = new ConcurrentQueue<string>();
        var failed = 0;
        await using var node = await MessageNode.Start(Quick, (note, context) =>
        {
            if (note.Text == "poison" || note.Text == "once" && Interlocked.Increment(ref failed) == 1) throw new InvalidOperationException("broken");
            if (note.Text.StartsWith("last", StringComparison.Ordinal)) told.Enqueue($"{note.Text} {context.Delivery.Actor} {context.Delivery.CausationId}");
            return Task.CompletedTask;
        }, lastWord: (given, cause) => new Message(new Note($"last {cause} {given.Id}")));
        var ids = await node.Send(Tally.Tenant(), new Message(new Note("poison")), new Message(new Note("once")), new Message(new Note("good")));
        await MessageNode.Until(async () => await node.Letters() == 1 && !told.IsEmpty, () => "nothing was told");
        await node.Done();
        Assert.Equal([$"last InvalidOperationException {ids[0]} system:test {ids[0]}"], told);
    }

    [Fact]
    public async Task It_is_there_with_the_dead_letter_or_neither_is()
    {
        var calls = 0;
        // It cannot be stored (a NUL in its key), so the dead letter cannot either: the message stays, and is tried again.
        await using var node = await MessageNode.Start(Quick, (_, _) =>
        {
            Interlocked.Increment(ref calls);
            throw new Hopeless("broken");
        }, lastWord: (_, _) => new Message(new Note("last")) { Key = "\0" });
        await node.Send(Tally.Tenant(), new Message(new Note("poison")));
        await MessageNode.Until(() => Task.FromResult(Volatile.Read(ref calls) >= 2), () => "it is not tried again");
        Assert.Equal((0, 1), (await node.Letters(), await node.Left()));
    }
}
