using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Flags;
using Nubabel.Api.Tests.Slices;
using Nubabel.Domain.Users;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Flags;

/// <summary>Flags as an organization sees them, over the wire.</summary>
public sealed class FlagsTests
{
    /// <summary>A second is promised; a busy machine may take longer.</summary>
    private static readonly TimeSpan Visible = TimeSpan.FromSeconds(5);

    [Fact]
    public async Task An_unknown_key_is_off_and_no_error()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var flags = (await acme.Client.GetAsync("/api/flags?keys=no-such,NO%20KEY,__proto__,,no-such").Json()).GetProperty("flags");
        Assert.Equal(["NO KEY", "__proto__", "no-such"], flags.EnumerateObject().Select(f => f.Name));
        Assert.All(flags.EnumerateObject(), f => Assert.Equal((false, "unknown"), (f.Value.GetProperty("enabled").GetBoolean(), f.Value.Text("reason"))));
        Assert.Empty((await acme.Client.GetAsync("/api/flags?keys=").Json()).GetProperty("flags").EnumerateObject());
    }

    [Fact]
    public async Task At_most_100_keys_are_asked_for()
    {
        var acme = await (await TestApi.Shared).SignUp();
        Assert.Equal(100, (await acme.Client.GetAsync("/api/flags?keys=" + string.Join(',', Enumerable.Range(0, 100).Select(i => $"k{i}"))).Json()).GetProperty("flags").EnumerateObject().Count());
        await acme.Client.GetAsync("/api/flags?keys=" + string.Join(',', Enumerable.Range(0, 101).Select(i => $"k{i}"))).Refused(422, "flag.too_many_keys");
        await acme.Client.GetAsync("/api/flags?keys=a&keys=b").Refused(400, "query.invalid");
    }

    [Fact]
    public async Task Who_has_the_answer_already_gets_304()
    {
        var acme = await (await TestApi.Shared).SignUp();
        using var first = await acme.Client.GetAsync("/api/flags?keys=no-such");
        using var get = new HttpRequestMessage(HttpMethod.Get, "/api/flags?keys=no-such") { Headers = { IfNoneMatch = { first.Headers.ETag! } } };
        Assert.Equal(HttpStatusCode.NotModified, (await acme.Client.SendAsync(get)).StatusCode);
        using var other = new HttpRequestMessage(HttpMethod.Get, "/api/flags?keys=no-such,b") { Headers = { IfNoneMatch = { first.Headers.ETag! } } };
        Assert.Equal(HttpStatusCode.OK, (await acme.Client.SendAsync(other)).StatusCode);
    }

    [Fact]
    public async Task Without_keys_all_flags_in_use_are_answered()
    {
        var api = await TestApi.Shared;
        using var platform = await api.Operator();
        var acme = await api.SignUp();
        var (used, archived) = (Key(), Key());
        foreach (var key in new[] { used, archived }) await platform.Post("/admin/feature-flags", new { key, enabled = true }).Json(HttpStatusCode.Created);
        await Sees(acme.Client, archived, true, "default");
        await platform.DeleteAsync($"/admin/feature-flags/{archived}").Json(HttpStatusCode.NoContent);
        await Sees(acme.Client, archived, false, "unknown");
        await Sees(acme.Client, used, true, "default");
        var flags = (await acme.Client.GetAsync("/api/flags").Json()).GetProperty("flags");
        Assert.True(flags.TryGetProperty(used, out _));
        Assert.False(flags.TryGetProperty(archived, out _));
    }

    [Fact]
    public async Task Each_change_of_a_flag_counts_for_the_organizations_it_means()
    {
        var api = await TestApi.Shared;
        using var platform = await api.Operator();
        var (acme, bolt) = (await api.SignUp(), await api.SignUp());
        var key = Key();
        var path = $"/admin/feature-flags/{key}";
        await platform.Post("/admin/feature-flags", new { key, enabled = true }).Json(HttpStatusCode.Created);
        await Sees(acme.Client, key, true, "default");
        await platform.Post(path + "/rules", new { type = "block", organizations = new[] { acme.Id } }).Json(HttpStatusCode.Created);
        await Sees(acme.Client, key, false, "rule");
        await Sees(bolt.Client, key, false, "default");
        await platform.Post(path + "/overrides", new { organizationId = acme.Id, enabled = true }).Json(HttpStatusCode.Created);
        await Sees(acme.Client, key, true, "override");
        await platform.Post(path + "/rules", new { type = "percentage", percentage = 100 }).Json(HttpStatusCode.Created);
        await Sees(bolt.Client, key, true, "rule");
        await platform.DeleteAsync($"{path}/overrides/{acme.Id}").Json(HttpStatusCode.NoContent);
        await Sees(acme.Client, key, false, "rule");
        await platform.PatchAsJsonAsync(path, new { enabled = false }).Json();
        await Sees(bolt.Client, key, false, "disabled");
    }

    [Fact]
    public async Task A_change_is_visible_on_every_node_and_a_node_that_starts_later_has_it()
    {
        await using var database = await TestDatabase.New();
        await using var first = await TestApi.Start(database);
        await using var second = await TestApi.Start(database);
        using var platform = await first.Operator();
        var acme = await first.SignUp();
        using var there = second.As(acme.AccessToken);
        await platform.Post("/admin/feature-flags", new { key = "a", enabled = true }).Json(HttpStatusCode.Created);
        await Sees(acme.Client, "a", true, "default");
        await Sees(there, "a", true, "default");
        await platform.PatchAsJsonAsync("/admin/feature-flags/a", new { enabled = false }).Json();
        await Sees(there, "a", false, "disabled");
        await Sees(acme.Client, "a", false, "disabled");

        await using var third = await TestApi.Start(database);
        using var late = third.As(acme.AccessToken);
        await Sees(late, "a", false, "disabled");
    }

    /// <summary>The read model is not followed at all here: what it lacks comes from the log.</summary>
    [Fact]
    public async Task A_node_loads_what_the_list_has_not_seen_yet()
    {
        await using var database = await TestDatabase.New();
        await using var first = await TestApi.Start(database, settings => settings["Daemon:Enabled"] = "false");
        using var platform = await first.Operator();
        await platform.Post("/admin/feature-flags", new { key = "a", enabled = true }).Json(HttpStatusCode.Created);
        await platform.PatchAsJsonAsync("/admin/feature-flags/a", new { enabled = false }).Json();
        var evaluation = new Evaluation(first.Services.GetRequiredService<Nubabel.Api.Host.Node>());
        Assert.False(evaluation.IsLoaded);
        Assert.Equal(new FlagValue(false, FlagReason.Unknown), evaluation.Evaluate("a", Guid.Empty));
        Assert.Equal(0, await evaluation.Load(CancellationToken.None));
        // The list alone is not believed: it may show a flag as it no longer is.
        Assert.False(evaluation.IsLoaded);
        Assert.Equal(new FlagValue(false, FlagReason.Unknown), evaluation.Evaluate("a", Guid.Empty));
        await using var tail = new Nubabel.Store.Tail(database.Database.Daemon, Nubabel.Projections.Events.Types, new Nubabel.Store.Signal(), [evaluation]);
        tail.Start();
        await tail.Loaded.WaitAsync(TimeSpan.FromSeconds(10));
        Assert.True(evaluation.IsLoaded);
        Assert.Equal(new FlagValue(false, FlagReason.Disabled), evaluation.Evaluate("a", Guid.Empty));
    }

    [Theory]
    [InlineData(Role.Owner)]
    [InlineData(Role.Admin)]
    [InlineData(Role.Member)]
    [InlineData(Role.Viewer)]
    public async Task Every_role_reads_flags_and_none_sets_them(Role role)
    {
        var api = await TestApi.Shared;
        var acme = await api.SignUp();
        using var platform = await api.Operator();
        var key = Key();
        await platform.Post("/admin/feature-flags", new { key, enabled = true }).Json(HttpStatusCode.Created);
        var client = role == Role.Owner ? acme.Client : (await acme.Colleague(role)).Client;
        await Sees(client, key, true, "default");
        await client.Post("/admin/feature-flags", new { key = key + "-b", enabled = true }).Refused(403, "permission.denied");
    }

    /// <summary>Scopes are names of this table; a key is let through where its scopes hold the permission.</summary>
    [Fact]
    public void An_api_key_may_hold_the_permission_to_read_flags() => Assert.True(Nubabel.Api.Host.Permissions.Find("flags:read")!.ForKeys);

    private static string Key() => $"f{Guid.NewGuid():N}";

    private static async Task Sees(HttpClient client, string key, bool enabled, string reason)
    {
        var deadline = TimeProvider.System.GetUtcNow() + Visible;
        while (true)
        {
            var flag = (await client.GetAsync($"/api/flags?keys={key}").Json()).GetProperty("flags").GetProperty(key);
            var seen = (flag.GetProperty("enabled").GetBoolean(), flag.Text("reason"));
            if (seen == (enabled, reason)) return;
            if (TimeProvider.System.GetUtcNow() > deadline) Assert.Equal((enabled, reason), seen);
            await Task.Delay(20);
        }
    }
}
