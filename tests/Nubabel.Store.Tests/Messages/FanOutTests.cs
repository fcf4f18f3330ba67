using System.Text.Json;

namespace Nubabel.Store.Tests.Messages;

/// <summary>Facts that go to whoever has a route.</summary>
public sealed class FanOutTests
{
    /// <summary>What a route wants: raises of at least so much.</summary>
    private sealed record Wish(int Least);

    /// <summary>A tally opened as <c>route 3</c> is a route to raises of at least 3; renamed, it wants others; closed, it is none. Thirteen is its poison.</summary>
    private sealed class Tell : IFanOut<Wish>
    {
        public static string Name => "tell";
        public static IReadOnlyList<string> Types { get; } = ["tally_raised"];
        public static IReadOnlyList<string> RouteTypes { get; } = ["tally_opened", "tally_renamed", "tally_closed"];

        public static Wish? Evolve(Wish? route, Recorded e) => e.Data switch
        {
            TallyOpened { Name: var name } when name.StartsWith("route ", StringComparison.Ordinal) => new Wish(int.Parse(name[6..])),
            TallyRenamed renamed when route is not null => new Wish(int.Parse(renamed.Name[6..])),
            TallyClosed => null,
            _ => route,
        };

        // Ends all of a tenant's.
        public static bool EndsAll(Recorded e) => e.Data is TallyRenamed { Name: "end" };

        public static Message? Send(string route, Wish to, Recorded e)
        {
            var by = ((TallyRaised)e.Data!).By;
            if (by == 13) throw new InvalidOperationException("thirteen");
            // PostgreSQL takes no such character in jsonb.
            return by < to.Least ? null : new Message(new Note(by == 14 ? "\0" : route, by)) { Key = route };
        }

        public static Sql? Note(IReadOnlyList<Sent<Wish>> sent) => Sql.Of($"""
            insert into nubabel.message_ids (tenant_id, queue, once, id) select {sent[0].Event.Tenant}, 'noted', u.once, u.id
              from unnest({sent.Select(s => $"{s.Route} {((TallyRaised)s.Event.Data!).By}").ToArray()}, {sent.Select(s => s.Id).ToArray()}) u (once, id)
            """);
    }

    private static readonly QueueOptions Queue = QueueOptions.Fast("reactions");

    private static ProjectionSet Projections() =>
        Tallies.Projections().With(FanOut.Of<Tell, Wish>(new Outbox(MessageNode.TypesOf(Queue)), JsonSerializerOptions.Web));

    private static async Task<DaemonNode> Started(EngineDatabase database, string name = "one")
    {
        await ReadTables.Ensure(database.Owner, Tallies.Projections(), EngineDatabase.ApiLogin, EngineDatabase.DaemonLogin);
        var node = DaemonNode.On(database, name, projections: Projections());
        node.Daemon.Start();
        return node;
    }

    private static async Task<string> Sent(EngineDatabase database, string stream) =>
        await database.Scalar<string>($"select string_agg(body ->> 'number', ' ' order by seq) from nubabel.messages where key = '{stream}'") ?? "";

    private static async Task<string> Noted(EngineDatabase database, string stream) =>
        await database.Scalar<string>($"select string_agg(split_part(i.once, ' ', 2), ' ' order by m.seq) from nubabel.message_ids i join nubabel.messages m on m.id = i.id where i.once like '{stream} %'") ?? "";

    [Fact]
    public async Task A_route_gets_what_it_wants_between_the_events_that_make_and_end_it()
    {
        await using var database = await EngineDatabase.Create();
        await using var node = await Started(database);
        var (a, b, source) = (TallyLog.NewStream(), TallyLog.NewStream(), TallyLog.NewStream());
        await node.Reach(await node.Log.Append(source, new TallyOpened("t"), new TallyRaised(1)), "tell");
        // All in one page, and each in its place in it.
        await node.Log.Append(a, new TallyOpened("route 2"));
        await node.Log.Append(source, new TallyRaised(1), new TallyRaised(2), new TallyRaised(3));
        await node.Log.Append(b, new TallyOpened("route 1"));
        await node.Log.Append(source, new TallyRaised(4));
        await node.Log.Append(a, new TallyRenamed("route 6"));
        await node.Log.Append(source, new TallyRaised(5), new TallyRaised(6));
        await node.Log.Append(b, new TallyClosed());
        await node.Log.Append(source, new TallyRaised(7));
        await node.Log.Append(a, new TallyRenamed("end"));
        await node.Reach(await node.Log.Append(source, new TallyRaised(8)), "tell");
        Assert.Equal(("2 3 4 6 7", "4 5 6"), (await Sent(database, a), await Sent(database, b)));
        Assert.Equal(("2 3 4 6 7", "4 5 6"), (await Noted(database, a), await Noted(database, b)));
        Assert.Equal(0L, await database.Scalar<long>("select count(*) from nubabel.routes"));
    }

