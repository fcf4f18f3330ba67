using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Nubabel.Api.Tests.Slices;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Flags;

/// <summary>Flags as operators set them, over the wire.</summary>
public sealed class FlagAdminTests : IAsyncLifetime
{
    private readonly string key = $"f{Guid.NewGuid():N}";
    private HttpClient platform = null!;

    private string Path => $"/admin/feature-flags/{key}";

    public async Task InitializeAsync() => platform = await (await TestApi.Shared).Operator();

    public Task DisposeAsync()
    {
        platform.Dispose();
        return Task.CompletedTask;
    }

    [Fact]
    public async Task A_flag_lives_from_creation_to_its_archive()
    {
        using var created = await Create();
        Assert.Equal((HttpStatusCode.Created, "\"1\"", Path), (created.StatusCode, created.Headers.ETag!.Tag, created.Headers.Location!.ToString()));
        using var changed = await platform.PatchAsJsonAsync(Path, new { description = "The dark theme", enabled = true });
        Assert.Equal("\"3\"", changed.Headers.ETag!.Tag);
        var flag = await platform.GetAsync(Path).Json();
        Assert.Equal((key, "active", true, "The dark theme"), (flag.Text("key"), flag.Text("status"), flag.GetProperty("enabled").GetBoolean(), flag.Text("description")));
        using var archived = await platform.DeleteAsync(Path);
        await platform.DeleteAsync(Path).Json(HttpStatusCode.NoContent);
        Assert.Equal("archived", (await platform.GetAsync(Path).Json()).Text("status"));
        await platform.PatchAsJsonAsync(Path, new { enabled = false }).Refused(409, "flag.archived");
        await platform.Post("/admin/feature-flags", new { key, enabled = false }).Refused(409, "flag.archived");
        Assert.DoesNotContain(key, await Listed("", archived.Position()));
        Assert.Contains(key, await Listed("archived=true&", archived.Position()));
    }

    [Fact]
    public async Task Flags_are_listed_in_pages_by_key()
    {
        using var created = await Create();
        using var other = await platform.PostAsJsonAsync("/admin/feature-flags", new { key = key + "-b", enabled = false });
        var keys = await Listed("", other.Position());
        Assert.Equal([key, key + "-b"], keys.Where(k => k.StartsWith(key, StringComparison.Ordinal)));
        Assert.Equal(keys.Distinct(), keys);
    }

