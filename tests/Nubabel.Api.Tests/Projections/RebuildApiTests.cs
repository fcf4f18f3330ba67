using System.Net;
using System.Net.Http.Json;
using Nubabel.Api.Tests.Races;
using Nubabel.Api.Tests.Slices;
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
        Assert.Equal(("published", "same", 1), (status.Text("state"), status.Text("kind"), status.GetProperty("version").GetInt32()));
        Assert.StartsWith("operator:", status.Text("startedBy"), StringComparison.Ordinal);
        Assert.Equal(5, (await acme.Client.GetAsync("/api/devices").Json()).GetProperty("items").GetArrayLength());
        await op.DeleteAsync(Path("devices")).Refused(404, "projection.not_rebuilding");
        // The log says that there was one, and who wanted it.
        await Burst.Until("its end is recorded", Bound, async () => await database.Scalar<long>("select count(*) from events.mt_events where stream_id = 'projection-devices'") == 2);
        Assert.Equal("projection_rebuild_started, projection_rebuild_ended",
            await database.Scalar<string>("select string_agg(type, ', ' order by seq_id) from events.mt_events where stream_id = 'projection-devices'"));
        // It can be ordered again.
        using var again = await op.PostAsJsonAsync(Path("devices"), new { force = true });
        Assert.Equal(HttpStatusCode.Accepted, again.StatusCode);
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
        Assert.Contains("devices version 1 is being built", await ready.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        await acme.Client.GetAsync("/api/members").Json();

        await using var next = await TestApi.Start(database);
        await Burst.Until("it is whole", Bound, async () => (await next.Client.GetAsync("/health/ready")).StatusCode == HttpStatusCode.OK);
        Assert.Empty((await acme.Client.GetAsync("/api/devices").Json()).GetProperty("items").EnumerateArray());
    }

    private static string Path(string name) => $"/api/admin/projections/{name}/rebuild";
}
