using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Attempts;
using Nubabel.Api.Host;
using Nubabel.Api.Tests.Privacy;
using Nubabel.Api.Tests.Races;
using Nubabel.Api.Tests.Rates;
using Nubabel.Api.Tests.Slices;
using Nubabel.Domain.Users;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Attempts;

/// <summary>What callers were refused stands in the audit trail, and a flood of it does not flood the log.</summary>
public sealed class RefusedAttemptsTests
{
    [Fact]
    public async Task A_denied_permission_is_in_the_trail_with_who_and_from_where()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var viewer = await acme.Colleague(Role.Viewer);
        viewer.Client.DefaultRequestHeaders.TryAddWithoutValidation("User-Agent", "prober/1.0");
        var id = Guid.CreateVersion7().ToString();
        await viewer.Client.PutAsJsonAsync($"/api/devices/{id}/name", new { name = "mine" }).Refused(403, "permission.denied");

        var entry = Assert.Single(await acme.Trail("?outcome=denied"));
        Assert.Equal(
            ($"user:{viewer.User}", "attempt.denied", $"attempt-user-{viewer.User}", "denied", "devices:write", "127.0.0.1", "prober/1.0"),
            (entry.Text("actor"), entry.Text("action"), entry.Text("object"), entry.Text("outcome"), entry.Text("reason"), entry.Text("ip"), entry.Text("userAgent")));
        var after = entry.GetProperty("after");
        Assert.Equal(("PUT /api/devices/{id}/name", "devices:write", id, 1), (after.Text("operation"), after.Text("required"), after.Text("object"), after.GetProperty("count").GetInt64()));
        Assert.False(entry.TryGetProperty("before", out var before) && before.ValueKind != JsonValueKind.Null);
        // A read that is denied is told as well, and the viewer finds it, and no more, in the own trail.
        await viewer.Client.GetAsync("/api/audit-logs?actor=system:test").Refused(403, "permission.denied");
        Assert.Equal(["audit:read", "devices:write"], (await viewer.Trail("?outcome=denied")).Select(e => e.Text("reason")));
    }

    [Fact]
    public async Task A_refused_command_is_in_the_trail_and_a_bad_one_is_not()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var path = await Revoked(acme);
        await acme.Client.PutAsJsonAsync(path + "/name", new { name = "later" }).Refused(409, "device.revoked");
        await acme.Client.PutAsJsonAsync(path + "/name", new { name = "" }).Refused(422, "device.name_invalid");
        await acme.Client.PutAsJsonAsync(path + "/name", new { name = 7 }).Refused(400, "json.wrong_type");
        await acme.Client.GetAsync($"/api/devices/{Guid.CreateVersion7()}").Refused(404, "device.missing");
        using var late = new HttpRequestMessage(HttpMethod.Put, path + "/revocation") { Content = JsonContent.Create(new { reason = "lost" }), Headers = { { "If-Match", "\"9\"" } } };
        await acme.Client.SendAsync(late).Refused(412, "resource.version_mismatch");
        await acme.Client.DeleteAsync($"/api/devices/{Guid.CreateVersion7()}").Refused(404, "device.missing");

        var entries = await acme.Trail("?outcome=refused");
        Assert.Equal([("DELETE /api/devices/{id}", "device.missing"), ("PUT /api/devices/{id}/name", "device.revoked")], entries.Select(e => (e.GetProperty("after").Text("operation"), e.Text("reason"))));
        Assert.All(entries, e => Assert.Equal(("refused", "attempt.refused"), (e.Text("outcome"), e.Text("action"))));
        Assert.Equal(path.Split('/')[^1], entries[1].GetProperty("after").Text("object"));
        Assert.DoesNotContain(await acme.Trail("?outcome=succeeded"), e => e.Text("action").StartsWith("attempt.", StringComparison.Ordinal));
        Assert.Equal(["attempt.refused"], (await acme.Trail($"?outcome=refused&action=attempt.refused&object=attempt-user-{acme.User}&limit=1")).Select(e => e.Text("action")));
        await acme.Client.GetAsync("/api/audit-logs?outcome=lost").Refused(400, "query.invalid");
    }

    [Fact]
    public async Task Another_organization_sees_none_of_it()
    {
        var api = await TestApi.Shared;
        var (acme, other) = (await api.SignUp(), await api.SignUp());
        await acme.Client.GetAsync("/admin/feature-flags").Refused(403, "permission.denied");
        await acme.Client.DeleteAsync($"/api/devices/{Guid.CreateVersion7()}").Refused(404, "device.missing");
        Assert.Equal(["platform:flags-read"], (await acme.Trail("?outcome=denied")).Select(e => e.Text("reason")));
        Assert.Empty(await other.Trail("?outcome=denied"));
        Assert.Empty(await other.Trail("?outcome=refused"));
    }

    [Fact]
    public async Task An_operators_refusal_is_the_platforms()
    {
        var api = await TestApi.Shared;
        using var platform = await api.Operator();
        var key = $"none-{Guid.NewGuid():N}";
        await platform.DeleteAsync($"/admin/feature-flags/{key}").Refused(404, "flag.missing");
        await platform.GetAsync("/api/devices").Refused(403, "permission.denied");
        var claims = JsonElement.Parse(System.Buffers.Text.Base64Url.DecodeFromChars(platform.DefaultRequestHeaders.Authorization!.Parameter!.Split('.')[1]));
        Assert.Equal(["attempt_denied devices:read GET /api/devices", "attempt_refused flag.missing DELETE /admin/feature-flags/{key}"], await api.Database.Scalar<string[]>($"""
            select array_agg(concat_ws(' ', type, data->>'required', data->>'code', data->>'operation') order by type) from events.mt_events
             where tenant_id = '*DEFAULT*' and stream_id = 'attempt-operator-{claims.Text("sub")}'
            """));
        // The route stands there, not what was written into the path.
        Assert.Equal(0L, await api.Database.Scalar<long>($"select count(*) from events.mt_events where data::text like '%{key}%'"));
    }

    [Fact]
    public async Task A_flood_is_a_handful_of_events_whose_counts_add_up()
    {
        await using var database = await TestDatabase.New();
        var time = new MovableTime();
        string tenant, user;
        await using (var api = await TestApi.Start(database, time: time))
        {
            var acme = await api.SignUp();
            (tenant, user) = (acme.Id, acme.User);
            var path = await Revoked(acme);
            await Flood(acme, path, 300);
            Assert.Equal((1L, 1L), await Recorded(database, tenant));
            // The minute ends; the sum is written without anybody asking.
            time.Move(RefusedAttempts.Window);
            await Burst.Until("the sum is written", TimeSpan.FromSeconds(15), async () => await Recorded(database, tenant) == (2, 300));
            await Flood(acme, path, 200);
            Assert.Equal((3L, 301L), await Recorded(database, tenant));
            var minutes = api.Services.GetRequiredService<RefusedAttempts>();
            Assert.Equal(0, minutes.Failed);
        }
        // What a node had counted when it stopped is written.
        Assert.Equal((4L, 500L), await Recorded(database, tenant));
        // The sums are under the actor's name and sealed as well.
        Assert.Equal(4L, await database.Scalar<long>($"select count(*) from events.mt_events where type = 'attempt_refused' and user_name = 'user:{user}' and headers->'ip'->>'s' = 'user-{user}'"));
        Assert.Equal([], Traces.Of("flood-agent", await Traces.Rows(database)));
        Assert.Equal([], Traces.Of("127.0.0.1", await Traces.Rows(database)));
    }

    [Fact]
    public async Task More_different_refusals_than_are_told_become_one_number()
    {
        await using var database = await TestDatabase.New();
        string tenant;
        int asked;
        // The clock stands: all of it is in one minute, however long it takes.
        await using (var api = await TestApi.Start(database, time: new StillTime()))
        {
            var acme = await api.SignUp();
            tenant = acme.Id;
            var viewer = await acme.Colleague(Role.Viewer);
            // Every operation that a viewer may not, three times.
            var operations = Tenancy.Endpoints.Closed(api).Where(e => !Permissions.Of("viewer").Contains(e.Access.Permission!)).Select(e => e.Name.Split(' ')).ToArray();
            Assert.True(operations.Length > AttemptMinute.MostDifferent, $"{operations.Length} operations are too few for this test.");
            asked = 3 * operations.Length;
            for (var round = 0; round < 3; round++)
            {
                foreach (var operation in operations)
                {
                    using var request = new HttpRequestMessage(new HttpMethod(operation[0]), operation[1].Replace('{', 'x').Replace('}', 'x'));
                    await viewer.Client.SendAsync(request).Refused(403, "permission.denied");
                }
            }
            Assert.Equal(AttemptMinute.MostDifferent, await database.Scalar<long>($"select count(*) from events.mt_events where tenant_id = '{tenant}' and type like 'attempt%'"));
        }
        // The first of each, the rest of each, and one number for what was beyond them.
        Assert.Equal(2 * AttemptMinute.MostDifferent + 1, await database.Scalar<long>($"select count(*) from events.mt_events where tenant_id = '{tenant}' and type like 'attempt%'"));
        Assert.Equal(asked, await database.Scalar<long>($"select sum((data->>'count')::bigint)::bigint from events.mt_events where tenant_id = '{tenant}' and type like 'attempt%'"));
        Assert.Equal(asked - 3 * AttemptMinute.MostDifferent, await database.Scalar<long>($"select (data->>'count')::bigint from events.mt_events where tenant_id = '{tenant}' and type = 'attempt_overflowed'"));
    }

    /// <summary>Ten thousand events that nobody could read: whoever loaded the stream would fail.</summary>
    [Fact]
    public async Task A_long_stream_is_written_to_without_being_read()
    {
        await using var database = await TestDatabase.New();
        await using var api = await TestApi.Start(database, settings => settings["Daemon:Enabled"] = "false");
        var acme = await api.SignUp();
        await database.Run($"insert into events.mt_streams (tenant_id, id, type, version) values ('{acme.Id}', 'attempt-user-{acme.User}', 'attempt', 10000)");
        await database.Run($$"""
            insert into events.mt_events (seq_id, id, stream_id, version, data, type, tenant_id)
            select nextval('events.mt_events_sequence'), gen_random_uuid(), 'attempt-user-{{acme.User}}', n, '{"count":"nonsense"}', 'attempt_refused', '{{acme.Id}}' from generate_series(1, 10000) n
            """);
        await acme.Client.DeleteAsync($"/api/devices/{Guid.CreateVersion7()}").Refused(404, "device.missing");
        Assert.Equal(10_001L, await database.Scalar<long>($"select version from events.mt_streams where id = 'attempt-user-{acme.User}'"));
        Assert.Equal(0, api.Services.GetRequiredService<RefusedAttempts>().Failed);
    }

    /// <summary>The record is refused, here by an archived stream: the answer is the same, and what could not be told is counted and told when it can be.</summary>
    [Fact]
    public async Task A_record_that_fails_changes_no_answer_and_is_made_up_for()
    {
        await using var database = await TestDatabase.New();
        var time = new MovableTime();
        await using var api = await TestApi.Start(database, time: time);
        var acme = await api.SignUp();
        await database.Run($"insert into events.mt_streams (tenant_id, id, type, version, is_archived) values ('{acme.Id}', 'attempt-user-{acme.User}', 'attempt', 0, true)");
        for (var i = 0; i < 3; i++) await acme.Client.DeleteAsync($"/api/devices/{Guid.CreateVersion7()}").Refused(404, "device.missing");
        Assert.Equal(1, api.Services.GetRequiredService<RefusedAttempts>().Failed);
        await database.Run($"update events.mt_streams set is_archived = false where id = 'attempt-user-{acme.User}'");
        time.Move(RefusedAttempts.Window);
        await Burst.Until("they are written", TimeSpan.FromSeconds(15), async () => await Recorded(database, acme.Id) == (1, 3));
    }

    private static async Task Flood(TestTenant acme, string path, int times)
    {
        using var client = acme.Api.As(acme.AccessToken);
        client.DefaultRequestHeaders.TryAddWithoutValidation("User-Agent", "flood-agent/1.0");
        await Task.WhenAll(Enumerable.Range(0, 10).Select(async _ =>
        {
            for (var i = 0; i < times / 10; i++) await client.PutAsJsonAsync(path + "/name", new { name = "later" }).Refused(409, "device.revoked");
        }));
    }

    private static async Task<(long Events, long Attempts)> Recorded(TestDatabase database, string tenant) =>
    (
        await database.Scalar<long>($"select count(*) from events.mt_events where tenant_id = '{tenant}' and type = 'attempt_refused'"),
        await database.Scalar<long>($"select coalesce(sum((data->>'count')::bigint), 0)::bigint from events.mt_events where tenant_id = '{tenant}' and type = 'attempt_refused'")
    );

    private static async Task<string> Revoked(TestTenant acme)
    {
        using var created = await acme.Client.PostAsJsonAsync("/api/devices", new { name = "phone", type = "mobile" });
        await acme.Client.PutAsJsonAsync(created.Headers.Location + "/revocation", new { reason = "lost" }).Json();
        return created.Headers.Location!.ToString();
    }
}
