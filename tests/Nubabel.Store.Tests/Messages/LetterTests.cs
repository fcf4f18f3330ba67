using System.Collections.Concurrent;
using Nubabel.Testing;

namespace Nubabel.Store.Tests.Messages;

/// <summary>What becomes of dead letters: replayed, discarded, tried again by themselves, deleted.</summary>
public sealed class LetterTests
{
    private static QueueOptions Mortal => QueueOptions.Fast(MessageNode.Queue()) with { Attempts = 1 };

    private static async Task<DeadLetters> Of(MessageNode node) => new((await TestDatabase.Shared).Database.Daemon, node.Outbox);

    private static Task Died(MessageNode node, int letters) => MessageNode.Until(
        async () => await node.Scalar<long>($"select count(*) from nubabel.dead_letters where queue = '{node.Options.Name}' and state = 'dead'") == letters, () => $"not {letters} dead letters");

    [Fact]
    public async Task A_replayed_letter_takes_its_place_before_what_waited_behind_it_and_keeps_its_history()
    {
        var (seen, heals) = (new ConcurrentQueue<string>(), false);
        await using var node = await MessageNode.Start(Mortal, (note, context) =>
        {
            if (note.Text == "poison" && !Volatile.Read(ref heals)) throw new InvalidOperationException("not yet");
            seen.Enqueue($"{note.Text} {context.Delivery.Attempt}");
            return Task.CompletedTask;
        });
        var ids = await node.Send(Tally.Tenant(), [.. new[] { "poison", "second", "third" }.Select(text => new Message(new Note(text)) { Key = "k" })]);
        await Died(node, 1);
        var letters = await Of(node);
        // It dies again: its key stays parked, and what failed before is not forgotten.
        Assert.True(await letters.Replay(ids[0], 0, "operator:a", null, default));
        await MessageNode.Until(async () => await letters.Find(ids[0], default) is { State: DeadLetterState.Dead, Replays: 1 }, () => "it has not died again");
        Assert.Equal(2, (await letters.Find(ids[0], default))!.Attempts.Count);
        Assert.Empty(seen);

        Volatile.Write(ref heals, true);
        Assert.False(await letters.Replay(ids[0], 0, "operator:a", null, default));
        Assert.True(await letters.Replay(ids[0], 1, "operator:a", null, default));
        await node.Done();
        Assert.Equal(["poison 1", "second 1", "third 1"], seen);
        Assert.Equal((DeadLetterState.Replayed, 2, "operator:a"), (await letters.Find(ids[0], default))! switch { var l => (l.State, l.Replays, l.ClosedBy) });
    }

    [Fact]
    public async Task One_letter_replayed_fifty_times_at_once_is_tried_once()
    {
        var runs = 0;
        await using var node = await MessageNode.Start(Mortal, (_, _) => Interlocked.Increment(ref runs) == 1 ? throw new InvalidOperationException("no") : Task.CompletedTask);
        var ids = await node.Send(Tally.Tenant(), new Message(new Note("")));
        await Died(node, 1);
        var letters = await Of(node);
        // All of them have begun before the first can end.
        await using var holder = await (await TestDatabase.Shared).Superuser.OpenConnectionAsync();
        await using var held = await holder.BeginTransactionAsync();
        await using (var hold = new Npgsql.NpgsqlCommand($"select from nubabel.dead_letters where id = '{ids[0]}' for update", holder, held)) await hold.ExecuteNonQueryAsync();
        var all = Task.WhenAll(Enumerable.Range(0, 50).Select(i => Task.Run(() => i % 5 == 4 ? letters.Discard(ids[0], 0, "operator:a", default) : letters.Replay(ids[0], 0, "operator:a", null, default))));
        await MessageNode.Until(async () => await node.Scalar<long>("select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%letter_close%'") >= 10, () => "they do not meet");
        await held.CommitAsync();
        Assert.Single(await all, g => g);
        await node.Done();
        var state = (await letters.Find(ids[0], default))!.State;
        Assert.Equal(state == DeadLetterState.Replayed ? 2 : 1, runs);
    }

    [Fact]
    public async Task A_discarded_letter_lets_its_key_go_on_and_is_never_handled()
    {
        var seen = new ConcurrentQueue<string>();
        await using var node = await MessageNode.Start(Mortal, (note, _) =>
        {
            seen.Enqueue(note.Text);
            return note.Text == "poison" ? throw new InvalidOperationException("no") : Task.CompletedTask;
        });
        var ids = await node.Send(Tally.Tenant(), new Message(new Note("poison")) { Key = "k" }, new Message(new Note("behind")) { Key = "k" });
        await Died(node, 1);
        var letters = await Of(node);
        Assert.True(await letters.Discard(ids[0], 0, "operator:a", default));
        await node.Done();
        Assert.Equal(["poison", "behind"], seen);
        Assert.False(await letters.Replay(ids[0], 0, "operator:a", null, default));
        Assert.False(await letters.Discard(ids[0], 0, "operator:a", default));
    }

