using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Nubabel.Api.DataExports;
using Nubabel.Api.Host;
using Nubabel.Api.Tests.Races;
using Nubabel.Api.Tests.Slices;
using Nubabel.Domain.Users;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.DataExports;

/// <summary>What a user, and an owner, can take away.</summary>
public sealed partial class DataExportTests
{
    [Fact]
    public async Task A_user_reads_everything_that_is_held_and_nobody_elses()
    {
        var api = await TestApi.Shared;
        var owner = await api.SignUp();
        var bob = await owner.Colleague();
        var device = await bob.Client.Post("/api/devices", new { name = "Bob's phone", type = "mobile" }).Json(System.Net.HttpStatusCode.Created);
        await owner.Client.Post("/api/devices", new { name = "Ada's own phone", type = "mobile" }).Json(System.Net.HttpStatusCode.Created);
        await owner.Client.PutAsJsonAsync($"/api/members/{bob.User}/role", new { role = "viewer" });
        await owner.Client.PutAsJsonAsync($"/api/members/{bob.User}/role", new { role = "member" });
        // An export does not wait long for the trail: it goes as far as that is.
        await api.HasSeen("audit");
        var text = await bob.Client.GetStringAsync("/api/user/data-export");
        var data = JsonElement.Parse(text);
        Assert.Equal(("nubabel-data-export", "user", bob.User), (data.Text("format"), data.Text("scope"), data.Text("userId")));
        Assert.Equal((bob.Email, "Bob", "member"), (data.GetProperty("profile").Text("email"), data.GetProperty("profile").Text("name"), data.GetProperty("profile").Text("role")));
        Assert.Equal(device.Text("id"), Assert.Single(data.GetProperty("devices").EnumerateArray()).Text("id"));
        Assert.Equal("127.0.0.1", Assert.Single(data.GetProperty("sessions").EnumerateArray()).Text("ip"));
        Assert.Equal(JsonValueKind.Array, data.GetProperty("flags").ValueKind);
        Assert.Equal(0, data.GetProperty("messages").GetArrayLength());
        var trail = data.GetProperty("auditTrail").EnumerateArray().Select(e => (Action: e.Text("action"), Actor: e.Text("actor"), HasIp: e.TryGetProperty("ip", out var ip) && ip.ValueKind == JsonValueKind.String)).ToArray();
        // What Bob did shows his address; what an admin did about him does not show the admin's.
        Assert.Contains(("device.registered", $"user:{bob.User}", true), trail);
        Assert.Equal(2, trail.Count(e => e == ("user.role_changed", $"user:{owner.User}", false)));
        Assert.Contains(trail, e => e.Action == "user.registered");
        Assert.DoesNotContain("Ada", text, StringComparison.Ordinal);
        Assert.DoesNotContain(owner.Email, text, StringComparison.Ordinal);
        Assert.DoesNotMatch("(?i)hash|emailKey", text);
        Assert.DoesNotContain("$p", text, StringComparison.Ordinal);
        Assert.Equal(1, await api.Database.Scalar<long>($"select count(*) from events.mt_events where tenant_id = '{owner.Id}' and type = 'data_export_read' and user_name = 'user:{bob.User}'"));
    }

