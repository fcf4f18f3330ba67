using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Nubabel.Api.ApiKeys;
using Nubabel.Api.Host;
using Nubabel.Api.Tests.Slices;
using Nubabel.Domain.ApiKeys;
using Nubabel.Domain.Users;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.ApiKeys;

public sealed class ApiKeysTests
{
    [Fact]
    public async Task A_key_is_shown_once_and_recognised_by_its_beginning()
    {
        var acme = await (await TestApi.Shared).SignUp();
        using var made = await acme.Client.PostAsJsonAsync(Keys.Path, new { name = " nightly ", scopes = new[] { "members:read", "audit:read" } });
        Assert.Equal((HttpStatusCode.Created, "\"1\"", "no-store"), (made.StatusCode, made.Headers.ETag!.Tag, made.Headers.CacheControl!.ToString()));
        var row = await made.Content.ReadFromJsonAsync<JsonElement>();
        Assert.Equal($"{Keys.Path}/{row.Text("id")}", made.Headers.Location!.ToString());
        Assert.Equal(("nightly", "active", $"user:{acme.User}"), (row.Text("name"), row.Text("status"), row.Text("createdBy")));
        Assert.StartsWith(row.Text("prefix"), row.Text("key"), StringComparison.Ordinal);
        Assert.Equal($"nbk.{acme.Id}.{row.Text("id")}.0.", row.Text("prefix"));
        Assert.Equal(row.Text("prefix").Length + 43 + 6, row.Text("key").Length);

        var one = await acme.Client.GetAsync(made.Headers.Location).Json();
        var listed = Assert.Single(await acme.Client.Items(Keys.Path, made.Position()));
        foreach (var seen in (JsonElement[])[one, listed])
        {
            Assert.Equal((row.Text("id"), row.Text("prefix")), (seen.Text("id"), seen.Text("prefix")));
            Assert.False(seen.TryGetProperty("key", out _));
        }
        Assert.Equal(one.ToString(), listed.ToString());
    }

