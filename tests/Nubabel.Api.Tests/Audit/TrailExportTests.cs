using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Host;
using Nubabel.Api.Tests.DataExports;
using Nubabel.Api.Tests.Slices;
using Nubabel.Domain.Users;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Audit;

/// <summary>The trail as a file, and what its entries say.</summary>
public sealed class TrailExportTests
{
    [Fact]
    public async Task The_export_has_what_the_list_has_in_its_order_and_with_its_filters()
    {
        var acme = await (await TestApi.Shared).SignUp();
        await Device(acme, "phone", "pocket");
        foreach (var filter in new[] { "?action=device.renamed", "?outcome=succeeded&to=2100-01-01T00:00:00Z", $"?actor=user:{acme.User}&q=POCKET", "?from=2100-01-01T00:00:00Z" })
        {
            var list = (await acme.Trail(filter + "&limit=200")).Where(IsNoExport).Select(e => e.GetRawText()).ToArray();
            Assert.Equal(filter.Contains("2100-01-01T00:00:00Z", StringComparison.Ordinal) && filter.StartsWith("?from", StringComparison.Ordinal), list.Length == 0);
            Assert.Equal(list, (await Lines(acme.Client, filter)).Where(IsNoExport).Select(e => e.GetRawText()));
            var table = DataExportTests.Rows(await acme.Client.GetStringAsync("/api/audit-logs.csv" + filter));
            Assert.Equal(["at", "actor", "actorName", "action", "object", "objectName", "outcome", "summary", "reason", "ip", "userAgent", "requestId", "traceId", "before", "after", "position", "id"], table[0]);
            Assert.Equal(list.Select(e => JsonElement.Parse(e).Text("id")), table.Skip(1).Where(r => r[3] != "personal_data.exported").Select(r => r[^1]));
        }
        await acme.Client.GetAsync("/api/audit-logs.csv?colour=red").Refused(400, "query.unknown");
        await acme.Client.GetAsync("/api/audit-logs.ndjson?outcome=lost").Refused(400, "query.invalid");
    }

    [Fact]
    public async Task An_export_says_what_it_is_and_is_recorded_before_it_is_read()
    {
        var acme = await (await TestApi.Shared).SignUp();
        using var head = new HttpRequestMessage(HttpMethod.Head, "/api/audit-logs.csv");
        Assert.Equal(200, (int)(await acme.Client.SendAsync(head)).StatusCode);
        Assert.Equal(0L, await Exports(acme));
        using var request = new HttpRequestMessage(HttpMethod.Get, "/api/audit-logs.csv?action=user.registered&q=Ada") { Headers = { { "Nubabel-Purpose", "audit-2026" } } };
        using var answer = await acme.Client.SendAsync(request);
        Assert.Equal(("text/csv; charset=utf-8; header=present", "attachment; filename=\"nubabel-audit.csv\""), (answer.Content.Headers.ContentType!.ToString(), answer.Content.Headers.ContentDisposition!.ToString()));
        Assert.True(answer.Headers.CacheControl!.NoStore);
        Assert.DoesNotContain("personal_data.exported", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        var entry = Assert.Single(await acme.Trail("?action=personal_data.exported"));
        var after = entry.GetProperty("after");
        Assert.Equal(("GET /api/audit-logs.csv", "audit-2026", "action=user.registered q"),
            (after.Text("operation"), after.Text("purpose"), string.Join(' ', after.GetProperty("filter").EnumerateArray().Select(f => f.GetString()))));
        Assert.Equal("Ada Lovelace exported the audit trail for audit-2026 (GET /api/audit-logs.csv)", entry.Text("summary"));
    }

    [Fact]
    public async Task One_takes_away_the_own_trail_and_with_the_permission_the_organizations_and_an_operator_anybodys()
    {
        var api = await TestApi.Shared;
        var (acme, other) = (await api.SignUp(), await api.SignUp());
        var member = await acme.Colleague();
        await member.Client.GetAsync($"/api/audit-logs.csv?actor=user:{acme.User}").Refused(403, "permission.denied");
        Assert.Equal([$"user:{member.User}"], (await Lines(member.Client, "")).Select(e => e.Text("actor")).Distinct());
        Assert.Contains(await Lines(acme.Client, ""), e => e.Text("actor") == $"user:{member.User}");
        using var platform = await api.Operator();
        var theirs = await Lines(platform, $"?organization={acme.Id}", "/api/admin/audit-logs.ndjson");
        Assert.Contains(theirs, e => e.Text("actor") == $"user:{acme.User}" && e.Text("ip") == "127.0.0.1");
        Assert.DoesNotContain(theirs, e => e.Text("object").Contains(other.User, StringComparison.Ordinal));
        Assert.Contains(await acme.Trail("?action=personal_data.exported"), e => e.Text("summary").StartsWith("An operator exported", StringComparison.Ordinal));
        Assert.Contains(await Lines(platform, "?action=operator.added", "/api/admin/audit-logs.ndjson"), e => e.Text("action") == "operator.added");
        await platform.GetAsync($"/api/admin/audit-logs.csv?organization={Guid.CreateVersion7()}").Refused(404, "organization.missing");
        await acme.Client.GetAsync("/api/admin/audit-logs.csv").Refused(403, "permission.denied");
    }

    [Fact]
    public async Task A_cell_is_no_formula_and_what_was_erased_is_empty()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var member = await acme.Colleague();
        await Device(member, "=HYPERLINK(\"http://evil.example\")", "+1, \"quoted\"");
        await acme.Api.HasSeen("audit");
        var table = DataExportTests.Rows(await acme.Client.GetStringAsync($"/api/audit-logs.csv?actor=user:{member.User}&action=device.renamed"));
        Assert.Equal(("Bob", "'+1, \"quoted\"", "127.0.0.1"), (table[1][2], table[1][5], table[1][9]));
        Assert.Equal("Bob renamed the device “=HYPERLINK(\"http://evil.example\")” to “+1, \"quoted\"”", table[1][7]);
        await acme.Api.Services.GetRequiredService<Node>().Subjects.Destroy(acme.Id, [$"user-{member.User}"], CancellationToken.None);
        var erased = DataExportTests.Rows(await acme.Client.GetStringAsync($"/api/audit-logs.csv?actor=user:{member.User}&action=device.renamed"));
        Assert.Equal(("", "", ""), (erased[1][2], erased[1][5], erased[1][9]));
        Assert.Equal("An erased person renamed the device (erased) to (erased)", erased[1][7]);
    }