    [Fact]
    public async Task A_bundle_is_made_downloaded_counted_and_deleted()
    {
        var api = await TestApi.Shared;
        var tenant = await api.SignUp();
        string[] names = ["<script>alert(1)</script>", "=HYPERLINK(\"http://evil.example\")", "+1+1", "-2", "@sum", "plain, \"quoted\""];
        foreach (var name in names) await tenant.Client.Post("/api/devices", new { name, type = "web" }).Json(System.Net.HttpStatusCode.Created);
        await api.HasSeen("audit");
        var export = await Bundle.Make(tenant.Client);
        var bundle = await Bundle.Download(tenant.Client, export);
        Assert.Equal(tenant.Email, bundle.Data.GetProperty("profile").Text("email"));
        Assert.Equal(names.Order(StringComparer.Ordinal), bundle.Data.GetProperty("devices").EnumerateArray().Select(d => d.Text("name")).Order(StringComparer.Ordinal));
        // The trail goes as far as the bundle says, and the JSON and the CSV have the same entries.
        Assert.Equal(bundle.Data.GetProperty("auditTrail").GetArrayLength(), Rows(bundle.Text("auditTrail.csv")).Count - 1);
        var devices = Rows(bundle.Text("devices.csv"));
        Assert.Equal("name", devices[0][2]);
        Assert.Equal(["'+1+1", "'-2", "'=HYPERLINK(\"http://evil.example\")", "'@sum", "<script>alert(1)</script>", "plain, \"quoted\""], devices.Skip(1).Select(r => r[2]).Order(StringComparer.Ordinal));
        var page = bundle.Text("index.html");
        Assert.Contains("&lt;script&gt;alert(1)&lt;/script&gt;", page, StringComparison.Ordinal);
        Assert.DoesNotContain("<script", page, StringComparison.OrdinalIgnoreCase);
        // At rest it is neither an archive nor readable.
        var id = export[^36..];
        var stored = await api.Database.Scalar<byte[]>($"select string_agg(bytes, ''::bytea order by part) from nubabel.sealed_parts where file = '{id}'");
        Assert.DoesNotContain("PK", Encoding.Latin1.GetString(stored, 0, 64), StringComparison.Ordinal);
        Assert.Equal(-1, stored.AsSpan().IndexOf("data.json"u8));

        // Whoever only looks at its size has not downloaded it.
        using (var head = await tenant.Client.SendAsync(new HttpRequestMessage(HttpMethod.Head, $"{export}/content"))) Assert.True(head.IsSuccessStatusCode);
        await Burst.Until("the download is counted", TimeSpan.FromSeconds(20), async () => (await tenant.Client.Items("/api/user/data-exports")) is [var only] && only.GetProperty("downloads").GetInt64() == 1);
        Assert.Equal(204, (await Reply.To(tenant.Client, "DELETE", export)).Status);
        Assert.Equal((410, "data_export.gone"), ((await Reply.To(tenant.Client, "GET", $"{export}/content")).Status, (await Reply.To(tenant.Client, "GET", export)).Code));
        Assert.Equal(0, await api.Database.Scalar<long>($"select count(*) from nubabel.sealed_parts where file = '{id}'"));
        Assert.Equal("data_export_made data_export_downloaded data_export_deleted", await api.Database.Scalar<string>($"select string_agg(type, ' ' order by version) from events.mt_events where stream_id = 'data-export-{id}'"));
    }

    [Fact]
    public async Task An_export_while_others_write_is_whole_as_of_its_position()
    {
        var api = await TestApi.Shared;
        var tenant = await api.SignUp();
        using var end = new CancellationTokenSource();
        var writers = Enumerable.Range(0, 4).Select(w => Task.Run(async () =>
        {
            for (var i = 0; !end.IsCancellationRequested; i++) await tenant.Client.Post("/api/devices", new { name = $"d{w}-{i}", type = "web" }).Json(System.Net.HttpStatusCode.Created);
        })).ToArray();
        try
        {
            for (var round = 0; round < 3; round++)
            {
                var data = JsonElement.Parse(await tenant.Client.GetStringAsync("/api/user/data-export"));
                var upTo = long.Parse(data.Text("position").Split('-')[^1], System.Globalization.NumberStyles.AllowHexSpecifier, System.Globalization.CultureInfo.InvariantCulture);
                var positions = data.GetProperty("auditTrail").EnumerateArray().Select(e => e.GetProperty("position").GetInt64()).ToArray();
                // All of the tenant's events are this user's.
                var expected = await api.Database.Scalar<long[]>($"select array_agg(seq_id order by seq_id) from events.mt_events where tenant_id = '{tenant.Id}' and seq_id <= {upTo}");
                Assert.Equal(expected, positions.Order());
                var registered = data.GetProperty("auditTrail").EnumerateArray().Where(e => e.Text("action") == "device.registered").Select(e => e.Text("object"));
                Assert.Equal(registered.Order(StringComparer.Ordinal), data.GetProperty("devices").EnumerateArray().Select(d => $"device-{d.Text("id")}").Order(StringComparer.Ordinal));
            }
        }
        finally
        {
            await end.CancelAsync();
            await Task.WhenAll(writers);
        }
    }

