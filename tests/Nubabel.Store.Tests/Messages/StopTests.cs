using System.Collections.Concurrent;
using System.Diagnostics;
using Xunit.Abstractions;

namespace Nubabel.Store.Tests.Messages;

/// <summary>A process that stops in order, one that is lost, and how fairly they share their time.</summary>
public sealed class StopTests(ITestOutputHelper output)
{
    private const int Mountain = 100_000;

    [Fact]
    public async Task A_stop_finishes_what_runs_and_hands_the_rest_to_another_process_at_once()
    {
        var options = QueueOptions.Fast(MessageNode.Queue()) with { Concurrency = 2, Lanes = 4, Turn = TimeSpan.FromMinutes(1) };
        var (begun, gate) = (new ConcurrentQueue<string>(), new TaskCompletionSource());
        async Task Handle(string node, Note note, MessageContext context)
        {
            begun.Enqueue($"{node} {note.Number} {context.Delivery.Attempt}");
            if (node == "one") await gate.Task;
        }
        await using var one = await MessageNode.Start(options, (n, c) => Handle("one", n, c), "one");
        await one.Send(Tally.Tenant(), [.. Enumerable.Range(0, 40).Select(i => new Message(new Note("", i)) { Key = i % 2 == 0 ? $"k{i % 3}" : null })]);
        await MessageNode.Until(() => Task.FromResult(begun.Count == 2), () => "nothing runs");

        var stop = one.Daemon.Stop();
        await using var two = await MessageNode.Start(options, (n, c) => Handle("two", n, c), "two");
        // All but what runs at the first, and what is behind it in its lane, goes on while that one drains.
        await MessageNode.Until(() => Task.FromResult(begun.Count > 12), () => $"the second process has begun {begun.Count - 2}");
        Assert.False(stop.IsCompleted);
        gate.SetResult();
        await stop.WaitAsync(TimeSpan.FromSeconds(5));
        await two.Done();
        Assert.Equal(40, begun.Count);
        Assert.Equal(2, begun.Count(b => b.StartsWith("one", StringComparison.Ordinal)));
        Assert.All(begun, b => Assert.EndsWith(" 1", b));
        Assert.Equal(0, await two.Scalar<long>($"select count(*) from nubabel.workers where queue = '{options.Name}' and node = 'one'"));
    }

    [Fact]
    public async Task What_does_not_end_within_the_drain_is_cancelled_and_loses_no_attempt()
    {
        var options = QueueOptions.Fast(MessageNode.Queue());
        var began = new TaskCompletionSource();
        var attempts = new ConcurrentQueue<int>();
        await using var one = await MessageNode.Start(options, async (_, context) =>
        {
            began.TrySetResult();
            await Task.Delay(Timeout.Infinite, context.Cancellation);
        }, drain: TimeSpan.FromMilliseconds(200));
        await one.Send(Tally.Tenant(), new Message(new Note("")) { Key = "a" });
        await began.Task.WaitAsync(MessageNode.Bound);
        await one.Daemon.Stop().WaitAsync(TimeSpan.FromSeconds(5));
        await using var two = await MessageNode.Start(options, (_, context) =>
        {
            attempts.Enqueue(context.Delivery.Attempt);
            return Task.CompletedTask;
        });
        await two.Done();
        Assert.Equal([1], attempts);
    }

    [Fact]
    public async Task A_worker_that_was_given_up_is_refused_and_begins_anew()
    {
        var options = QueueOptions.Fast(MessageNode.Queue());
        var (began, gate, stream) = (new TaskCompletionSource(), new TaskCompletionSource(), Tally.Stream());
        var refused = new TaskCompletionSource<Exception?>();
        var runs = 0;
        await using var node = await MessageNode.Start(options, async (_, context) =>
        {
            var first = Interlocked.Increment(ref runs) == 1;
            began.TrySetResult();
            if (first) await gate.Task;
            var outcome = await Record.ExceptionAsync(() => context.Journal.Append(context.Journal.Now(), [Tally.On(stream, StreamAppend.Any, new Counted(runs))], CancellationToken.None));
            if (first) refused.TrySetResult(outcome);
        });
        var tenant = Tally.Tenant();
        await node.Send(tenant, new Message(new Note("")) { Key = "a" });
        await began.Task.WaitAsync(MessageNode.Bound);
        // What a reaper does when the lease has run out.
        await (await Nubabel.Testing.TestDatabase.Shared).Run($"select nubabel.give_up(id, true) from nubabel.workers where queue = '{options.Name}'");
        gate.SetResult();
        Assert.IsType<MessageLost>(await refused.Task.WaitAsync(MessageNode.Bound));
        await node.Done();
        Assert.Single(await node.Journal(tenant).Read(stream, Until.End, default));
        Assert.Equal(2, runs);
    }

