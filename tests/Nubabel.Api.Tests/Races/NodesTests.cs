using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Projections;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Races;

/// <summary>Nodes share the projections out by leases, and a client that writes at one reads its write at the other.</summary>
[Collection(Alone.Name)]
public sealed class NodesTests
{
    [Fact]
    public async Task A_node_that_stops_hands_its_projections_to_the_other_and_lists_go_on()
    {
        await using var database = await TestDatabase.New();
        await using var b = await Stopping(database);
        var acme = await b.SignUp();
        await EveryProjectionHasOneOwner(b, database);

        var reply = await Reply.To(acme.Client, "POST", "/api/devices", new { name = "phone", type = "mobile" });
        var took = await Burst.Until("the list goes on", TimeSpan.FromSeconds(10), async () =>
            (await Reply.To(acme.Client, "GET", "/api/devices")).Json.GetProperty("items").EnumerateArray().Any(d => d.GetProperty("id").GetString() == reply.Text("id")));
        Assert.True(took < TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task Operators_see_the_nodes_and_that_the_projections_are_shared_out_evenly()
    {
        await using var database = await TestDatabase.New();
        await using var a = await TestApi.Start(database);
        using var platform = await a.Operator();
        await using (await TestApi.Start(database))
        {
            await Burst.Until("both have their share", TimeSpan.FromSeconds(15), async () =>
            {
                var owns = (await Shown(platform)).Where(n => n.GetProperty("alive").GetBoolean()).Select(n => n.GetProperty("owns").GetArrayLength()).ToList();
                return owns.Count == 2 && owns.Sum() == Cluster.Leases && owns.Max() - owns.Min() <= 1;
            });
        }
        // One that stops in order is off the list, and the other has all.
        await Burst.Until("the other has all", TimeSpan.FromSeconds(10), async () => (await Shown(platform)) is [var left] && left.GetProperty("owns").GetArrayLength() == Cluster.Leases);
    }

    private static async Task<List<JsonElement>> Shown(HttpClient platform)
    {
        var reply = await Reply.To(platform, "GET", "/api/admin/nodes");
        Assert.Equal(200, reply.Status);
        return [.. reply.Json.GetProperty("items").EnumerateArray()];
    }

    /// <summary>A second node, after the first one has run everything and stopped.</summary>
    private static async Task<TestApi> Stopping(TestDatabase database)
    {
        await using var a = await TestApi.Start(database);
        var b = await TestApi.Start(database);
        await EveryProjectionHasOneOwner(a, database);
        return b;
    }

    private static Task<TimeSpan> EveryProjectionHasOneOwner(TestApi node, TestDatabase database) =>
        Burst.Until("every projection has one owner", TimeSpan.FromSeconds(10), async () =>
        {
            var status = await node.Services.GetRequiredService<ProjectionDaemon>().Status(default);
            var locks = await database.Scalar<long>($"""
                select count(*) from pg_locks l join pg_stat_activity a on a.pid = l.pid
                 where l.locktype = 'advisory' and l.mode = 'ExclusiveLock' and l.granted and a.datname = '{database.Name}' and a.application_name like 'nubabel %'
                """);
            return status.Projections.All(p => p.State == ProjectionState.Running) && locks == status.Projections.Count;
        });
}

/// <summary>Reading one's own writes by position.</summary>
[Collection(TwoNodes.Name)]
public sealed class PositionTests(TwoNodes nodes)
{
    [Fact]
    public async Task A_read_at_one_node_waits_for_a_write_at_the_other()
    {
        var clients = nodes.Clients(await nodes.A.SignUp());
        for (var i = 0; i < 20; i++)
        {
            var written = await Reply.To(clients[i % 2], "POST", "/api/devices", new { name = $"phone {i}", type = "mobile" });
            var list = await Reply.Seen(clients[(i + 1) % 2], "/api/devices", written.Position);
            Assert.Equal(i + 1, list.Json.GetProperty("items").GetArrayLength());
        }
    }

    [Theory]
    [InlineData("/api/devices")]
    [InlineData("/api/sessions")]
    [InlineData("/api/audit-logs")]
    [InlineData("/api/user")]
    [InlineData("/api/organization")]
    public async Task A_position_of_the_future_is_not_waited_for_longer_than_two_seconds_and_what_is_none_is_refused(string path)
    {
        var acme = await nodes.A.SignUp();
        const string Future = "main-00000000ffffffff";
        var started = TimeProvider.System.GetTimestamp();
        var future = await Reply.To(acme.Client, "GET", path, minPosition: Future);
        Assert.Equal((503, "projection.lagging"), (future.Status, future.Code));
        Assert.InRange(TimeProvider.System.GetElapsedTime(started).TotalSeconds, 0, 6);
        Assert.Equal(Future, future.Text("want"));
        Assert.Matches("^main-[0-9a-f]{16}$", future.Text("have"));
        Assert.NotNull(future.RetryAfter);
        foreach (var none in (string[])["1", "main-", "main-00000000FFFFFFFF", "main-0000000000000001x", "main--000000000000001", "other-0000000000000001"])
            Assert.Equal((400, "position.invalid"), (await Reply.To(acme.Client, "GET", path, minPosition: none)) is var r ? (r.Status, r.Code) : default);
        Assert.Equal(200, (await Reply.To(acme.Client, "GET", path, minPosition: "main-0000000000000001")).Status);
    }

    [Fact]
    public async Task A_read_that_an_open_transaction_holds_back_says_how_far_it_is_and_how_far_it_should_be()
    {
        var acme = await nodes.A.SignUp();
        await using var held = await Gap.Open(nodes.Database);
        var written = await Reply.To(acme.Client, "POST", "/api/devices", new { name = "phone", type = "mobile" });
        var behind = await Reply.To(nodes.B.As(acme.AccessToken), "GET", "/api/devices", minPosition: written.Position);
        Assert.Equal((503, "projection.lagging", written.Position), (behind.Status, behind.Code, behind.Text("want")));
        Assert.True(string.CompareOrdinal(behind.Text("have"), written.Position) < 0);
        Assert.Equal(200, (await Reply.To(acme.Client, "GET", written.Location!, minPosition: written.Position)).Status);
    }
}