    [Fact]
    public async Task An_owner_takes_the_whole_organization_also_what_a_removed_member_left()
    {
        var api = await TestApi.Shared;
        var owner = await api.SignUp();
        var (bob, admin) = (await owner.Colleague(), await owner.Colleague(Role.Admin));
        await bob.Client.Post("/api/devices", new { name = "left behind", type = "web" }).Json(System.Net.HttpStatusCode.Created);
        Assert.Equal(200, (await Reply.To(owner.Client, "PUT", $"/api/members/{bob.User}/suspension", new { reason = "gone" })).Status);
        // Who is suspended gets nothing; what is held is there all the same.
        await Burst.Until("the suspension counts", TimeSpan.FromSeconds(10), async () => (await Reply.To(bob.Client, "GET", "/api/user/data-export")).Code == "user.suspended");
        Assert.Equal(204, (await Reply.To(owner.Client, "DELETE", $"/api/members/{bob.User}")).Status);
        Assert.Equal(403, (await Reply.To(admin.Client, "POST", "/api/organization/data-exports")).Status);
        await api.HasSeen("audit");
        var export = await Bundle.Make(owner.Client, "organization");
        var bundle = await Bundle.Download(owner.Client, export);
        Assert.Equal(("organization", owner.Slug), (bundle.Data.Text("scope"), bundle.Data.GetProperty("organization").Text("slug")));
        var members = bundle.Data.GetProperty("members").EnumerateArray().ToDictionary(m => m.Text("id"), m => (m.Text("email"), m.Text("status")));
        Assert.Equal((bob.Email, "removed"), members[bob.User]);
        Assert.Equal((owner.Email, "active"), members[owner.User]);
        Assert.Contains(bundle.Data.GetProperty("devices").EnumerateArray(), d => d.Text("name") == "left behind");
        Assert.DoesNotMatch("(?i)passwordHash|tokenHash|secretHash|emailKey", bundle.Text("data.json"));
        Assert.Equal(404, (await Reply.To(admin.Client, "GET", export.Replace("organization", "user", StringComparison.Ordinal))).Status);
        Assert.Equal(404, (await Reply.To(owner.Client, "GET", export.Replace("organization", "user", StringComparison.Ordinal))).Status);
    }

    [Fact]
    public async Task Five_bundles_are_kept_and_no_more()
    {
        var api = await TestApi.Shared;
        var tenant = await api.SignUp();
        for (var i = 0; i < 5; i++) await Bundle.Make(tenant.Client);
        await Burst.Until("all are listed", TimeSpan.FromSeconds(20), async () => (await tenant.Client.Items("/api/user/data-exports")).Count == 5);
        Assert.Equal("data_export.too_many", (await Reply.To(tenant.Client, "POST", "/api/user/data-exports")).Code);
    }

    [Theory]
    [InlineData("plain", "plain")]
    [InlineData("=1", "'=1")]
    [InlineData("\t=1", "'\t'=1")]
    [InlineData(";=1+1;x", "\";'=1+1;x\"")]
    [InlineData("-1", "'-1")]
    [InlineData("|calc", "'|calc")]
    [InlineData("%0A=1", "'%0A=1")]
    [InlineData("x;|calc", "\"x;'|calc\"")]
    [InlineData("50 %", "50 %")]
    [InlineData("＝1", "'＝1")]
    [InlineData("a,b", "\"a,b\"")]
    [InlineData("say \"x\"", "\"say \"\"x\"\"\"")]
    [InlineData("=a,b", "\"'=a,b\"")]
    [InlineData("two\nlines", "\"two\nlines\"")]
    [InlineData("", "")]
    public void A_cell_is_no_formula_and_no_end_of_a_cell(string text, string cell) => Assert.Equal(cell, Csv.Cell(text));

    /// <summary>The rows of a CSV, as RFC 4180 reads them.</summary>
    internal static List<string[]> Rows(string csv) =>
        [.. csv.TrimEnd('\r', '\n').Split("\r\n").Select(line => Field().Matches(line).Select(m => m.Groups[1].Success ? m.Groups[1].Value.Replace("\"\"", "\"", StringComparison.Ordinal) : m.Groups[2].Value).ToArray())];

    [GeneratedRegex("(?:^|(?<=,))(?:\"((?:[^\"]|\"\")*)\"|([^,\"]*))(?=,|$)")]
    private static partial Regex Field();
}