    [Fact]
    public async Task No_answer_shows_the_hash_of_a_secret()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var key = await acme.Client.Make();
        using var rotated = await acme.Client.PostAsJsonAsync($"{Keys.Path}/{key.Text("id")}/rotation", new { overlapSeconds = 60 });
        var position = rotated.Position();
        var answers = new[] { await acme.Client.Text("/api/audit-logs?object=api-key-" + key.Text("id"), position), await acme.Client.Text(Keys.Path, position), await acme.Client.Text($"{Keys.Path}/{key.Text("id")}", null) };
        Assert.Contains("api_key.rotated", answers[0], StringComparison.Ordinal);
        foreach (var answer in answers)
        {
            Assert.DoesNotContain("hash", answer, StringComparison.OrdinalIgnoreCase);
            Assert.DoesNotContain(key.Parsed().Hash, answer, StringComparison.Ordinal);
            Assert.DoesNotContain(key.Parsed().Secret, answer, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_request_repeated_under_its_key_gets_the_same_api_key()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var name = Keys.Name();
        var first = await Repeated("k1", Keys.Path, new { name, scopes = new[] { "members:read" } }).Json(HttpStatusCode.Created);
        Assert.Equal(first.ToString(), (await Repeated("k1", Keys.Path, new { name, scopes = new[] { "members:read" } }).Json(HttpStatusCode.Created)).ToString());

        var path = $"{Keys.Path}/{first.Text("id")}/rotation";
        var rotated = await Repeated("k2", path, new { overlapSeconds = 5 }).Json();
        await Repeated("k3", path, new { overlapSeconds = 6 }).Json();
        Assert.Equal(rotated.ToString(), (await Repeated("k2", path, new { overlapSeconds = 5 }).Json()).ToString());
        Assert.Equal(1, rotated.GetProperty("generation").GetInt32());

        async Task<HttpResponseMessage> Repeated(string key, string at, object body)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, at) { Content = JsonContent.Create(body) };
            request.Headers.Add("Idempotency-Key", key);
            return await acme.Client.SendAsync(request);
        }
    }

    [Fact]
    public async Task Each_scope_at_fault_is_named()
    {
        var acme = await (await TestApi.Shared).SignUp();
        foreach (var (scopes, fields) in new (string[], string[])[]
        {
            (["members:read", "user:read", "platform:audit", "nothing:read"], ["scopes[1]", "scopes[2]", "scopes[3]"]),
            (["members:read", "api-keys:write"], ["scopes[1]"]),
            (["*", "members:read"], ["scopes[0]"]),
        })
        {
            var problem = await acme.Client.Post(Keys.Path, new { name = "k", scopes }).Refused(422, "api_key.scope_invalid");
            Assert.Equal(fields, problem.GetProperty("errors").EnumerateArray().Select(e => e.Text("field")));
        }
        await acme.Client.Post(Keys.Path, new { name = "k", scopes = Array.Empty<string>() }).Refused(422, "api_key.scopes_invalid");
        await acme.Client.Post(Keys.Path, new { name = "k", scopes = new[] { "members:read", "members:read" } }).Refused(422, "api_key.scopes_invalid");
        await acme.Client.Post(Keys.Path, new { name = "k", scopes = new[] { "members:read" }, expiresAt = "2020-01-01T00:00:00Z" }).Refused(422, "api_key.expiry_invalid");
        await acme.Client.Post(Keys.Path, new { name = " ", scopes = new[] { "members:read" } }).Refused(422, "api_key.name_invalid");
    }

    [Fact]
    public void Nobody_gives_a_key_more_than_the_own_permissions()
    {
        var viewer = new Caller(Realm.Organization, Guid.Empty.ToString(), Guid.Empty, default, "viewer");
        ApiKeysApi.RequireHeld([Scope.Parse("members:read")], viewer);
        var problem = Assert.Throws<Problem>(() => ApiKeysApi.RequireHeld([Scope.Parse("members:read"), Scope.Parse("members:write")], viewer));
        Assert.Equal(("permission.denied", "members:write"), (problem.Code, problem.Members["required"]));
    }

    [Theory]
    [InlineData(Role.Admin, HttpStatusCode.Created)]
    [InlineData(Role.Member, HttpStatusCode.Forbidden)]
    [InlineData(Role.Viewer, HttpStatusCode.Forbidden)]
    public async Task Admins_make_keys(Role role, HttpStatusCode expected)
    {
        var colleague = await (await (await TestApi.Shared).SignUp()).Colleague(role);
        await colleague.Client.PostAsJsonAsync(Keys.Path, new { name = "k", scopes = new[] { "members:read" } }).Json(expected);
    }

    [Fact]
    public async Task A_name_is_taken_until_its_key_is_revoked()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var first = await acme.Client.Post(Keys.Path, new { name = "Nightly", scopes = new[] { "members:read" } }).Json(HttpStatusCode.Created);
        var taken = await acme.Client.Post(Keys.Path, new { name = "nightly", scopes = new[] { "members:read" } }).Refused(409, "api_key.name_taken");
        Assert.Equal("name", taken.GetProperty("errors")[0].Text("field"));
        Assert.Equal(HttpStatusCode.NoContent, (await acme.Client.DeleteAsync($"{Keys.Path}/{first.Text("id")}")).StatusCode);
        Assert.Equal(HttpStatusCode.NoContent, (await acme.Client.DeleteAsync($"{Keys.Path}/{first.Text("id")}")).StatusCode);
        await acme.Client.Post(Keys.Path, new { name = "nightly", scopes = new[] { "members:read" } }).Json(HttpStatusCode.Created);
        var gone = await acme.Client.GetAsync($"{Keys.Path}/{first.Text("id")}").Json();
        Assert.Equal("revoked", gone.Text("status"));
        Assert.True(gone.TryGetProperty("revokedAt", out _));
        await acme.Client.Post($"{Keys.Path}/{first.Text("id")}/rotation", new { overlapSeconds = 0 }).Refused(409, "api_key.revoked");
    }

    [Fact]
    public async Task An_operator_may_set_another_limit_for_an_organization()
    {
        var acme = await (await TestApi.Shared).SignUp();
        await Keys.Limit(acme, 1, acme.Api);
        var key = await acme.Client.Make();
        await acme.Client.Post(Keys.Path, new { name = "k", scopes = new[] { "members:read" } }).Refused(409, "api_key.limit");
        await acme.Client.DeleteAsync($"{Keys.Path}/{key.Text("id")}");
        await acme.Client.Make();
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(604_801)]
    public async Task An_overlap_is_at_most_a_week(int overlapSeconds)
    {
        var acme = await (await TestApi.Shared).SignUp();
        var key = await acme.Client.Make();
        var problem = await acme.Client.Post($"{Keys.Path}/{key.Text("id")}/rotation", new { overlapSeconds }).Refused(422, "api_key.overlap_invalid");
        Assert.Equal("overlapSeconds", problem.GetProperty("errors")[0].Text("field"));
    }

    [Fact]
    public async Task A_rotation_may_name_the_version_it_knows()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var key = await acme.Client.Make();
        using var request = new HttpRequestMessage(HttpMethod.Post, $"{Keys.Path}/{key.Text("id")}/rotation") { Content = JsonContent.Create(new { overlapSeconds = 0 }) };
        request.Headers.Add("If-Match", "\"7\"");
        await acme.Client.SendAsync(request).Refused(412, "resource.version_mismatch");
    }
}
