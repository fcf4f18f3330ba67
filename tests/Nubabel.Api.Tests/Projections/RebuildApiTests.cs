using System.Net;
using System.Net.Http.Json;
using Nubabel.Api.Tests.Races;
using Nubabel.Api.Tests.Slices;
using Nubabel.Projections.Devices;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Projections;

public sealed class RebuildApiTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task An_operator_has_a_read_model_rebuilt_while_it_is_read()
    {
        await using var database = await TestDatabase.New();
        await using var api = await TestApi.Start(database);
        var acme = await api.SignUp();
        using var op = await api.Operator();
        for (var i = 0; i < 5; i++) await acme.Client.Post("/api/devices", new { name = $"phone {i}", type = "mobile" }).Json(HttpStatusCode.Created);
        await op.GetAsync(Path("devices")).Refused(404, "projection.not_rebuilding");

        using var accepted = await op.PostAsJsonAsync(Path("devices"), new { });
        Assert.Equal((HttpStatusCode.Accepted, Path("devices")), (accepted.StatusCode, accepted.Headers.Location?.ToString()));
        Assert.Equal("running", (await accepted.Content.ReadFromJsonAsync<System.Text.Json.JsonElement>()).Text("state"));

        System.Text.Json.JsonElement status = default;
        await Burst.Until("the rebuild has ended", Bound, async () => (status = await op.GetAsync(Path("devices")).Json()).GetProperty("hasEnded").GetBoolean());
        Assert.Equal(("published", "same", DeviceList.Version), (status.Text("state"), status.Text("kind"), status.GetProperty("version").GetInt32()));
        Assert.StartsWith("operator:", status.Text("startedBy"), StringComparison.Ordinal);
        Assert.Equal(5, (await acme.Client.GetAsync("/api/devices").Json()).GetProperty("items").GetArrayLength());
        await op.DeleteAsync(Path("devices")).Refused(404, "projection.not_rebuilding");
        // The log says that there was one, and who wanted it.
        await Burst.Until("its end is recorded", Bound, async () => await database.Scalar<long>("select count(*) from events.mt_events where stream_id = 'projection-devices'") == 2);
        Assert.Equal("projection_rebuild_started, projection_rebuild_ended",
            await database.Scalar<string>("select string_agg(type, ', ' order by seq_id) from events.mt_events where stream_id = 'projection-devices'"));
        // It can be ordered again, and by a repeated request once only.
        for (var i = 0; i < 2; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, Path("devices")) { Content = JsonContent.Create(new { force = true }), Headers = { { "Idempotency-Key", "again" } } };
            using var again = await op.SendAsync(request);
            Assert.Equal(HttpStatusCode.Accepted, again.StatusCode);
            await Burst.Until("its end is recorded", Bound, async () => await database.Scalar<long>("select count(*) from events.mt_events where stream_id = 'projection-devices'") == 4);
        }
        Assert.Equal(1, await database.Scalar<long>("select count(distinct user_name) from events.mt_events where type = 'projection_rebuild_started' and user_name like 'operator:%'"));
    }

    [Fact]
    public async Task A_second_start_is_409_and_one_that_is_given_up_leaves_what_readers_see()
    {
        await using var database = await TestDatabase.New();
        await using var api = await TestApi.Start(database, settings => settings["Daemon:Enabled"] = "false");
        using var op = await api.Operator();

        using var accepted = await op.PostAsync(Path("members"), null);
        Assert.Equal(HttpStatusCode.Accepted, accepted.StatusCode);
        await op.PostAsJsonAsync(Path("members"), new { force = true }).Refused(409, "projection.rebuilding");
        using var cancelled = await op.DeleteAsync(Path("members"));

        Assert.Equal(HttpStatusCode.NoContent, cancelled.StatusCode);
        Assert.Equal("cancelled", (await op.GetAsync(Path("members")).Json()).Text("state"));
        Assert.Equal("cancelled", await database.Scalar<string>("select data->>'outcome' from events.mt_events where type = 'projection_rebuild_ended'"));
        await op.PostAsync(Path("nothing"), null).Refused(404, "projection.missing");
        var acme = await api.SignUp();
        await acme.Client.PostAsync(Path("members"), null).Refused(403, "permission.denied");
    }

    [Fact]
    public async Task While_a_new_version_is_built_its_lists_say_so_and_the_node_is_not_ready()
    {
        await using var database = await TestDatabase.New();
        // As a node finds it that knows a version which has no table yet: only another version has a checkpoint.
        await database.Run("insert into events.mt_event_progression (name, last_seq_id) values ('devices:V7:All', 0)");
        await using var api = await TestApi.Start(database, settings => settings["Daemon:Enabled"] = "false");
        var acme = await api.SignUp();

        var refused = await acme.Client.GetAsync("/api/devices").Refused(503, "projection.building");
        Assert.Equal("projection.building", refused.Text("code"));
        using var ready = await api.Client.GetAsync("/health/ready");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, ready.StatusCode);
        Assert.Contains($"devices version {DeviceList.Version} is being built", await ready.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        await acme.Client.GetAsync("/api/members").Json();

        await using var next = await TestApi.Start(database);
        await Burst.Until("it is whole", Bound, async () => (await next.Client.GetAsync("/health/ready")).StatusCode == HttpStatusCode.OK);
        Assert.Empty((await acme.Client.GetAsync("/api/devices").Json()).GetProperty("items").EnumerateArray());
        // Nobody has ordered it, and the log says of it what it says of any other.
        const string Said = "select coalesce(string_agg(format('%s %s %s', type, user_name, data->>'kind'), ';' order by seq_id), '') from events.mt_events where stream_id = 'projection-devices'";
        const string Expected = "projection_rebuild_started system:rebuilds version;projection_rebuild_ended system:rebuilds ";
        await Burst.Until("it is said", Bound, async () => await database.Scalar<string>(Said) == Expected);
        await using var third = await TestApi.Start(database);
        await Burst.Until("others have looked at it", Bound, async () => await database.Scalar<long>("select count(*) from nubabel.rebuilds where ended < clock_timestamp() - interval '4 seconds'") == 1);
        Assert.Equal(Expected, await database.Scalar<string>(Said));
    }

    [Fact]
    public async Task What_was_cut_off_between_a_rebuild_and_its_events_is_said_by_another_process()
    {
        await using var database = await TestDatabase.New();
        await database.Run("""
            insert into nubabel.rebuilds (progression, name, version, kind, state, forced, started_by, started, ended)
            values ('members:All', 'members', 1, 'same', 'cancelled', true, 'operator:0198aaaa-0000-7000-8000-000000000002', clock_timestamp() - interval '1 minute', clock_timestamp())
            """);
        await using var api = await TestApi.Start(database);
        await Burst.Until("it is said", Bound, async () => await database.Scalar<string>("select coalesce(string_agg(format('%s %s', user_name, coalesce(data->>'outcome', data->>'forced')), ';' order by seq_id), '') from events.mt_events where stream_id = 'projection-members'")
            == "operator:0198aaaa-0000-7000-8000-000000000002 true;system:rebuilds cancelled");
    }

    private static string Path(string name) => $"/api/admin/projections/{name}/rebuild";
}
