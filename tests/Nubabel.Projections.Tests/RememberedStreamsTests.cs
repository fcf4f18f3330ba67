using Nubabel.Domain;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Projections.Tests;

/// <summary>What a node remembers of streams makes commands cheap and never wrong: another node writes behind its back.</summary>
public sealed class RememberedStreamsTests : TwoNodesOfOneDoor
{
    [Fact]
    public async Task A_command_on_a_remembered_stream_is_one_round_trip_and_one_that_changes_nothing_is_one_read()
    {
        await Here().Handle(door, new OpenDoor(), default);
        Assert.Equal(1, await RoundTrips(() => Here().Handle(door, new OpenDoor(), default)));
        Assert.Equal(1, await RoundTrips(() => Here().Create(new Id<Door>(Guid.CreateVersion7()), new OpenDoor(), default)));
        Assert.Equal(1, await RoundTrips(() => Here().Handle(door, new UnlockDoor(), default)));
        Assert.Equal(1, await RoundTrips(() => Here().Load(door, default)));
        Assert.Equal(2, await RoundTrips(() =>
        {
            Here().Forget(Streams.Of(door));
            return Here().Handle(door, new OpenDoor(), default);
        }));
        Assert.Equal(5, (await There().Load(door, default)).State.Opened);
    }

    [Fact]
    public async Task What_is_answered_is_the_whole_history_as_it_stands_in_the_log()
    {
        for (var i = 0; i < 5; i++) await Here().Handle(door, new OpenDoor(), default);
        await There().Handle(door, new OpenDoor(), default);
        var outcome = await Here().Handle(door, new OpenDoor(), default);
        Assert.Equal((7, 7L, 1), (outcome.State.Opened, outcome.Version, outcome.Appended));
        Assert.Equal((await There().Load(door, default)).History, outcome.History);
        Assert.Equal(outcome.History, (await Here().Load(door, default)).History);
    }

    [Fact]
    public async Task A_decision_on_a_stale_state_is_taken_again()
    {
        await Here().Handle(door, new LockDoor(), default);
        await There().Handle(door, new UnlockDoor(), default);
        // It refuses on what is remembered.
        Assert.Equal(1, (await Here().Handle(door, new OpenDoor(), default)).State.Opened);
        await There().Handle(door, new LockDoor(), default);
        // It appends on what is remembered.
        Assert.Equal("door.locked", (await Assert.ThrowsAsync<Refused>(() => Here().Handle(door, new OpenDoor(), default))).Code);
        await There().Handle(door, new UnlockDoor(), default);
        // It is so already by what is remembered.
        Assert.Equal(1, (await Here().Handle(door, new LockDoor(), default)).Appended);
        Assert.Equal(6, (await There().Load(door, default)).Version);
    }

    [Fact]
    public async Task A_precondition_is_held_against_the_log_and_not_against_what_is_remembered()
    {
        await Here().Handle(door, new OpenDoor(), default);
        await There().Handle(door, new OpenDoor(), default);
        Assert.Equal(2, (await Assert.ThrowsAsync<VersionMismatch>(() => Here().Handle(door, new OpenDoor(), default, v => v == 1))).Actual);
        await There().Handle(door, new OpenDoor(), default);
        Assert.Equal(4, (await Here().Handle(door, new OpenDoor(), default, v => v == 3)).Version);
    }

    [Fact]
    public async Task Of_several_streams_that_are_remembered_the_one_that_is_not_changed_is_read()
    {
        Id<Door> front = new(Guid.CreateVersion7()), back = new(Guid.CreateVersion7());
        await Here().Handle(front, new OpenDoor(), default);
        await Here().Handle(back, new LockDoor(), default);
        await There().Handle(back, new UnlockDoor(), default);
        var (open, locked) = (new Step<Door>(front, new OpenDoor()), new Step<Door>(back, new LockDoor()));
        await Here().Commit([open, locked], default);
        Assert.Equal((1, 1), (open.Outcome.Appended, locked.Outcome.Appended));
        await Here().Handle(back, new UnlockDoor(), default);
        Assert.Equal(1, await RoundTrips(() => Here().Commit([new Step<Door>(front, new OpenDoor()), new Step<Door>(back, new OpenDoor())], default)));
        Assert.Equal((4, 2), ((await There().Load(front, default)).State.Opened, (await There().Load(back, default)).State.Opened));
    }

    [Fact]
    public async Task A_stream_of_the_same_name_in_another_tenant_is_another()
    {
        await Here().Handle(door, new LockDoor(), default);
        var other = Node(near, Guid.CreateVersion7().ToString());
        Assert.Equal(1, (await other.Handle(door, new OpenDoor(), default)).Version);
        Assert.Null(Node(near, Guid.CreateVersion7().ToString()).Remembered(Streams.Of(door)));
        await Assert.ThrowsAsync<Refused>(() => Here().Handle(door, new OpenDoor(), default));
    }

    [Fact]
    public async Task An_archived_stream_refuses_whatever_is_remembered()
    {
        await Here().Handle(door, new OpenDoor(), default);
        await test.Run($"update events.mt_streams set is_archived = true where tenant_id = '{tenant}'");
        Assert.Equal("stream.archived", (await Assert.ThrowsAsync<Refused>(() => Here().Handle(door, new OpenDoor(), default))).Code);
    }

    [Fact]
    public async Task A_log_that_went_back_behind_what_is_remembered_is_believed()
    {
        for (var i = 0; i < 3; i++) await Here().Handle(door, new OpenDoor(), default);
        // As after a restore of the database to an earlier time, and other writes since.
        await test.Run($"delete from events.mt_events where tenant_id = '{tenant}' and version > 1; update events.mt_streams set version = 1 where tenant_id = '{tenant}'");
        Assert.Equal(1, (await Here().Load(door, default)).State.Opened);
        for (var i = 0; i < 2; i++) await There().Handle(door, new LockDoor(), default);
        for (var i = 0; i < 2; i++) await There().Handle(door, new UnlockDoor(), default);
        Assert.Equal(2, (await Here().Handle(door, new OpenDoor(), default)).State.Opened);
    }

