using Nubabel.Domain;
using Nubabel.Domain.Devices;
using Nubabel.Projections.Devices;
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
    public async Task What_is_answered_is_what_the_log_says()
    {
        for (var i = 0; i < 5; i++) await Here().Handle(door, new OpenDoor(), default);
        await There().Handle(door, new OpenDoor(), default);
        var outcome = await Here().Handle(door, new OpenDoor(), default);
        Assert.Equal((7, 7L, 1), (outcome.State.Opened, outcome.Version, outcome.Appended));
        var events = await outcome.Events(default);
        Assert.Equal(Enumerable.Range(1, 7).Select(v => (long)v), events.Select(e => e.Version));
        Assert.Equal(events[^1], Assert.Single(outcome.Written));
        Assert.Equal((events[^1].Position, events[^1].At, Streams.Fold<Door>(events)), (outcome.Position, outcome.At, outcome.State));
        var loaded = await There().Load(door, default);
        Assert.Equal((outcome.Position, outcome.At, outcome.State, 0), (loaded.Position, loaded.At, loaded.State, loaded.Appended));
        Assert.Equal(events, await loaded.Events(default));
        var then = await loaded.AsOf(new Until(Position: events[3].Position), default);
        Assert.Equal((4, 4L, events[3].At), (then.State.Opened, then.Version, then.At));
        Assert.Equal(events.Take(4), await then.Events(default));
    }

    [Fact]
    public async Task A_stream_that_is_asked_for_twice_at_once_is_read_once_whether_it_is_remembered_or_not()
    {
        await There().Handle(door, new OpenDoor(), default);
        for (var time = 0; time < 2; time++) Assert.Equal([1, 1], (await Here().Load<Door>([door, door], default)).Select(d => d.State.Opened));
    }

    /// <summary>Clocks of two nodes may differ: what stands behind the first that is younger was not there yet either.</summary>
    [Fact]
    public async Task A_stream_as_it_once_was_ends_before_the_first_event_that_is_younger()
    {
        for (var i = 0; i < 4; i++) await Here().Handle(door, new OpenDoor(), default);
        await test.Run($"update events.mt_events set timestamp = timestamp + interval '1 hour' where tenant_id = '{tenant}' and version = 2");
        var now = await There().Load(door, default);
        var then = await now.AsOf(new Until(At: TimeProvider.System.GetUtcNow().AddMinutes(1)), default);
        Assert.Equal((1, 1L), (then.State.Opened, then.Version));
        var before = await now.AsOf(new Until(At: TimeProvider.System.GetUtcNow().AddDays(-1)), default);
        Assert.Equal((0, 0L, 0L), (before.State.Opened, before.Version, before.Position));
        Assert.Empty(await before.Events(default));
        Assert.Equal(4, (await now.AsOf(new Until(Position: long.MaxValue), default)).Version);
    }

    /// <summary>A row is folded beside the state, so that an answer needs no event: it is the one that a whole fold makes, whichever way the node came to it.</summary>
    [Fact]
    public async Task A_row_goes_on_with_what_is_remembered_and_is_what_the_whole_history_makes()
    {
        var owner = Guid.CreateVersion7();
        var device = new Id<Device>(Guid.CreateVersion7());
        await Product(near).Create(device, new RegisterDevice(new Personal($"user-{owner}", "sealed"), "key", DeviceType.Web), default);
        for (var i = 0; i < 3; i++)
        {
            var changed = await Product(i == 1 ? far : near).Handle(device, new ChangeDeviceKey(PublicKey.Parse($"MCowBQYDK2VwAyEA{i:D43}=")), default);
            Assert.Equal(Given.Fold<DeviceRow>(DeviceList.Evolve, await changed.Events(default)), changed.Row<DeviceRow>());
        }
        Assert.Equal((await Product(far).Load(device, default)).Row<DeviceRow>(), (await Product(near).Load(device, default)).Row<DeviceRow>());
        var loaded = await Product(near).Load(device, default);
        Assert.Throws<ArgumentException>(() => loaded.Row<Nubabel.Projections.Members.MemberRow>());

        Journal Product(Database node) => new(node, Events.Types, null!, tenant, new Origin($"user:{owner}"), () => { }, TimeProvider.System);
    }

    [Fact]
    public async Task When_the_log_is_another_one_nothing_that_was_seen_of_it_is_remembered_nor_what_is_just_being_read()
    {
        var early = Here();
        await early.Handle(door, new OpenDoor(), default);
        using var turn = await early.Turn([Streams.Of(door)], default);
        await early.Load(door, default);
        Assert.NotNull(Here().Remembered(Streams.Sought<Door>(door)));
        near.ForgetStreams();
        Assert.Null(Here().Remembered(Streams.Sought<Door>(door)));
        // It has read before, or on the old connection, and is slower.
        await early.Load(door, default);
        Assert.Null(Here().Remembered(Streams.Sought<Door>(door)));
        await Here().Load(door, default);
        Assert.Equal(1, Here().Remembered(Streams.Sought<Door>(door))!.Version);
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
        Assert.Null(Node(near, Guid.CreateVersion7().ToString()).Remembered(Streams.Sought<Door>(door)));
        Assert.NotNull(Here().Remembered(Streams.Sought<Door>(door)));
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
        var repeated = await again.Handle(door, new LockDoor(), default);
        Assert.Equal((first.Version, first.Position, first.State, 0), (repeated.Version, repeated.Position, repeated.State, repeated.Appended));
        Assert.Equal(await first.Events(default), await repeated.Events(default));
        again = Here();
        again.Once = record;
        await Assert.ThrowsAsync<RepeatedCommand>(() => again.Handle(door, new OpenDoor(), default));
        Assert.Equal(3, (await There().Load(door, default)).Version);
    }

    /// <summary>A weight stands for memory: a text takes two bytes a character, in the event and wherever it was read from.</summary>
    [Fact]
    public async Task A_large_event_weighs_what_it_takes_whether_it_was_written_or_read()
    {
        const int Characters = 50_000;
        var written = (await Here().Handle(door, new LabelDoor(new string('a', Characters)), default)).Written.Single();
        var read = (await (await There().Load(door, default)).Events(default)).Single();
        Assert.InRange(written.Weight.Bytes, 2 * Characters, 4 * Characters);
        Assert.InRange(read.Weight.Bytes, 2 * Characters, 4 * Characters);
        Assert.Equal(written, read);
    }

    /// <summary>What is remembered is the state and not what led there, so a long stream is as light as a short one.</summary>
    [Fact]
    public async Task What_is_remembered_of_a_stream_weighs_what_its_state_takes_however_long_it_is()
    {
        const int Characters = 50_000;
        await using var small = Database.Open("main", test.ApiString, test.DaemonString, remembered: 100 * Characters);
        for (var i = 0; i < 30; i++) await Node(small, tenant).Handle(door, new LabelDoor(new string((char)('a' + i % 26), Characters)), default);
        Assert.InRange(small.Remembered.Bytes, 2 * Characters, 6 * Characters);
        Assert.Equal(30, (await Node(small, tenant).Load(door, default)).Version);

        // As many as would have been thousands of other streams, at most what this node was told.
        for (var i = 0; i < 120; i++)
        {
            var labelled = new Id<Door>(Guid.CreateVersion7());
            for (var use = 0; use < 2; use++) await Node(small, tenant).Handle(labelled, new LabelDoor(new string('a', Characters)), default);
        }
        Assert.InRange(small.Remembered.Bytes, 50 * Characters, 100 * Characters);
        await using var forgetful = Database.Open("main", test.ApiString, test.DaemonString, remembered: 0);
        await Node(forgetful, tenant).Handle(door, new OpenDoor(), default);
        Assert.Equal(0, forgetful.Remembered.Bytes);
    }

    private async Task<long> RoundTrips(Func<Task> act)
    {
        // Once before, so that connections stand and statements are prepared.
        await act();
        var before = proxy.RoundTrips;
        await act();
        return proxy.RoundTrips - before;
    }
}
