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
        await Ended(acme, clock);
    }

    /// <summary>Nodes of this build still serve while those of a newer one write: which session has ended does not stand in the data.</summary>
    [Fact]
    public async Task A_session_that_is_revoked_for_a_reason_of_a_newer_build_has_ended_within_a_second()
    {
        // What is parked by it is nobody else's.
        await using var database = await TestDatabase.New();
        await using var own = await TestApi.Start(database);
        await using var newer = await MartenLogin.On(database);
        var eve = await own.SignUp();
        await eve.Client.GetAsync("/api/devices").Json();
        var clock = Stopwatch.StartNew();
        await MartenWriter.Append(newer, eve.Id, $"session-{eve.Session}", new MartenEvent("session_revoked", """{"reason": "sinceThisBuild"}"""));
        await Ended(eve, clock);
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
        // Decisions pass it over, and count it as a version.
        using var renamed = await Rename("pocket");
        Assert.Equal((HttpStatusCode.OK, "\"4\""), (renamed.StatusCode, renamed.Headers.ETag?.Tag));

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
        await api.Database.Run($"delete from nubabel.parked where tenant_id = '{acme.Id}'");
    }

    /// <summary>Nobody can decide on a stream that cannot be read; that is the server's trouble and not the caller's.</summary>
    [Theory]
    [InlineData("device_renamed", """{"name": {"first": "a"}}""", "{}")]
    [InlineData("device_renamed", "[]", "{}")]
    [InlineData("device_renamed", """{"name": "a"}""", """{"$v": "x"}""")]
    [InlineData("device_registered", """{"name": ""}""", "{}")]
    public async Task A_stream_that_cannot_be_read_is_said_to_be_that_and_what_was_answered_before_is_answered_again(string alias, string body, string headers)
    {
        var key = Guid.NewGuid().ToString();
        Assert.Equal("pocket", (await Rename("pocket", key).Json()).Text("name"));
        var position = await Append($"device-{device}", new MartenEvent(alias, body, headers));
        for (var i = 0; i < 2; i++)
        {
            using var renamed = await Rename("again");
            var problem = await Task.FromResult(renamed).Refused(503, "stream.unreadable");
            Assert.Equal(60, renamed.Headers.RetryAfter!.Delta!.Value.TotalSeconds);
            Assert.DoesNotContain(position.ToString(CultureInfo.InvariantCulture), problem.Text("detail"), StringComparison.Ordinal);
            await acme.Client.GetAsync($"/api/devices/{device}").Refused(503, "stream.unreadable");
        }
        Assert.Equal("pocket", (await Rename("pocket", key).Json()).Text("name"));
        Assert.Equal("pocket", Assert.Single(await acme.Client.Items("/api/devices", Position(position))).Text("name"));
        using var other = await acme.Client.PostAsJsonAsync("/api/devices", new { name = "laptop", type = "desktop" });
        Assert.Equal(HttpStatusCode.Created, other.StatusCode);
        await api.Database.Run($"delete from nubabel.parked where tenant_id = '{acme.Id}'");
    }

    /// <summary>Another program may copy or make up what looks like a sealed value: it reads as erased, and the page goes on.</summary>
    [Theory]
    [InlineData("""{"$p":1,"s":"user-{0}","c":"AAAA"}""")]
    [InlineData("""{"$p":1,"s":"user-{0}","c":"not base64url"}""")]
    [InlineData("""{"$p":1,"s":"user-{0}","c":"{1}"}""")]
    [InlineData("""{"$p":1,"s":"user-nobody","c":"{1}"}""")]
    public async Task What_only_looks_sealed_reads_as_erased(string form)
    {
        // The cipher of another organization's owner, and a subject that has a key here.
        var eve = await api.SignUp();
        var cipher = await api.Database.Scalar<string>($"select data->'name'->>'c' from events.mt_events where stream_id = 'user-{eve.User}' and type = 'user_registered'");
        var name = form.Replace("{0}", acme.User, StringComparison.Ordinal).Replace("{1}", cipher, StringComparison.Ordinal);
        var at = Position(await Append($"user-{acme.User}", new MartenEvent("user_renamed", $$"""{"name": {{name}}}""", $$"""{"ip": {{name}}, "user_agent": {{name}}}"""),
            new MartenEvent("user_seen", $$"""{"deep": [[{{name}}]]}""")));

        Assert.False(IsText(await acme.Client.GetAsync("/api/user").Json(), "name"));
        Assert.False(IsText(Assert.Single(await acme.Client.Items("/api/members", at)), "name"));
        var entries = await acme.Client.Items($"/api/audit-logs?object=user-{acme.User}", at);
        Assert.Equal(["user.seen", "user.renamed"], entries.Take(2).Select(e => e.Text("action")));
        Assert.False(IsText(entries[1], "ip") || IsText(entries[1], "userAgent") || IsText(entries[1].GetProperty("after"), "name"));

        static bool IsText(JsonElement json, string member) => json.TryGetProperty(member, out var value) && value.ValueKind == JsonValueKind.String;
    }

    [Fact]
    public async Task What_is_nested_deeper_than_an_answer_goes_stands_in_the_trail_without_it()
    {
        string Nested(int depth) => new string('[', depth) + new string(']', depth);
        var at = Position(await Append($"device-{device}",
            new MartenEvent("device_seen", Nested(2_000), $$"""{"deep": {{Nested(2_000)}}}"""),
            new MartenEvent("device_felt", $$"""{"deep": {{Nested(30)}}}"""), new MartenEvent("device_felt", """{"deep": 1}"""), new MartenEvent("device_heard", $$"""{"deep": {{Nested(20)}}}""")));
        var entries = await acme.Client.Items($"/api/audit-logs?object=device-{device}", at);
        Assert.Equal(["device.heard", "device.felt", "device.felt", "device.seen"], entries.Take(4).Select(e => e.Text("action")));
        Assert.Equal(Nested(20), entries[0].GetProperty("after").GetProperty("deep").GetRawText());
        Assert.False(entries[2].TryGetProperty("after", out _) || entries[3].TryGetProperty("after", out _));
    }

    [Fact]
    public async Task An_archived_device_is_shown_and_takes_no_command()
    {
        await MartenWriter.Archive(marten, acme.Id, $"device-{device}");
        await acme.Client.PutAsJsonAsync($"/api/devices/{device}/name", new { name = "late" }).Refused(409, "stream.archived");
        Assert.Equal("phone", (await acme.Client.GetAsync($"/api/devices/{device}").Json()).Text("name"));
    }

    private static async Task Ended(TestTenant tenant, Stopwatch clock)
    {
        while ((await tenant.Client.GetAsync("/api/devices")).StatusCode != HttpStatusCode.Unauthorized)
        {
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(5), "the session goes on");
            await Task.Delay(20);
        }
    }

    private async Task<HttpResponseMessage> Rename(string name, string? key = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Put, $"/api/devices/{device}/name") { Content = JsonContent.Create(new { name }) };
        if (key is not null) request.Headers.Add("Idempotency-Key", key);
        return await acme.Client.SendAsync(request);
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
