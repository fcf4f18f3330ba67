using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Npgsql;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Slices;

/// <summary>A program with a stock Marten writes into an organization, and the API shows it.</summary>
public sealed class ForeignWriterTests : IAsyncLifetime
{
    private TestApi api = null!;
    private TestTenant acme = null!;
    private NpgsqlDataSource marten = null!;
    private string device = "";

    public async Task InitializeAsync()
    {
        api = await TestApi.Shared;
        acme = await api.SignUp();
        marten = await MartenLogin.On(api.Database);
        device = (await acme.Client.PostAsJsonAsync("/api/devices", new { name = "phone", type = "mobile" }).Json(HttpStatusCode.Created)).Text("id");
    }

    public async Task DisposeAsync() => await marten.DisposeAsync();

    [Fact]
    public async Task What_it_writes_is_in_resources_lists_and_the_audit_trail()
    {
        var at = Position(await Append($"device-{device}",
            new MartenEvent("device_renamed", """{"name": "pocket", "colour": "red"}""", """{"reason": "told to", "ip": "not sealed", "user_agent": {"os": 1}, "tags": ["a"]}""", "order 7", UserName: "program:orders")));

        using var read = await acme.Client.GetAsync($"/api/devices/{device}");
        Assert.Equal(("\"2\"", "pocket"), (read.Headers.ETag!.Tag, JsonElement.Parse(await read.Content.ReadAsStringAsync()).Text("name")));
        Assert.Equal("pocket", Assert.Single(await acme.Client.Items("/api/devices", at)).Text("name"));
        var entry = (await acme.Client.Items($"/api/audit-logs?object=device-{device}", at))[0];
        Assert.Equal(("device.renamed", "program:orders", "told to", "order 7"), (entry.Text("action"), entry.Text("actor"), entry.Text("reason"), entry.Text("requestId")));
        Assert.Equal("""{"name":"phone"}""", entry.GetProperty("before").GetRawText().Replace(" ", "", StringComparison.Ordinal));
        Assert.False(entry.TryGetProperty("ip", out _) || entry.TryGetProperty("userAgent", out _));
    }

    [Fact]
    public async Task Versions_hold_both_ways()
    {
        await Append($"device-{device}", new MartenEvent("device_renamed", """{"name": "pocket"}"""));
        using var stale = new HttpRequestMessage(HttpMethod.Put, $"/api/devices/{device}/name") { Content = JsonContent.Create(new { name = "mine" }), Headers = { { "If-Match", "\"1\"" } } };
        using var refused = await acme.Client.SendAsync(stale);
        Assert.Equal((HttpStatusCode.PreconditionFailed, "\"2\""), (refused.StatusCode, refused.Headers.ETag!.Tag));

        using var renamed = await acme.Client.PutAsJsonAsync($"/api/devices/{device}/name", new { name = "mine" });
        Assert.Equal("\"3\"", renamed.Headers.ETag!.Tag);
        Assert.Equal(0, await MartenWriter.AppendAt(marten, acme.Id, $"device-{device}", 2, new MartenEvent("device_renamed", """{"name": "late"}""")));
        Assert.Equal("mine", (await acme.Client.GetAsync($"/api/devices/{device}").Json()).Text("name"));
    }

    /// <summary>Each of two writers appends as fast as it can; whoever is late is refused and goes again, and none of ours is answered with a failure.</summary>
    [Fact]
    public async Task Commands_are_decided_again_while_marten_appends_to_the_same_stream()
    {
        const int Each = 12;
        using var done = new CancellationTokenSource();
        var theirs = Task.Run(async () =>
        {
            var written = 0;
            while (written < Each)
            {
                try
                {
                    await Append($"device-{device}", new MartenEvent("device_key_changed", $$"""{"publicKey": "AAA{{written % 10}}"}"""));
                    written++;
                }
                catch (PostgresException late) when (late.SqlState is PostgresErrorCodes.UniqueViolation or PostgresErrorCodes.DeadlockDetected)
                {
                }
            }
        });
        for (var i = 0; i < Each; i++)
        {
            using var renamed = await acme.Client.PutAsJsonAsync($"/api/devices/{device}/name", new { name = $"name {i}" });
            Assert.True(renamed.IsSuccessStatusCode, await renamed.Content.ReadAsStringAsync());
        }
        await theirs;

        Assert.Equal(1 + 2 * Each, await api.Database.Scalar<long>($"select version from events.mt_streams where id = 'device-{device}'"));
        Assert.Equal(1 + 2 * Each, await api.Database.Scalar<long>($"select count(*) from events.mt_events where stream_id = 'device-{device}' and version between 1 and {1 + 2 * Each}"));
    }