    [Fact]
    public async Task A_repeated_request_is_answered_from_its_versions_and_a_key_used_elsewhere_is_found()
    {
        await Here().Handle(door, new OpenDoor(), default);
        var record = new IdempotencyRecord(tenant, "s", "k", [1], 200);
        var journal = Here();
        journal.Once = record;
        var first = await journal.Handle(door, new LockDoor(), default);
        await There().Handle(door, new UnlockDoor(), default);
        var again = Here();
        again.Replay = record with { Versions = new Dictionary<string, long> { [Streams.Of(door)] = first.Version } };
        Assert.Equal(first.History, (await again.Handle(door, new LockDoor(), default)).History);
        again = Here();
        again.Once = record;
        await Assert.ThrowsAsync<RepeatedCommand>(() => again.Handle(door, new OpenDoor(), default));
        Assert.Equal(3, (await There().Load(door, default)).Version);
    }

    [Fact]
    public void Histories_are_bounded_and_those_not_used_for_longest_go_first()
    {
        var one = History(1)[0].Weight.Bytes;
        var histories = new Histories(mostBytes: 130 * one);
        for (var i = 0; i < 13; i++) Use($"{i}", 10);
        Assert.Equal(130 * one, histories.Bytes);
        Assert.NotNull(histories.Find("t", "0"));
        Use("new", 15);
        Assert.InRange(histories.Bytes, 1, 130 * one);
        Assert.NotNull(histories.Find("t", "0"));
        Assert.Null(histories.Find("t", "1"));
        Assert.Null(histories.Find("t", "2"));
        Assert.NotNull(histories.Find("t", "3"));
        Use("new", 14);
        Assert.Equal(15, histories.Find("t", "new")!.Count);
        Use("heavy", 17);
        Assert.Null(histories.Find("t", "heavy"));
        histories.Keep("t", "torn", [.. History(10).Skip(1)]);
        Assert.Null(histories.Find("t", "torn"));
        histories.Forget("t", "new");
        Assert.Null(histories.Find("t", "new"));
        for (var i = 0; i < 13; i++) histories.Forget("t", $"{i}");
        Assert.Equal(0, histories.Bytes);

        void Use(string stream, int length)
        {
            for (var time = 0; time < 2; time++) histories.Keep("t", stream, History(length));
        }
    }

    /// <summary>Thousands that nobody asks for again must not push out what is used, nor lie in memory.</summary>
    [Fact]
    public void Histories_that_are_used_once_have_little_room_and_take_none_from_those_used_again()
    {
        var one = History(1)[0].Weight.Bytes;
        var histories = new Histories(mostBytes: 640 * one);
        for (var time = 0; time < 2; time++) histories.Keep("t", "used", History(10));
        for (var i = 0; i < 5_000; i++)
        {
            histories.Keep("t", $"{i}", History(5));
            // The rest of the same use.
            histories.Keep("t", $"{i}", History(6), isUse: false);
        }
        Assert.InRange(histories.Bytes, 16 * one, 20 * one);
        Assert.Equal((10, 6), (histories.Find("t", "used")?.Count, histories.Find("t", "4999")?.Count));
        Assert.Null(histories.Find("t", "4990"));
        // It had gone, and is used a second time soon after the first: it stays.
        histories.Keep("t", "4990", History(7));
        for (var i = 0; i < 1_000; i++) histories.Keep("t", $"more {i}", History(5));
        Assert.Equal((10, 7), (histories.Find("t", "used")?.Count, histories.Find("t", "4990")?.Count));
    }

    /// <summary>A weight stands for memory: a text takes two bytes a character, in the event and wherever it was read from.</summary>
    [Fact]
    public async Task A_large_event_weighs_what_it_takes_whether_it_was_written_or_read()
    {
        const int Characters = 50_000;
        var written = (await Here().Handle(door, new LabelDoor(new string('a', Characters)), default)).History.Single();
        var read = (await There().Load(door, default)).History.Single();
        Assert.InRange(written.Weight.Bytes, 2 * Characters, 4 * Characters);
        Assert.InRange(read.Weight.Bytes, 2 * Characters, 4 * Characters);
        Assert.Equal(written, read);

        // As many as would have been 40,000 events, at most what this node was told.
        await using var small = Database.Open("main", test.ApiString, test.DaemonString, remembered: 20 * 4 * Characters);
        for (var i = 0; i < 30; i++)
        {
            var labelled = new Id<Door>(Guid.CreateVersion7());
            await Node(small, tenant).Handle(labelled, new LabelDoor(new string('a', Characters)), default);
            await Node(small, tenant).Load(labelled, default);
        }
        Assert.InRange(small.Histories.Bytes, 10 * 2 * Characters, 20 * 4 * Characters);
        await using var forgetful = Database.Open("main", test.ApiString, test.DaemonString, remembered: 0);
        await Node(forgetful, tenant).Handle(door, new OpenDoor(), default);
        Assert.Equal(0, forgetful.Histories.Bytes);
    }

    private static IReadOnlyList<Recorded> History(int count) => [.. Enumerable.Range(1, count).Select(v => Given.Event("s", new Nubabel.Domain.Devices.DeviceDeleted(), v))];

    private async Task<long> RoundTrips(Func<Task> act)
    {
        // Once before, so that connections stand and statements are prepared.
        await act();
        var before = proxy.RoundTrips;
        await act();
        return proxy.RoundTrips - before;
    }
}
