using System.Text.Json;

namespace Nubabel.Store.Tests.Messages;

/// <summary>Facts that become messages.</summary>
public sealed class ReactionTests
{
    /// <summary>Says what a raise is; thirteen is its poison.</summary>
    private sealed class Announce : IReaction
    {
        public static string Name => "announce";
        public static IReadOnlyList<string> Types { get; } = ["tally_raised"];

        public static IEnumerable<Message> React(Recorded e)
        {
            if (e.Data is not TallyRaised raised) yield break;
            if (raised.By == 13) throw new InvalidOperationException("thirteen");
            // PostgreSQL takes no such character in jsonb.
            yield return new Message(new Note(raised.By == 14 ? "\0" : "raised", raised.By)) { Key = e.Stream };
            if (raised.By == 2) yield return new Message(new Note("twice", raised.By));
        }
    }

    private static readonly QueueOptions Queue = QueueOptions.Fast("reactions");

    private static DaemonNode Node(EngineDatabase database, string name = "one") =>
        DaemonNode.On(database, name, projections: Tallies.Projections().With(Reaction.Of<Announce>(new Outbox(MessageNode.TypesOf(Queue)))));

    private static async Task<DaemonNode> Started(EngineDatabase database, string name = "one")
    {
        await ReadTables.Ensure(database.Owner, Tallies.Projections(), EngineDatabase.ApiLogin, EngineDatabase.DaemonLogin);
        var node = Node(database, name);
        node.Daemon.Start();
        return node;
    }

    private static async Task<string> Sent(EngineDatabase database) =>
        await database.Scalar<string>("select string_agg(concat(body ->> 'text', ' ', body ->> 'number'), ', ' order by seq) from nubabel.messages") ?? "";

    [Fact]
    public async Task Each_event_becomes_its_messages_once_though_the_daemon_starts_again_and_again()
    {
        await using var database = await EngineDatabase.Create();
        var stream = TallyLog.NewStream();
        long last = 0;
        for (var i = 0; i < 3; i++)
        {
            // Two at once, and one that ends while it is at work.
            await using var one = await Started(database);
            await using var two = await Started(database, "two");
            if (i == 0)
            {
                await one.Reach(await one.Log.Append(stream, new TallyOpened("t")), "announce");
                Assert.Equal("", await Sent(database));
            }
            for (var n = 1; n <= 4; n++) last = await one.Log.Append(stream, new TallyRaised(i * 4 + n));
        }
        await using var end = await Started(database);
        await end.Reach(last, "announce");
        Assert.Equal(string.Join(", ", Enumerable.Range(1, 12).SelectMany(n => n == 2 ? new[] { "raised 2", "twice 2" } : [$"raised {n}"])), await Sent(database));
    }

    [Fact]
    public async Task A_new_reaction_begins_with_what_comes_now_and_a_rebuild_sends_nothing()
    {
        await using var database = await EngineDatabase.Create();
        var stream = TallyLog.NewStream();
        await using (var before = await DaemonNode.Started(database))
            await before.Reach(await before.Log.Append(stream, new TallyOpened("t"), new TallyRaised(1), new TallyRaised(2)));
        await using (var node = await Started(database))
        {
            await MessageNode.Until(async () => await database.Scalar<bool>("select exists (select from events.mt_event_progression where name = 'announce:All')"), () => "it has not begun");
            var message = await node.Log.Append(stream, new TallyRaised(3));
            await node.Reach(message, "announce");
            Assert.Equal("raised 3", await Sent(database));
            var envelope = await database.Scalar<string>("select concat_ws(' ', tenant_id, key, lane, causation_id) from nubabel.messages");
            Assert.Equal($"{TallyLog.Tenant} {stream} k:{stream} {await database.Scalar<Guid>($"select id from events.mt_events where seq_id = {message}")}", envelope);
        }
        await Rebuild.Run(database.Daemon, database.DaemonConnectionString, Tallies.Projections(), "tallies", _ => { }, default);
        await Assert.ThrowsAsync<RebuildRefused>(() => Rebuild.Run(database.Daemon, database.DaemonConnectionString, Node(database).Projections, "announce", _ => { }, default));
        Assert.Equal("raised 3", await Sent(database));
    }

    [Theory]
    [InlineData(13)]
    [InlineData(14)]
    public async Task A_reaction_that_fails_stops_before_the_event_and_its_operator_skips_it(int poison)
    {
        await using var database = await EngineDatabase.Create();
        var stream = TallyLog.NewStream();
        await using var node = await Started(database);
        await node.Reach(await node.Log.Append(stream, new TallyOpened("t")), "announce");
        await node.Log.Append(stream, new TallyRaised(1));
        var bad = await node.Log.Append(stream, new TallyRaised(poison));
        var last = await node.Log.Append(stream, new TallyRaised(3));
        var stopped = await node.Until("announce", s => s.State == ProjectionState.Stopped);
        Assert.Equal(bad - 1, stopped.Position);
        Assert.Equal("raised 1", await Sent(database));

        await node.Log.Order("announce", "projection_event_skipped", JsonSerializer.Serialize(new { version = 1, tenant = TallyLog.Tenant, key = "*", position = bad, reason = "test" }, JsonSerializerOptions.Web));
        await node.Reach(last, "announce");
        Assert.Equal("raised 1, raised 3", await Sent(database));
    }
}