    [Fact]
    public async Task A_session_that_it_revokes_has_ended_within_a_second()
    {
        var clock = Stopwatch.StartNew();
        await Append($"session-{acme.Session}", new MartenEvent("session_revoked", """{"reason": "signedOut"}"""));
        while ((await acme.Client.GetAsync("/api/devices")).StatusCode != HttpStatusCode.Unauthorized)
        {
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(5), "the session goes on");
            await Task.Delay(20);
        }
    }

    [Theory]
    [InlineData("""[1, "two"]""")]
    [InlineData("\"text\"")]
    [InlineData("""{"tokenHash": "hidden", "email": "ada@example.org"}""")]
    public async Task An_unknown_alias_is_in_the_trail_as_it_is_and_operators_see_the_count(string body)
    {
        var alias = $"invoice_{Guid.NewGuid():N}";
        await Append($"device-{device}", new MartenEvent(alias, body, "[7]"), new MartenEvent(alias, """{"name": "later"}"""));
        var at = Position(await Append($"invoice-{acme.Id}", new MartenEvent(alias, body, At: DateTimeOffset.Parse("2999-01-01T00:00:00Z", CultureInfo.InvariantCulture))));

        var entries = await acme.Client.Items("/api/audit-logs?limit=5", at);
        Assert.Equal(($"invoice.{alias[8..]}", 2999), (entries[0].Text("action"), entries[0].GetProperty("at").GetDateTimeOffset().Year));
        Assert.Equal((alias, "phone"), (entries[1].Text("action"), (await acme.Client.GetAsync($"/api/devices/{device}").Json()).Text("name")));
        Assert.DoesNotContain("hidden", JsonSerializer.Serialize(entries), StringComparison.Ordinal);

        using var platform = await api.Operator();
        var shown = (await Known(platform, alias)).GetProperty("unknown");
        Assert.True(shown.GetProperty("events").GetInt64() >= 3);
        Assert.Equal(3, shown.GetProperty("latest").EnumerateArray().Single(a => a.Text("alias") == alias).GetProperty("events").GetInt64());
    }

    [Fact]
    public async Task What_does_not_fit_parks_its_document_alone_and_stands_in_the_trail()
    {
        var other = (await acme.Client.PostAsJsonAsync("/api/devices", new { name = "laptop", type = "desktop" }).Json(HttpStatusCode.Created)).Text("id");
        await Append($"device-{device}", new MartenEvent("device_renamed", """{"name": {"first": "a"}}"""));
        var at = Position(await Append($"device-{other}", new MartenEvent("device_renamed", """{"name": "tablet"}""")));

        var names = (await acme.Client.Items("/api/devices", at)).Select(d => d.Text("name")).Order().ToArray();
        Assert.Equal(["phone", "tablet"], names);
        Assert.Equal("device.renamed", (await acme.Client.Items($"/api/audit-logs?object=device-{device}", at))[0].Text("action"));
        Assert.Equal($"device-{device}", await api.Database.Scalar<string>($"select key from nubabel.parked where tenant_id = '{acme.Id}' and name = 'devices'"));
        // Nobody can decide on a stream that cannot be read; that is the server's trouble and not the caller's.
        using var refused = await acme.Client.PutAsJsonAsync($"/api/devices/{device}/name", new { name = "again" });
        Assert.Equal(HttpStatusCode.InternalServerError, refused.StatusCode);
        await api.Database.Run($"delete from nubabel.parked where tenant_id = '{acme.Id}'");
    }

    [Fact]
    public async Task An_archived_device_is_shown_and_takes_no_command()
    {
        await MartenWriter.Archive(marten, acme.Id, $"device-{device}");
        await acme.Client.PutAsJsonAsync($"/api/devices/{device}/name", new { name = "late" }).Refused(409, "stream.archived");
        Assert.Equal("phone", (await acme.Client.GetAsync($"/api/devices/{device}").Json()).Text("name"));
    }

    private Task<long> Append(string stream, params MartenEvent[] events) => MartenWriter.Append(marten, acme.Id, stream, events);

    private static string Position(long position) => string.Create(CultureInfo.InvariantCulture, $"main-{position:x16}");

    private static async Task<JsonElement> Known(HttpClient platform, string alias)
    {
        var clock = Stopwatch.StartNew();
        while (true)
        {
            var status = await platform.GetAsync("/api/admin/projections").Json();
            if (status.GetProperty("unknown").GetProperty("latest").EnumerateArray().Any(a => a.Text("alias") == alias && a.GetProperty("events").GetInt64() == 3)) return status;
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(10), "the alias is not counted");
            await Task.Delay(50);
        }
    }
}
