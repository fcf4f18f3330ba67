using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Nubabel.Api.Tests.Commands;
using Nubabel.Api.Tests.Slices;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Projections;

/// <summary>What operators see of projections and do about them, over HTTP, on a server of their own.</summary>
public sealed class ParkedTests : IAsyncLifetime
{
    private const string Devices = "/api/admin/projections/devices";
    private TestDatabase database = null!;
    private TestApi api = null!;
    private HttpClient op = null!;

    public async Task InitializeAsync()
    {
        database = await TestDatabase.New();
        api = await TestApi.Start(database);
        op = await api.Operator();
    }

    public async Task DisposeAsync()
    {
        op.Dispose();
        await api.DisposeAsync();
        await database.DisposeAsync();
    }

    [Fact]
    public async Task A_pause_holds_within_a_second_on_another_node_and_readiness_names_it()
    {
        var acme = await api.SignUp();
        await using var other = await TestApi.Start(database);
        var paused = await op.PutAsJsonAsync($"{Devices}/pause", new { reason = "looked at" }).Json();
        Assert.Equal(("paused", "looked at"), (paused.Text("state"), paused.GetProperty("paused").Text("reason")));
        Assert.StartsWith("operator:", paused.GetProperty("paused").Text("by"), StringComparison.Ordinal);
        await Until(async () => (await op.GetAsync(Devices).Json()).GetProperty("owner").GetString() is not null);
        // A node looks for orders with each heartbeat: behind its second one it knows, and two of them are the second that is promised. A batch that was under way
        // may still end, and has nothing in it of what is written now.
        Assert.True(new Store.DaemonOptions().Heartbeat * 2 <= TimeSpan.FromSeconds(1));
        await Heartbeat();
        await Heartbeat();

        using var made = await acme.Client.PostAsJsonAsync("/api/devices", new { name = "phone", type = "mobile" });
        using var read = new HttpRequestMessage(HttpMethod.Get, "/api/devices") { Headers = { { "Nubabel-Min-Position", made.Position() } } };
        await acme.Client.SendAsync(read).Refused(503, "projection.lagging");
        var ready = (await api.Client.GetAsync("/health/ready").Json()).GetProperty("components").GetProperty("projections");
        Assert.Equal(("degraded", "devices is paused."), (ready.Text("status"), ready.Text("detail")));
        // Paused once more it stays as it is: who was first stands there.
        Assert.Equal("looked at", (await op.PutAsJsonAsync($"{Devices}/pause", new { reason = "again" }).Json()).GetProperty("paused").Text("reason"));

        await op.DeleteAsync($"{Devices}/pause").Json(HttpStatusCode.NoContent);
        Assert.Single(await acme.Client.Items("/api/devices", made.Position()));
        await op.DeleteAsync($"{Devices}/pause").Json(HttpStatusCode.NoContent);
    }

    [Fact]
    public async Task A_parked_device_is_listed_with_its_error_retried_and_skipped()
    {
        var acme = await api.SignUp();
        var (device, position) = await Poisoned(acme);
        var item = Assert.Single((await op.GetAsync($"{Devices}/parked").Json()).GetProperty("items").EnumerateArray());
        Assert.Equal((acme.Id, device, position, 1L, 1), (item.Text("tenant"), item.Text("key"), item.GetProperty("position").GetInt64(), item.GetProperty("events").GetInt64(), item.GetProperty("attempts").GetInt32()));
        Assert.Equal(("parked", 1L), (await op.GetAsync(Devices).Json()) switch { var s => (s.Text("state"), s.GetProperty("parkedKeys").GetInt64()) });

        var again = await op.Post($"{Devices}/parked/retry", new { tenant = acme.Id, key = device }).Json();
        Assert.Equal((1L, 2), (again.GetProperty("parkedKeys").GetInt64(), again.GetProperty("parked").GetProperty("attempts").GetInt32()));

        await op.Post($"{Devices}/parked/skip", new { tenant = acme.Id, key = device, position = position + 1, reason = "no such event" }).Refused(409, "projection.not_parked");
        var free = await op.Post($"{Devices}/parked/skip", new { tenant = acme.Id, key = device, position, reason = "a test's doing" }).Json();
        Assert.Equal(0L, free.GetProperty("parkedKeys").GetInt64());
        Assert.Equal("running", (await op.GetAsync(Devices).Json()).Text("state"));
        Assert.Equal("a test's doing", await database.Scalar<string>("select data->>'reason' from events.mt_events where type = 'projection_event_skipped'"));
        await op.Post($"{Devices}/parked/skip", new { tenant = acme.Id, key = device, position, reason = "twice" }).Refused(409, "projection.not_parked");
        await op.Post($"{Devices}/parked/retry", new { tenant = acme.Id, key = device }).Refused(409, "projection.not_parked");
    }

