using System.Collections.Concurrent;
using System.Text.Json;

namespace Nubabel.Store.Tests.Messages;

/// <summary>What becomes of a message whose handler fails, takes too long, or will never succeed.</summary>
public sealed class FailureTests
{
    private static QueueOptions Quick => QueueOptions.Fast(MessageNode.Queue()) with { Attempts = 3, Backoff = new Backoff(TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(1)) };

    /// <summary>What has failed comes again when the test says so, and not while it looks at the others.</summary>
    private static QueueOptions Patient => Quick with { Backoff = new Backoff(TimeSpan.FromHours(1), TimeSpan.FromHours(1)) };

    /// <summary>The pause of the message that has failed is over. It begins when the failure has been written.</summary>
    private static async Task Retried(MessageNode node)
    {
        await MessageNode.Until(async () => await node.Lanes("until is not null") == 1, () => "nothing waits after its failure");
        await (await Nubabel.Testing.TestDatabase.Shared).Run($"update nubabel.lanes set until = now() where queue = '{node.Options.Name}' and until is not null");
    }

    [Fact]
    public async Task A_failed_message_keeps_its_place_in_its_key_and_holds_up_nothing_else()
    {
        var seen = new ConcurrentQueue<string>();
        var failed = 0;
        await using var node = await MessageNode.Start(Patient, (note, _) =>
        {
            if (note.Text == "a1" && Interlocked.Increment(ref failed) == 1) throw new InvalidOperationException("not yet");
            seen.Enqueue(note.Text);
            return Task.CompletedTask;
        });
        var tenant = Tally.Tenant();
        await node.Send(tenant, new Message(new Note("a1")) { Key = "a" }, new Message(new Note("a2")) { Key = "a" }, new Message(new Note("b1")) { Key = "b" }, new Message(new Note("free")));
        await MessageNode.Until(() => Task.FromResult(seen.Count == 2), () => "the others are held up");
        Assert.Equal(["b1", "free"], seen.Order());
        // What is enqueued while its key waits does not pass it by.
        await node.Send(tenant, new Message(new Note("a3")) { Key = "a" });
        await node.Send(tenant, new Message(new Note("b2")) { Key = "b" });
        await MessageNode.Until(() => Task.FromResult(seen.Contains("b2")), () => "what came behind it is held up");
        Assert.Equal(["b1", "b2", "free"], seen.Order());
        await Retried(node);
        await node.Done();
        Assert.Equal(["a1", "a2", "a3"], seen.Where(s => s[0] == 'a'));
    }

    [Fact]
    public async Task Messages_without_a_key_do_not_wait_for_one_that_failed()
    {
        var seen = new ConcurrentQueue<int>();
        var failed = 0;
        // One lane, so that they are behind each other.
        await using var node = await MessageNode.Start(Patient with { Lanes = 1 }, (note, _) =>
        {
            if (note.Number == 0 && Interlocked.Increment(ref failed) == 1) throw new InvalidOperationException("not yet");
            seen.Enqueue(note.Number);
            return Task.CompletedTask;
        });
        await node.Send(Tally.Tenant(), [.. Enumerable.Range(0, 20).Select(i => new Message(new Note("", i)))]);
        await MessageNode.Until(() => Task.FromResult(seen.Count == 19), () => $"{seen.Count} of 19");
        Assert.DoesNotContain(0, seen);
        await Retried(node);
        await node.Done();
        Assert.Equal(Enumerable.Range(0, 20), seen.Order());
    }

    [Fact]
    public async Task A_message_that_always_fails_becomes_a_dead_letter_with_every_attempt_and_its_key_is_parked()
    {
        var seen = new ConcurrentQueue<string>();
        await using var node = await MessageNode.Start(Quick, (note, context) =>
        {
            if (note.Text == "poison") throw new InvalidOperationException($"attempt {context.Delivery.Attempt}");
            seen.Enqueue(note.Text);
            return Task.CompletedTask;
        });
        var tenant = Tally.Tenant();
        var ids = await node.Send(tenant, new Message(new Note("poison", 5)) { Key = "a", Subject = "user-1" }, new Message(new Note("behind")) { Key = "a" }, new Message(new Note("other")) { Key = "b" });
        await MessageNode.Until(async () => await node.Letters() == 1, () => "no dead letter");
        await MessageNode.Until(() => Task.FromResult(seen.Count == 1), () => "the other key is held up");
        Assert.Equal(["other"], seen);
        Assert.Equal(1, await node.Lanes($"letter = '{ids[0]}' and lane = 'k:a' and worker is null"));
        Assert.Equal(1, await node.Left());

        var letter = $"from nubabel.dead_letters where tenant_id = '{tenant}' and id = '{ids[0]}'";
        Assert.Equal("user-1 poison InvalidOperationException attempt 3 True", await node.Scalar<string>($"select concat_ws(' ', subject, body ->> 'text', cause, error, case when parks then 'True' end) {letter}"));
        var attempts = JsonSerializer.Deserialize<FailedAttempt[]>(await node.Scalar<string>($"select attempts::text {letter}"), JsonSerializerOptions.Web)!;
        Assert.Equal(["attempt 1", "attempt 2", "attempt 3"], attempts.Select(a => a.Error));
        Assert.All(attempts, a => Assert.Equal("one", a.Node));
        Assert.True(attempts[1].At > attempts[0].At);
    }

    [Fact]
    public async Task Where_a_queue_says_so_its_keys_go_on_without_a_dead_letter()
    {
        var seen = new ConcurrentQueue<string>();
        await using var node = await MessageNode.Start(Quick with { Attempts = 1, ParksKey = false }, (note, _) =>
        {
            seen.Enqueue(note.Text);
            return note.Text == "poison" ? throw new InvalidOperationException("no") : Task.CompletedTask;
        });
        await node.Send(Tally.Tenant(), new Message(new Note("poison")) { Key = "a" }, new Message(new Note("behind")) { Key = "a" });
        await node.Done();
        Assert.Equal(["poison", "behind"], seen);
        Assert.Equal(1, await node.Letters());
    }