    [Fact]
    public async Task A_message_that_takes_its_workers_with_it_dies()
    {
        var options = QueueOptions.Fast(MessageNode.Queue()) with { Losses = 2 };
        var runs = 0;
        await using var node = await MessageNode.Start(options, async (_, context) =>
        {
            Interlocked.Increment(ref runs);
            await (await Nubabel.Testing.TestDatabase.Shared).Run($"select nubabel.give_up(id, true) from nubabel.workers where queue = '{options.Name}'");
            await Task.Delay(Timeout.Infinite, context.Cancellation);
        });
        await node.Send(Tally.Tenant(), new Message(new Note("")) { Key = "a" });
        // The worker notices its loss at its next renewal, a third of a lease later, or when it takes something: give it something.
        await MessageNode.Until(async () =>
        {
            await node.Send(Tally.Tenant(), new Message(new Note("nudge")) { After = TimeSpan.FromHours(1) });
            node.Outbox.Of(options.Name).Heard();
            return await node.Letters() == 1;
        }, () => $"still alive after {runs} runs");
        Assert.Equal(2, runs);
        Assert.Equal("Hopeless", await node.Scalar<string>($"select cause from nubabel.dead_letters where queue = '{options.Name}'"));
    }

    [Fact]
    public async Task A_tenant_with_a_mountain_of_messages_does_not_delay_anothers_ten()
    {
        var options = QueueOptions.Fast(MessageNode.Queue());
        var waited = new ConcurrentQueue<TimeSpan>();
        var (small, clock) = (Tally.Tenant(), new Stopwatch());
        await using var node = await MessageNode.Create(options, async (_, context) =>
        {
            await Task.Delay(2, context.Cancellation);
            if (context.Tenant == small) waited.Enqueue(clock.Elapsed);
        });
        var big = Tally.Tenant();
        // The rows that 100,000 messages leave, a third of them each with a key of its own.
        await (await Nubabel.Testing.TestDatabase.Shared).Run($$"""
            insert into nubabel.messages (queue, tenant_id, lane, seq, id, type, body, key, actor)
            select '{{options.Name}}', '{{big}}', case when n % 3 = 0 then 'k:' || n else '~' || n / 16 % 32 end, nextval('nubabel.message_numbers'), gen_random_uuid(), 'note', '{"text": "", "number": 0}',
                   case when n % 3 = 0 then n::text end, 'system:test'
              from generate_series(1, {{Mountain}}) n;
            insert into nubabel.ready_lanes (queue, tenant_id, lane) select distinct queue, tenant_id, lane from nubabel.messages where queue = '{{options.Name}}'
            """);
        node.Daemon.Start();
        await MessageNode.Until(async () => await node.Left() < Mountain - 1_000, () => "nothing happens");
        clock.Start();
        await node.Send(small, [.. Enumerable.Range(0, 10).Select(n => new Message(new Note("", n)) { Key = n % 2 == 0 ? "k" : null })]);
        await MessageNode.Until(() => Task.FromResult(waited.Count == 10), () => $"{waited.Count} of 10");
        output.WriteLine($"The last of ten behind {Mountain}: {waited.Max().TotalMilliseconds:0} ms");
        // Two seconds are promised; a machine that does other things at the same time has five times as long.
        Assert.True(waited.Max() < TimeSpan.FromSeconds(5 * 2), $"{waited.Max()}");
        Assert.True(await node.Left() > Mountain / 2, "the mountain was no mountain");
        await node.Daemon.Stop();
        await (await Nubabel.Testing.TestDatabase.Shared).Run($"delete from nubabel.messages where queue = '{options.Name}'; delete from nubabel.ready_lanes where queue = '{options.Name}'");
    }
}