    [Fact]
    public async Task Another_tenants_events_are_not_its()
    {
        await using var database = await EngineDatabase.Create();
        await using var node = await Started(database);
        var route = TallyLog.NewStream();
        await node.Log.Append(route, new TallyOpened("route 1"));
        await node.Reach(await node.Log.AppendAs("other", TallyLog.NewStream(), new TallyOpened("t"), new TallyRaised(5)), "tell");
        Assert.Equal("", await Sent(database, route));
    }

    [Fact]
    public async Task Each_event_is_sent_once_though_the_daemon_starts_again_and_again()
    {
        await using var database = await EngineDatabase.Create();
        var (route, source) = (TallyLog.NewStream(), TallyLog.NewStream());
        long last = 0;
        for (var i = 0; i < 3; i++)
        {
            // Two at once, and one that ends while it is at work.
            await using var one = await Started(database);
            await using var two = await Started(database, "two");
            if (i == 0) await one.Reach(await one.Log.Append(route, new TallyOpened("route 1")), "tell");
            for (var n = 1; n <= 4; n++) last = await one.Log.Append(source, new TallyRaised(20 + i * 4 + n));
        }
        await using var end = await Started(database);
        await end.Reach(last, "tell");
        Assert.Equal(string.Join(' ', Enumerable.Range(21, 12)), await Sent(database, route));
        Assert.Equal(string.Join(' ', Enumerable.Range(21, 12)), await Noted(database, route));
    }

    /// <summary>What serves requests may be there before what fans out.</summary>
    [Fact]
    public async Task A_route_that_was_made_before_the_first_start_gets_what_has_come_since()
    {
        await using var database = await EngineDatabase.Create();
        var (route, source) = (TallyLog.NewStream(), TallyLog.NewStream());
        var log = new TallyLog(database.Daemon);
        await log.Append(source, new TallyOpened("t"), new TallyRaised(1));
        await log.Append(route, new TallyOpened("route 1"));
        var last = await log.Append(source, new TallyRaised(2));
        await using var node = await Started(database);
        await node.Reach(last, "tell");
        Assert.Equal("2", await Sent(database, route));
    }

    [Fact]
    public async Task A_rebuild_sends_nothing()
    {
        await using var database = await EngineDatabase.Create();
        var (route, source) = (TallyLog.NewStream(), TallyLog.NewStream());
        await using (var node = await Started(database))
        {
            await node.Reach(await node.Log.Append(route, new TallyOpened("route 1")), "tell");
            await node.Reach(await node.Log.Append(source, new TallyOpened("t"), new TallyRaised(2)), "tell");
        }
        await Rebuild.Run(database.Daemon, database.DaemonConnectionString, Tallies.Projections(), "tallies", _ => { }, default);
        await Assert.ThrowsAsync<RebuildRefused>(() => Rebuild.Run(database.Daemon, database.DaemonConnectionString, Projections(), "tell", _ => { }, default));
        Assert.Equal("2", await Sent(database, route));
    }

    [Theory]
    [InlineData(13)]
    [InlineData(14)]
    public async Task One_that_fails_stops_before_the_event_with_the_routes_of_that_place(int poison)
    {
        await using var database = await EngineDatabase.Create();
        await using var node = await Started(database);
        var (a, b, source) = (TallyLog.NewStream(), TallyLog.NewStream(), TallyLog.NewStream());
        await node.Reach(await node.Log.Append(a, new TallyOpened("route 1")), "tell");
        var (next, bad) = (await node.Log.Append(source, new TallyRaised(2)), await node.Log.Append(source, new TallyRaised(poison)));
        await node.Log.Append(b, new TallyOpened("route 1"));
        var last = await node.Log.Append(source, new TallyRaised(3));
        await node.Until("tell", s => s.State == ProjectionState.Stopped && s.Position == bad - 1);
        Assert.True(next < bad);
        Assert.Equal(("2", ""), (await Sent(database, a), await Sent(database, b)));
        Assert.Equal(1L, await database.Scalar<long>("select count(*) from nubabel.routes"));

        await node.Log.Order("tell", "projection_event_skipped", JsonSerializer.Serialize(new { version = 1, tenant = TallyLog.Tenant, key = "*", position = bad, reason = "test" }, JsonSerializerOptions.Web));
        await node.Reach(last, "tell");
        Assert.Equal(("2 3", "3"), (await Sent(database, a), await Sent(database, b)));
    }
}