    [Fact]
    public async Task A_page_is_searched_for_what_people_read_in_bounded_looks()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var admin = await acme.Colleague(Role.Admin);
        await Device(acme, "phone", "pocket");
        await acme.Client.PutAsJsonAsync($"/api/members/{admin.User}/role", new { role = "viewer" });
        Assert.Equal(["Ada Lovelace renamed the device “phone” to “pocket”"], (await acme.Trail("?q=pHone%E2%80%9D%20to")).Select(e => e.Text("summary")));
        Assert.Equal("Ada Lovelace changed the role of Bob from admin to viewer", (await acme.Trail("?q=bob&action=user.role_changed"))[0].Text("summary"));
        Assert.Contains(await acme.Trail($"?q={admin.User}"), e => e.Text("action") == "user.role_changed");
        Assert.Empty(await acme.Trail("?q=nothing+of+the+kind"));
        await acme.Client.GetAsync("/api/audit-logs?q=" + new string('a', 201)).Refused(400, "query.invalid");
        // Page by page the same.
        var all = (await acme.Trail("?q=ada&to=2100-01-01T00:00:00Z")).Select(e => e.Text("id")).ToArray();
        var paged = new List<string>();
        for (var path = "/api/audit-logs?q=ada&to=2100-01-01T00:00:00Z&limit=2"; ;)
        {
            var page = await acme.Client.GetAsync(path).Json();
            paged.AddRange(page.GetProperty("items").EnumerateArray().Select(e => e.Text("id")));
            if (page.GetProperty("next").ValueKind == JsonValueKind.Null) break;
            path = $"/api/audit-logs?q=ada&to=2100-01-01T00:00:00Z&limit=2&cursor={page.Text("next")}";
        }
        // The reads themselves come in front of the first page, and so are in none of those that follow.
        Assert.Equal(all, paged.Intersect(all));
        Assert.Equal(paged.Count, paged.Distinct().Count());
    }

    [Fact]
    public async Task What_is_only_looked_at_in_a_search_is_not_told_as_shown()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var member = await acme.Colleague();
        await Device(member, "phone", "pocket");
        await Device(acme, "tablet", "slate");
        Assert.Equal(2, (await acme.Trail("?q=slate")).Count);
        Assert.Equal(0L, await acme.Api.Database.Scalar<long>($"select count(*) from events.mt_events where tenant_id = '{acme.Id}' and type = 'personal_data_read'"));
        Assert.Equal(2, (await acme.Trail("?q=pocket")).Count);
        Assert.Equal($"[\"user-{member.User}\"]", await acme.Api.Database.Scalar<string>($"select data->>'subjects' from events.mt_events where tenant_id = '{acme.Id}' and type = 'personal_data_read'"));
    }

    private static bool IsNoExport(JsonElement e) => e.Text("action") != "personal_data.exported";

    private static Task<long> Exports(TestTenant acme) => acme.Api.Database.Scalar<long>($"select count(*) from events.mt_events where tenant_id = '{acme.Id}' and type = 'personal_data_exported'");

    private static async Task Device(TestTenant owner, string name, string then)
    {
        using var made = await owner.Client.PostAsJsonAsync("/api/devices", new { name, type = "mobile" });
        made.EnsureSuccessStatusCode();
        using var renamed = await owner.Client.PutAsJsonAsync(made.Headers.Location + "/name", new { name = then });
        renamed.EnsureSuccessStatusCode();
    }

    private static async Task<IReadOnlyList<JsonElement>> Lines(HttpClient client, string query, string path = "/api/audit-logs.ndjson")
    {
        using var answer = await client.GetAsync(path + query);
        Assert.Equal("application/x-ndjson", answer.Content.Headers.ContentType?.ToString());
        return [.. (await answer.Content.ReadAsStringAsync()).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonElement.Parse(line))];
    }
}