    [Fact]
    public async Task A_hopeless_message_is_not_tried_again()
    {
        var runs = 0;
        await using var node = await MessageNode.Start(Quick, (_, _) =>
        {
            Interlocked.Increment(ref runs);
            throw new Hopeless("never");
        });
        await node.Send(Tally.Tenant(), new Message(new Note("")));
        await node.Done();
        Assert.Equal((1, 1), (runs, await node.Letters()));
    }

    [Fact]
    public async Task A_handler_that_takes_too_long_is_cancelled_and_what_it_commits_late_is_refused()
    {
        var late = new TaskCompletionSource<Exception?>();
        var (stream, runs) = (Tally.Stream(), 0);
        await using var node = await MessageNode.Start(Quick with { TimeLimit = TimeSpan.FromMilliseconds(200), Attempts = 2 }, async (_, context) =>
        {
            if (Interlocked.Increment(ref runs) > 1) return;
            // The first attempt does not give up when it is told to, not even when the second one is done.
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Task.Delay(Timeout.Infinite, context.Cancellation));
            await MessageNode.Until(() => Task.FromResult(runs > 1), () => "no second attempt", TimeSpan.FromSeconds(30));
            late.TrySetResult(await Record.ExceptionAsync(() => context.Journal.Append(context.Journal.Now(), [Tally.On(stream, StreamAppend.None, new Counted(1))], CancellationToken.None)));
        });
        var tenant = Tally.Tenant();
        await node.Send(tenant, new Message(new Note("")) { Key = "a" });
        Assert.IsType<MessageLost>(await late.Task.WaitAsync(TimeSpan.FromSeconds(30)));
        await node.Done();
        Assert.Empty(await node.Journal(tenant).Read(stream, Until.End, default));
        Assert.Equal(0, await node.Letters());
    }

    [Fact]
    public async Task A_message_that_cannot_be_read_dies_and_harms_no_other()
    {
        var seen = new ConcurrentQueue<string>();
        await using var node = await MessageNode.Create(Quick with { Attempts = 1 }, (note, _) =>
        {
            seen.Enqueue(note.Text);
            return Task.CompletedTask;
        });
        var tenant = Tally.Tenant();
        var ids = await node.Send(tenant, new Message(new Note("broken")), new Message(new Note("unknown")), new Message(new Note("sound")));
        await (await Nubabel.Testing.TestDatabase.Shared).Run($"""
            update nubabel.messages set body = '[1]' where id = '{ids[0]}';
            update nubabel.messages set type = 'nobody_knows' where id = '{ids[1]}';
            """);
        node.Daemon.Start();
        await node.Done();
        Assert.Equal(["sound"], seen);
        Assert.Equal(2, await node.Letters());
    }

    [Fact]
    public async Task Long_handlers_of_messages_without_a_key_keep_nothing_behind_them()
    {
        var gate = new TaskCompletionSource();
        var seen = new ConcurrentQueue<int>();
        await using var node = await MessageNode.Start(Quick with { Lanes = 1, Concurrency = 2, Turn = TimeSpan.FromMilliseconds(100) }, async (note, _) =>
        {
            if (note.Number == 0) await gate.Task;
            seen.Enqueue(note.Number);
        });
        var tenant = Tally.Tenant();
        await node.Send(tenant, [.. Enumerable.Range(0, 10).Select(i => new Message(new Note("", i)))]);
        await MessageNode.Until(() => Task.FromResult(seen.Count == 9), () => $"{seen.Count} of 9");
        // Also what comes when the lane's turn was over.
        await MessageNode.Until(async () => await node.Lanes("lane like '!%'") == 1, () => "the long one is still in the shared lane");
        await node.Send(tenant, [.. Enumerable.Range(10, 10).Select(i => new Message(new Note("", i)))]);
        await MessageNode.Until(() => Task.FromResult(seen.Count == 19), () => $"{seen.Count} of 19");
        gate.SetResult();
        await node.Done();
        Assert.Equal(Enumerable.Range(0, 20), seen.Order());
    }

    [Fact]
    public async Task Erasure_takes_a_persons_messages_wherever_they_stand_and_lets_their_keys_go_on()
    {
        var seen = new ConcurrentQueue<string>();
        await using var node = await MessageNode.Start(Quick with { Attempts = 1 }, (note, _) =>
        {
            seen.Enqueue(note.Text);
            return note.Text == "dies" ? throw new InvalidOperationException("no") : Task.CompletedTask;
        });
        var (tenant, ada) = (Tally.Tenant(), "user-ada");
        await node.Send(tenant, new Message(new Note("dies")) { Key = "k", Subject = ada }, new Message(new Note("hers")) { Key = "k", Subject = ada }, new Message(new Note("another's")) { Key = "k" },
            new Message(new Note("later")) { After = TimeSpan.FromHours(1), Subject = ada });
        await MessageNode.Until(async () => await node.Lanes("letter is not null") == 1, () => "not parked");
        var status = (await node.Daemon.Status(default)).Single();
        Assert.Equal((2, 1, 1, 1), (status.Messages, status.Deferred, status.Parked, status.DeadLetters));

        // Somebody else's of the same name stay.
        Assert.Equal(0, await node.Daemon.Erase(Tally.Tenant(), ada, default));
        Assert.Equal(3, await node.Daemon.Erase(tenant, ada, default));
        await node.Done();
        Assert.Equal(["dies", "another's"], seen);
        Assert.Equal(0, await node.Letters());
    }
}