    [Fact]
    public async Task All_that_is_parked_is_listed_page_by_page_and_retried_at_once()
    {
        var acme = await api.SignUp();
        var keys = new List<string>();
        for (var i = 0; i < 3; i++) keys.Add((await Poisoned(acme)).Device);
        var first = await op.GetAsync($"{Devices}/parked?limit=2").Json();
        var second = await op.GetAsync($"{Devices}/parked?limit=2&cursor={Uri.EscapeDataString(first.Text("next"))}").Json();
        Assert.Equal(keys, first.GetProperty("items").EnumerateArray().Concat(second.GetProperty("items").EnumerateArray()).Select(k => k.Text("key")));
        Assert.Equal(JsonValueKind.Null, second.GetProperty("next").ValueKind);

        var failed = await NubabelCommand.Run(database, "projections", "park", "retry", "devices", "--all");
        Assert.Equal((1, true), (failed.Code, failed.Errors.Contains("devices: 3 keys are parked.", StringComparison.Ordinal)));
        var list = await NubabelCommand.Run(database, "projections", "list");
        Assert.Equal((0, ""), (list.Code, list.Errors));
        // Reactions, too, which have no table.
        Assert.Contains("\ndeliveries ", list.Output, StringComparison.Ordinal);
        Assert.Contains("\nlegal_holds ", list.Output, StringComparison.Ordinal);

        await database.Run("update events.mt_events set data = '{\"name\": \"healed\"}' where type = 'device_renamed'");
        Assert.Equal(0L, (await op.Post($"{Devices}/parked/retry", new { all = true }).Json()).GetProperty("parkedKeys").GetInt64());
        Assert.Equal(["healed", "healed", "healed"], (await acme.Client.Items("/api/devices")).Select(d => d.Text("name")));
        await op.Post($"{Devices}/parked/retry", new { all = true }).Refused(409, "projection.not_parked");
    }

    [Fact]
    public async Task What_is_asked_wrongly_is_refused()
    {
        var acme = await api.SignUp();
        await op.PutAsJsonAsync("/api/admin/projections/nothing/pause", new { }).Refused(404, "projection.missing");
        await op.GetAsync("/api/admin/projections/nothing/parked").Refused(404, "projection.missing");
        await op.Post($"{Devices}/parked/retry", new { all = true, key = "x" }).Refused(422, "projection.retry_invalid");
        await op.Post($"{Devices}/parked/retry", new { tenant = "x" }).Refused(422, "projection.retry_invalid");
        Assert.Equal("platform:projections-write", (await acme.Client.PutAsJsonAsync($"{Devices}/pause", new { }).Refused(403, "permission.denied")).Text("required"));
    }

    /// <summary>A device with an event that the list cannot read: its name is no text.</summary>
    private async Task<(string Device, long Position)> Poisoned(TestTenant acme)
    {
        var id = (await acme.Client.PostAsJsonAsync("/api/devices", new { name = $"d{Guid.NewGuid():N}", type = "mobile" }).Json(HttpStatusCode.Created)).Text("id");
        var stream = $"device-{id}";
        await database.Run($$$"""
            update events.mt_streams set version = version + 1 where tenant_id = '{{{acme.Id}}}' and id = '{{{stream}}}';
            insert into events.mt_events (seq_id, id, tenant_id, stream_id, version, type, data)
            select nextval('events.mt_events_sequence'), gen_random_uuid(), tenant_id, id, version, 'device_renamed', '{"name": {}}' from events.mt_streams where tenant_id = '{{{acme.Id}}}' and id = '{{{stream}}}'
            """);
        var position = await database.Scalar<long>($"select max(seq_id) from events.mt_events where stream_id = '{stream}'");
        await Until(() => database.Scalar<bool>($"select exists (select from nubabel.parked where seq_id = {position})"));
        return (stream, position);
    }

    /// <summary>Waits until each node has begun another heartbeat, and so has ended the one before.</summary>
    private async Task Heartbeat()
    {
        var now = await database.Scalar<string>("select clock_timestamp()::text");
        await Until(() => database.Scalar<bool>($"select count(*) = 2 and bool_and(seen > '{now}') from nubabel.nodes"));
    }

    private static async Task Until(Func<Task<bool>> condition)
    {
        var clock = System.Diagnostics.Stopwatch.StartNew();
        while (!await condition())
        {
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(20), "still not so");
            await Task.Delay(20);
        }
    }
}