    [Fact]
    public async Task An_edited_letter_is_handled_as_edited_and_its_original_is_kept()
    {
        var seen = new ConcurrentQueue<string>();
        await using var node = await MessageNode.Start(Mortal, (note, _) =>
        {
            seen.Enqueue(note.Text);
            throw new InvalidOperationException("no");
        });
        var ids = await node.Send(Tally.Tenant(), new Message(new Note("first")));
        await Died(node, 1);
        var letters = await Of(node);
        Assert.True(await letters.Replay(ids[0], 0, "operator:a", """{"text":"changed","number":1}""", default));
        await MessageNode.Until(async () => await letters.Find(ids[0], default) is { State: DeadLetterState.Dead, Replays: 1 }, () => "it has not died again");
        // Without another body, what died last is tried again.
        Assert.True(await letters.Replay(ids[0], 1, "operator:a", null, default));
        await MessageNode.Until(async () => await letters.Find(ids[0], default) is { State: DeadLetterState.Dead, Replays: 2 }, () => "it has not died again");
        Assert.Equal(["first", "changed", "changed"], seen);
        var letter = (await letters.Find(ids[0], default))!;
        Assert.Contains("first", letter.Body, StringComparison.Ordinal);
        Assert.Contains("changed", letter.Edited!, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_bulk_replay_takes_each_letter_once_whoever_works_on_it_and_none_that_dies_meanwhile()
    {
        var runs = new ConcurrentDictionary<int, int>();
        await using var node = await MessageNode.Start(Mortal with { ParksKey = false, Concurrency = 32 }, (note, _) =>
        {
            var run = runs.AddOrUpdate(note.Number, 1, (_, n) => n + 1);
            // The odd ones die again as they are replayed.
            return run == 1 || note.Number % 2 == 1 ? throw new InvalidOperationException("no") : Task.CompletedTask;
        });
        var tenant = Tally.Tenant();
        const int all = 1_200;
        await node.Send(tenant, [.. Enumerable.Range(0, all).Select(i => new Message(new Note("", i)) { Key = i % 3 == 0 ? $"k{i % 7}" : null })]);
        await Died(node, all);
        var letters = await Of(node);
        var filter = new DeadLetterFilter(Tenant: tenant, Queue: node.Options.Name);
        var (count, at) = await letters.Count(filter with { State = DeadLetterState.Dead }, default);
        Assert.Equal(all, count);
        // Also while others die.
        await node.Send(tenant, [.. Enumerable.Range(all, 100).Select(i => new Message(new Note("", i)))]);
        var sweep = Guid.CreateVersion7();
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            while (!(await letters.Sweep(sweep, true, "operator:a", at, filter, default)).Finished) { }
        })));
        Assert.Equal(new SweepProgress(all, true), await letters.Progress(sweep, default));
        await node.Done();
        await Died(node, all / 2 + 100);
        Assert.All(runs, r => Assert.Equal(r.Key < all ? 2 : 1, r.Value));
        Assert.Equal(all / 2, await node.Scalar<long>($"select count(*) from nubabel.dead_letters where queue = '{node.Options.Name}' and state = 'replayed' and closed_by = 'operator:a'"));
        // Finished is finished.
        Assert.Equal(new SweepProgress(all, true), await letters.Sweep(sweep, true, "operator:a", at.AddHours(1), filter, default));
    }

    [Fact]
    public async Task Letters_of_one_key_come_back_in_their_order()
    {
        var (seen, heals) = (new ConcurrentQueue<int>(), false);
        await using var node = await MessageNode.Start(Mortal with { ParksKey = false }, (note, _) =>
        {
            if (!Volatile.Read(ref heals)) throw new InvalidOperationException("no");
            seen.Enqueue(note.Number);
            return Task.CompletedTask;
        });
        var tenant = Tally.Tenant();
        var ids = await node.Send(tenant, [.. Enumerable.Range(0, 20).Select(i => new Message(new Note("", i)) { Key = "k" })]);
        await Died(node, 20);
        Volatile.Write(ref heals, true);
        var letters = await Of(node);
        // By their ids, and in whatever order these stand.
        Assert.Equal(new SweepProgress(20, true), await letters.Sweep(Guid.CreateVersion7(), true, "operator:a", DateTimeOffset.MaxValue, new DeadLetterFilter(Ids: [.. ids.Reverse()]), default));
        await node.Done();
        Assert.Equal(Enumerable.Range(0, 20), seen);
    }

    [Fact]
    public async Task An_order_finds_nothing_to_do_when_the_person_is_erased_meanwhile()
    {
        await using var node = await MessageNode.Start(Mortal, (_, _) => throw new InvalidOperationException("no"));
        var tenant = Tally.Tenant();
        var ids = await node.Send(tenant, new Message(new Note("hers")) { Subject = "user-ada" });
        await Died(node, 1);
        var letters = await Of(node);
        await node.Daemon.Erase(tenant, "user-ada", default);
        Assert.False(await letters.Replay(ids[0], 0, "operator:a", null, default));
        Assert.Equal(new SweepProgress(0, true), await letters.Sweep(Guid.CreateVersion7(), true, "operator:a", DateTimeOffset.MaxValue, new DeadLetterFilter(Ids: ids), default));
        Assert.Null(await letters.Find(ids[0], default));
        Assert.Equal(0, await node.Left());
    }

    [Fact]
    public async Task A_queue_replays_letters_by_itself_as_often_as_it_says_and_only_of_the_causes_it_names()
    {
        var runs = new ConcurrentDictionary<string, int>();
        var strategy = new AutomaticReplay(TimeSpan.FromMilliseconds(50), 2, [nameof(TimeoutException), nameof(Hopeless)]);
        await using var node = await MessageNode.Start(Mortal with { Replays = strategy }, (note, _) =>
        {
            var run = runs.AddOrUpdate(note.Text, 1, (_, n) => n + 1);
            return note.Text switch
            {
                "slow" => throw new TimeoutException("away"),
                "heals" when run < 3 => throw new TimeoutException("away"),
                "heals" => Task.CompletedTask,
                "hopeless" => throw new Hopeless("never"),
                _ => throw new InvalidOperationException("ours"),
            };
        });
        await node.Send(Tally.Tenant(), [.. new[] { "slow", "heals", "hopeless", "wrong" }.Select(text => new Message(new Note(text)))]);
        await MessageNode.Until(() => Task.FromResult(runs.GetValueOrDefault("slow") == 3 && runs.GetValueOrDefault("heals") == 3), () => string.Join(" ", runs));
        await Died(node, 3);
        // However long ago they died: that was all.
        await (await TestDatabase.Shared).Run($"update nubabel.dead_letters set died = now() - interval '1 day' where queue = '{node.Options.Name}'");
        Assert.Equal(0, await (await Of(node)).Revive(node.Options, default));
        await node.Done();
        Assert.Equal((3, 3, 1, 1), (runs["slow"], runs["heals"], runs["hopeless"], runs["wrong"]));
        Assert.Equal("system:automatic-replay", await node.Scalar<string>($"select closed_by from nubabel.dead_letters where queue = '{node.Options.Name}' and state = 'replayed'"));
    }

    [Fact]
    public async Task Old_letters_are_deleted_and_keys_that_they_held_go_on()
    {
        var seen = new ConcurrentQueue<string>();
        // Old letters are everybody's: on its own, and with a process that leaves them to the test.
        await using var database = await TestDatabase.New();
        await using var node = await MessageNode.Create(Mortal, (note, _) =>
        {
            seen.Enqueue(note.Text);
            return note.Text == "poison" ? throw new InvalidOperationException("no") : Task.CompletedTask;
        }, on: database, letterDays: null);
        var ids = await node.Send(Tally.Tenant(), new Message(new Note("poison")) { Key = "k" }, new Message(new Note("behind")) { Key = "k" }, new Message(new Note("poison")));
        node.Daemon.Start();
        await Died(node, 2);
        await database.Run($"update nubabel.dead_letters set died = now() - interval '91 days' where id = '{ids[0]}'");
        var letters = new DeadLetters(database.Database.Daemon, node.Outbox);
        Assert.Equal(1, await letters.Expire(90, Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance, default));
        await node.Done();
        Assert.Contains("behind", seen);
        Assert.Null(await letters.Find(ids[0], default));
        Assert.NotNull(await letters.Find(ids[2], default));
    }

    [Fact]
    public async Task Statistics_count_by_queue_type_cause_age_and_day()
    {
        await using var node = await MessageNode.Start(Mortal, (note, _) => throw (note.Number == 0 ? new TimeoutException("away") : new InvalidOperationException("no")));
        var ids = await node.Send(Tally.Tenant(), [.. Enumerable.Range(0, 4).Select(i => new Message(new Note("", i)))]);
        await Died(node, 4);
        var letters = await Of(node);
        await letters.Discard(ids[3], 0, "operator:a", default);
        await (await TestDatabase.Shared).Run($"update nubabel.dead_letters set died = now() - interval '2 days' where id = '{ids[1]}'");
        var told = await letters.Statistics(new DeadLetterFilter(Queue: node.Options.Name), 30, default);
        Assert.Equal((3, 0, 1), (told.Dead, told.Replayed, told.Discarded));
        Assert.Equal([new DeadLetterCount(node.Options.Name, 3)], told.ByQueue);
        Assert.Equal([new DeadLetterCount("note", 3)], told.ByType);
        Assert.Equal([new DeadLetterCount("InvalidOperationException", 2), new DeadLetterCount("TimeoutException", 1)], told.ByCause);
        Assert.Equal([2, 0, 1, 0, 0], told.ByAge.Select(a => a.Letters));
        Assert.InRange(told.OldestSeconds, 172_700, 173_000);
        Assert.Equal([(1L, 0L), (3L, 1L)], told.PerDay.Select(d => (d.Died, d.Discarded)));
    }
}