    [Fact]
    public async Task Rules_are_added_replaced_and_removed()
    {
        using var created = await Create();
        var organization = Guid.CreateVersion7().ToString();
        using var added = await platform.PostAsJsonAsync(Path + "/rules", new { type = "allow", organizations = new[] { organization } });
        Assert.Equal(HttpStatusCode.Created, added.StatusCode);
        var rule = (await added.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("rules")[0];
        Assert.Equal($"{Path}/rules/{rule.Text("id")}", added.Headers.Location!.ToString());
        var replaced = await platform.PutAsJsonAsync(Path + "/rules", new { rules = new object[] { new { type = "percentage", percentage = 12.25 }, rule } }).Json();
        Assert.Equal(["percentage", "allow"], replaced.GetProperty("rules").EnumerateArray().Select(r => r.Text("type")));
        Assert.Equal(12.25m, replaced.GetProperty("rules")[0].GetProperty("percentage").GetDecimal());
        Assert.Equal(rule.Text("id"), replaced.GetProperty("rules")[1].Text("id"));
        using var again = await platform.PutAsJsonAsync(Path + "/rules", new { rules = new object[] { new { type = "percentage", percentage = 12.25 }, rule } });
        Assert.Equal("\"3\"", again.Headers.ETag!.Tag);
        await platform.DeleteAsync(added.Headers.Location).Json(HttpStatusCode.NoContent);
        await platform.DeleteAsync(added.Headers.Location).Refused(404, "flag.rule_missing");
        await platform.DeleteAsync(Path + "/rules/nonsense").Refused(404, "flag.rule_missing");
    }

    [Fact]
    public async Task Overrides_are_set_and_removed()
    {
        using var created = await Create();
        var organizationId = Guid.CreateVersion7().ToString();
        var expiresAt = TimeProvider.System.GetUtcNow().AddHours(1);
        using var set = await platform.PostAsJsonAsync(Path + "/overrides", new { organizationId, enabled = true, expiresAt });
        Assert.Equal(HttpStatusCode.Created, set.StatusCode);
        var flag = await platform.GetAsync(Path).Json();
        Assert.Equal((organizationId, true), (flag.GetProperty("overrides")[0].Text("organizationId"), flag.GetProperty("overrides")[0].GetProperty("enabled").GetBoolean()));
        await platform.DeleteAsync(set.Headers.Location).Json(HttpStatusCode.NoContent);
        await platform.DeleteAsync(set.Headers.Location).Refused(404, "flag.override_missing");
        await platform.Post(Path + "/overrides", new { organizationId, enabled = true, expiresAt = expiresAt.AddDays(-1) }).Refused(422, "flag.override_expired");
    }

    [Fact]
    public async Task What_is_refused_names_the_member()
    {
        using var created = await Create();
        await platform.Post("/admin/feature-flags", new { key = "No Key", enabled = true }).Refused(422, "flag.key_invalid");
        await platform.Post("/admin/feature-flags", new { key = key + "-b" }).Refused(400, "json.missing_member");
        var problem = await platform.PutAsJsonAsync(Path + "/rules", new { rules = new[] { new { type = "percentage", percentage = 12.345 } } }).Refused(422, "flag.percentage_invalid");
        Assert.Equal("rules[0].percentage", problem.GetProperty("errors")[0].Text("field"));
        await platform.Post(Path + "/rules", new { type = "some" }).Refused(422, "flag.rule_type_invalid");
        await platform.Post(Path + "/rules", new { type = "allow", percentage = 5 }).Refused(422, "flag.rule_invalid");
        await platform.GetAsync("/admin/feature-flags?archived=perhaps").Refused(400, "query.invalid");
    }

    [Theory]
    [InlineData("no-such-flag")]
    [InlineData("NO FLAG")]
    public async Task A_flag_that_is_none_is_missing_however_it_is_written(string none)
    {
        var path = $"/admin/feature-flags/{none}";
        await platform.GetAsync(path).Refused(404, "flag.missing");
        await platform.GetAsync(path + "/history").Refused(404, "flag.missing");
        await platform.PatchAsJsonAsync(path, new { enabled = true }).Refused(404, "flag.missing");
        await platform.DeleteAsync(path).Refused(404, "flag.missing");
        await platform.Post(path + "/rules", new { type = "percentage", percentage = 5 }).Refused(404, "flag.missing");
    }

    [Fact]
    public async Task A_change_on_condition_of_another_version_is_412()
    {
        using var created = await Create();
        using var patch = new HttpRequestMessage(HttpMethod.Patch, Path) { Content = JsonContent.Create(new { enabled = true }), Headers = { { "If-Match", "\"7\"" } } };
        using var refused = await platform.SendAsync(patch);
        Assert.Equal((HttpStatusCode.PreconditionFailed, "\"1\""), (refused.StatusCode, refused.Headers.ETag!.Tag));
    }

    [Fact]
    public async Task A_rule_added_twice_under_one_idempotency_key_is_one_rule()
    {
        using var created = await Create();
        var id = Guid.NewGuid().ToString();
        var answers = await Task.WhenAll(Enumerable.Range(0, 5).Select(async _ =>
        {
            using var post = new HttpRequestMessage(HttpMethod.Post, Path + "/rules") { Content = JsonContent.Create(new { type = "percentage", percentage = 5 }), Headers = { { "Idempotency-Key", id } } };
            using var answer = await platform.SendAsync(post);
            return $"{(int)answer.StatusCode} {answer.Headers.ETag} {answer.Headers.Location} {await answer.Content.ReadAsStringAsync()}";
        }));
        Assert.StartsWith("201 \"2\"", answers[0], StringComparison.Ordinal);
        Assert.Single(answers.Distinct());
        Assert.Equal(1, (await platform.GetAsync(Path).Json()).GetProperty("rules").GetArrayLength());
    }

    [Fact]
    public async Task The_history_shows_every_change_newest_first()
    {
        using var created = await Create();
        await platform.PatchAsJsonAsync(Path, new { description = "Soon", enabled = true }).Json();
        await platform.Post(Path + "/rules", new { type = "percentage", percentage = 5 }).Json(HttpStatusCode.Created);
        var first = await platform.GetAsync(Path + "/history?limit=3").Json();
        var rest = await platform.GetAsync($"{Path}/history?limit=3&cursor={first.Text("next")}").Json();
        var items = first.GetProperty("items").EnumerateArray().Concat(rest.GetProperty("items").EnumerateArray()).ToArray();
        Assert.Equal(["flag.rule_added", "flag.enabled", "flag.described", "flag.created"], items.Select(i => i.Text("action")));
        Assert.Equal([4, 3, 2, 1], items.Select(i => i.GetProperty("version").GetInt32()));
        Assert.All(items, i => Assert.StartsWith("operator:", i.Text("actor"), StringComparison.Ordinal));
        Assert.Equal("Soon", items[2].GetProperty("change").Text("description"));
        Assert.Equal(JsonValueKind.Null, rest.GetProperty("next").ValueKind);
    }

    [Fact]
    public async Task A_flag_that_is_known_is_not_sent_again()
    {
        using var created = await Create();
        Assert.Equal(HttpStatusCode.NotModified, await If("\"1\""));
        Assert.Equal(HttpStatusCode.OK, await If("\"2\""));
        using var changed = await platform.PatchAsJsonAsync(Path, new { enabled = true });
        Assert.Equal(HttpStatusCode.OK, await If("\"1\""));
        Assert.Equal(HttpStatusCode.NotModified, await If("W/\"2\""));

        async Task<HttpStatusCode> If(string noneMatch)
        {
            using var get = new HttpRequestMessage(HttpMethod.Get, Path) { Headers = { { "If-None-Match", noneMatch } } };
            using var answer = await platform.SendAsync(get);
            return answer.StatusCode;
        }
    }

    private Task<HttpResponseMessage> Create() => platform.PostAsJsonAsync("/admin/feature-flags", new { key, enabled = false });

    private async Task<List<string>> Listed(string filter, string position)
    {
        var keys = new List<string>();
        for (string? cursor = ""; cursor is not null;)
        {
            var page = await platform.Get($"/admin/feature-flags?{filter}limit=2{cursor}", position).Json();
            keys.AddRange(page.GetProperty("items").EnumerateArray().Select(i => i.Text("key")));
            cursor = page.GetProperty("next").GetString() is { } next ? "&cursor=" + next : null;
        }
        return keys;
    }
}
