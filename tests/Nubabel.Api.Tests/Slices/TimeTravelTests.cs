using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Host;
using Nubabel.Api.Tests.Races;
using Nubabel.Domain.Users;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Slices;

public sealed class TimeTravelTests
{
    [Fact]
    public async Task A_device_is_shown_as_it_was_at_each_of_its_positions_and_times()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var made = await Reply.To(acme.Client, "POST", "/api/devices", new { name = "phone", type = "mobile" });
        var renamed = await Reply.To(acme.Client, "PUT", made.Location + "/name", new { name = "pocket" });
        var revoked = await Reply.To(acme.Client, "PUT", made.Location + "/revocation", new { reason = "lost" });
        Reply[] each = [made, renamed, revoked];
        var times = await Times(acme, $"device-{made.Text("id")}");
        for (var i = 0; i < each.Length; i++)
        {
            foreach (var at in new[] { each[i].Position!, Number(each[i].Position!), times[i] })
            {
                var then = await At(acme.Client, made.Location!, at);
                Assert.Equal((200, each[i].Body, each[i].ETag), (then.Status, then.Body, then.ETag));
            }
        }
        // A microsecond before an event is the state that it found, in any offset that says so.
        var before = DateTimeOffset.Parse(times[1], CultureInfo.InvariantCulture).AddMicroseconds(-1).ToOffset(TimeSpan.FromHours(2));
        Assert.Equal("phone", (await At(acme.Client, made.Location!, before.ToString("yyyy-MM-dd'T'HH:mm:ss.FFFFFFFK", CultureInfo.InvariantCulture))).Text("name"));
        Assert.Equal(304, (await Reply.To(acme.Client, "GET", $"{made.Location}?at={renamed.Position}", ifNoneMatch: renamed.ETag)).Status);
    }

    [Fact]
    public async Task What_lies_ahead_is_shown_as_it_is_now()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var made = await Reply.To(acme.Client, "POST", "/api/devices", new { name = "phone", type = "mobile" });
        foreach (var at in new[] { "2999-01-01T00:00:00Z", "main-7fffffffffffffff", "9223372036854775807" })
            Assert.Equal((200, made.Body, made.ETag), await At(acme.Client, made.Location!, at) is var now ? (now.Status, now.Body, now.ETag) : default);
    }

    [Fact]
    public async Task Before_its_first_event_a_resource_was_not_there_yet()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var made = await Reply.To(acme.Client, "POST", "/api/devices", new { name = "phone", type = "mobile" });
        foreach (var at in new[] { "2001-01-01T00:00:00Z", "0", "main-0000000000000000" })
            Assert.Equal((404, "resource.not_yet"), await At(acme.Client, made.Location!, at) is var then ? (then.Status, then.Code) : default);
        Assert.Equal((404, "resource.not_yet"), await At(acme.Client, "/api/organization", "2001-01-01T00:00:00Z") is var none ? (none.Status, none.Code) : default);
        Assert.Equal((404, "device.missing"), await At(acme.Client, $"/api/devices/{Guid.CreateVersion7()}", "2001-01-01T00:00:00Z") is var unknown ? (unknown.Status, unknown.Code) : default);
    }

    [Theory]
    [InlineData("yesterday")]
    [InlineData("")]
    [InlineData("-1")]
    [InlineData("+1")]
    [InlineData("2026-01-31")]
    [InlineData("2026-01-31T12:00:00")]
    [InlineData("2026-02-31T12:00:00Z")]
    [InlineData("other-0000000000000001")]
    [InlineData("main-1")]
    [InlineData("9223372036854775808")]
    [InlineData("1%00")]
    public async Task What_is_neither_a_time_nor_a_position_is_refused_by_the_parameters_name(string at)
    {
        var acme = await (await TestApi.Shared).SignUp();
        var refused = await Reply.To(acme.Client, "GET", $"/api/organization?at={at}");
        Assert.Equal((400, "query.invalid", "at"), (refused.Status, refused.Code, refused.Json.GetProperty("errors")[0].GetProperty("field").GetString()));
    }

    [Fact]
    public async Task It_stands_only_once_and_not_where_there_are_lists()
    {
        var acme = await (await TestApi.Shared).SignUp();
        Assert.Equal("query.invalid", (await Reply.To(acme.Client, "GET", "/api/organization?at=1&at=2")).Code);
        Assert.Equal("query.unknown", (await Reply.To(acme.Client, "GET", "/api/devices?at=1")).Code);
    }

    [Fact]
    public async Task Another_organizations_past_and_another_users_are_as_unknown_as_their_present()
    {
        var api = await TestApi.Shared;
        var (acme, other) = (await api.SignUp(), await api.SignUp());
        var colleague = await acme.Colleague(Role.Admin);
        var made = await Reply.To(acme.Client, "POST", "/api/devices", new { name = "phone", type = "mobile" });
        var invitation = await Reply.To(acme.Client, "POST", "/api/invitations", new { email = "bob@example.org", role = "member" });
        foreach (var at in new[] { made.Position!, invitation.Position!, "2999-01-01T00:00:00Z", "2001-01-01T00:00:00Z" })
        {
            Assert.Equal("device.missing", (await At(other.Client, made.Location!, at)).Code);
            Assert.Equal("device.missing", (await At(colleague.Client, made.Location!, at)).Code);
            Assert.Equal("invitation.missing", (await At(other.Client, invitation.Location!, at)).Code);
            Assert.Equal("user.missing", (await At(other.Client, $"/api/members/{acme.User}", at)).Code);
        }
    }

    [Fact]
    public async Task What_is_gone_is_shown_as_it_was_to_those_who_read_the_audit_trail_and_to_nobody_else()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var member = await acme.Colleague();
        foreach (var (who, sees) in new[] { (acme, true), (member, false) })
        {
            var made = await Reply.To(who.Client, "POST", "/api/devices", new { name = $"phone {sees}", type = "mobile" });
            Assert.Equal(200, (await At(who.Client, made.Location!, made.Position!)).Status);
            var gone = await Reply.To(who.Client, "DELETE", made.Location!);
            var then = await At(who.Client, made.Location!, made.Position!);
            Assert.Equal(sees ? (200, made.Body) : (404, then.Body), (then.Status, then.Body));
            if (!sees) Assert.Equal("device.missing", then.Code);
            // At the position of its deletion it is as gone as it is now.
            Assert.Equal((404, "device.missing"), await At(who.Client, made.Location!, gone.Position!) is var after ? (after.Status, after.Code) : default);
        }
    }

    [Fact]
    public async Task Operators_see_organizations_and_flags_as_they_were()
    {
        var api = await TestApi.Shared;
        var (acme, root) = (await api.SignUp(), await api.Operator());
        var path = $"/api/admin/tenants/{acme.Id}";
        var suspended = await Reply.To(root, "PUT", path + "/suspension", new { reason = "unpaid" });
        await Reply.To(root, "DELETE", path + "/suspension");
        var closing = await Reply.To(root, "PUT", path + "/closure", new { closesAt = "2998-12-31T00:00:00Z" });
        Assert.Equal("suspended", (await At(root, path, suspended.Position!)).Text("status"));
        // What a closure's time has brought about is shown by the time that is asked for and not by that of the question; what lies ahead is no more than now.
        Assert.Equal("active", (await At(root, path, "2999-01-01T00:00:00Z")).Text("status"));
        Assert.Equal(closing.ETag, (await At(root, path, closing.Position!)).ETag);

        var key = $"k{Guid.NewGuid():N}";
        var made = await Reply.To(root, "POST", "/admin/feature-flags", new { key, enabled = false });
        await Reply.To(root, "PATCH", made.Location!, new { enabled = true });
        Assert.False((await At(root, made.Location!, made.Position!)).Json.GetProperty("enabled").GetBoolean());
        Assert.Equal("resource.not_yet", (await At(root, made.Location!, "2001-01-01T00:00:00Z")).Code);
    }

    [Fact]
    public async Task A_key_that_has_run_out_is_shown_active_at_a_time_when_it_was()
    {
        await using var database = await TestDatabase.New();
        var time = new MovableTime();
        await using var api = await TestApi.Start(database, time: time);
        var acme = await api.SignUp();
        var made = await Reply.To(acme.Client, "POST", "/api/api-keys", new { name = "short", scopes = new[] { "members:read" }, expiresAt = time.GetUtcNow().AddHours(1) });
        Assert.Equal(201, made.Status);
        Assert.Equal("active", (await Reply.To(acme.Client, "GET", made.Location!)).Text("status"));
        time.Move(TimeSpan.FromHours(1));
        // By now the token of before has run out too.
        var later = (await acme.SignIn()).Client;
        Assert.Equal("expired", (await Reply.To(later, "GET", made.Location!)).Text("status"));
        Assert.Equal("active", (await At(later, made.Location!, made.Text("createdAt"))).Text("status"));
        Assert.Equal("active", (await At(later, made.Location!, made.Position!)).Text("status"));
    }

    [Fact]
    public async Task What_has_been_erased_stays_erased_in_the_past()
    {
        var api = await TestApi.Shared;
        var acme = await api.SignUp();
        var renamed = await Reply.To(acme.Client, "PATCH", "/api/user", new { name = "Grace" });
        Assert.Equal("Ada Lovelace", (await At(acme.Client, "/api/user", (await Times(acme, $"user-{acme.User}"))[0])).Text("name"));
        await api.Database.Run($"update nubabel.subject_keys set wrapped = null, destroyed = now() where tenant_id = '{acme.Id}' and subject = 'user-{acme.User}'");
        // A process that has never held the key.
        await using var other = await TestApi.Start(api.Database, settings => settings["Daemon:Enabled"] = "false");
        using var client = other.As(acme.AccessToken);
        foreach (var at in new[] { (await Times(acme, $"user-{acme.User}"))[0], renamed.Position! })
            Assert.Equal(JsonValueKind.Null, (await At(client, "/api/user", at)).Json.GetProperty("name").ValueKind);
    }

    [Fact]
    public async Task Every_single_resource_of_a_stream_takes_it()
    {
        var endpoints = (await TestApi.Shared).Services.GetServices<EndpointDataSource>().SelectMany(s => s.Endpoints).OfType<RouteEndpoint>();
        var travelled = endpoints.Where(e => e.Metadata.OfType<AtMetadata>().Any()).Select(e => e.RoutePattern.RawText!.TrimEnd('/')).Order(StringComparer.Ordinal);
        Assert.Equal(
            [
                "/admin/feature-flags/{key}", "/api/admin/api-keys/{id}", "/api/admin/breaches/{id}", "/api/admin/processing-records/{id}", "/api/admin/tenants/{id}", "/api/api-keys/{id}", "/api/breaches/{id}",
                "/api/consent-purposes/{key}", "/api/consents/{userId}/{purpose}", "/api/consumers/{id}", "/api/devices/{id}", "/api/invitations/{id}",
                "/api/legal-holds/{id}", "/api/members/{userId}", "/api/organization", "/api/processing-records/{id}", "/api/user", "/api/user/consents/{purpose}", "/api/webhook-sources/{id}",
            ],
            travelled);
    }

    private static Task<Reply> At(HttpClient client, string path, string at) => Reply.To(client, "GET", $"{path}?at={Uri.EscapeDataString(at)}");

    private static string Number(string position) => long.Parse(position.AsSpan(position.LastIndexOf('-') + 1), NumberStyles.HexNumber, CultureInfo.InvariantCulture).ToString(CultureInfo.InvariantCulture);

    private static async Task<string[]> Times(TestTenant tenant, string stream) => await tenant.Api.Database.Scalar<string[]>(
        $"""select array_agg(to_char(timestamp at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') order by version) from events.mt_events where tenant_id = '{tenant.Id}' and stream_id = '{stream}'""");
}
