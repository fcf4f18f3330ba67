using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Nubabel.Api.Tests.Slices;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Races;

/// <summary>Flags on real processes: what one is told all know, and one that does not know yet says no.</summary>
[Collection(Alone.Name)]
public sealed class FlagProcessTests
{
    /// <summary>Promised is one second; this machine may be busy with other tests.</summary>
    private static readonly TimeSpan Visible = TimeSpan.FromSeconds(5);

    [Fact]
    public async Task A_change_on_one_process_is_visible_on_the_other_also_after_it_was_killed_and_started_again()
    {
        await using var database = await TestDatabase.New();
        // Signs people in, and runs no projection: that is the processes' work.
        await using var witness = await TestApi.Start(database, settings => settings["Daemon:Enabled"] = "false");
        var (acme, bolt) = (await witness.SignUp(), await witness.SignUp());
        using var root = await witness.Operator();
        var credential = root.DefaultRequestHeaders.Authorization!.Parameter!;
        await using var first = await NodeProcess.Start(database);
        var second = await NodeProcess.Start(database);
        try
        {
            using (var platform = As(first, credential)) await platform.Post("/admin/feature-flags", new { key = "a", enabled = true }).Json(HttpStatusCode.Created);
            await Sees(second, acme, true, "default");
            using (var platform = As(second, credential)) await platform.Post("/admin/feature-flags/a/overrides", new { organizationId = acme.Id, enabled = false }).Json(HttpStatusCode.Created);
            await Sees(first, acme, false, "override");

            await second.Kill();
            await second.DisposeAsync();
            using (var platform = As(first, credential)) await platform.DeleteAsync($"/admin/feature-flags/a/overrides/{acme.Id}").Json(HttpStatusCode.NoContent);
            second = await NodeProcess.Start(database);
            // It listens, so it knows: the first answer is right.
            Assert.Equal((200, true, "default"), await Ask(second, acme));
            for (var i = 0; i < 3; i++) Assert.Equal((200, true, "default"), await Ask(second, bolt));
            await second.Terminate();
            Assert.Equal(0, await second.ExitCode(TimeSpan.FromSeconds(45)));
            // What it had counted it wrote on its way out.
            Assert.Equal(3, await database.Scalar<long>($"select sum(enabled)::bigint from nubabel.flag_counts where flag = 'a' and tenant_id = '{bolt.Id}'"));
        }
        finally
        {
            await second.DisposeAsync();
        }
    }

    [Fact]
    public async Task A_process_that_could_not_load_the_flags_has_none_of_them_on()
    {
        await using var database = await TestDatabase.New();
        await using var witness = await TestApi.Start(database);
        var acme = await witness.SignUp();
        using var platform = await witness.Operator();
        using var created = await platform.Post("/admin/feature-flags", new { key = "a", enabled = true });
        await platform.Items("/admin/feature-flags", created.Position());
        // A row that nobody can read stands in the way of loading the list.
        await database.Run("insert into read.flags_v1 (tenant_id, key, version, position, doc, archived) select tenant_id, 'flag-broken', 1, position, '{}', false from read.flags_v1 limit 1");
        await using var starts = await NodeProcess.Start(database);
        using (var health = new HttpClient { BaseAddress = starts.Address }) Assert.Equal(HttpStatusCode.ServiceUnavailable, (await health.GetAsync("/health/ready")).StatusCode);
        var (status, enabled, reason) = await Ask(starts, acme);
        Assert.True(status == 503 || (status, enabled, reason) == (200, false, "unknown"), $"{status} {enabled} {reason}");
        await database.Run("delete from read.flags_v1 where key = 'flag-broken'");
        await Sees(starts, acme, true, "default");
    }

    private static HttpClient As(NodeProcess node, string credential) => new() { BaseAddress = node.Address, DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", credential) } };

    private static async Task<(int Status, bool Enabled, string Reason)> Ask(NodeProcess node, TestTenant acme)
    {
        using var client = As(node, acme.AccessToken);
        using var answer = await client.GetAsync("/api/flags?keys=a");
        if (answer.StatusCode != HttpStatusCode.OK) return ((int)answer.StatusCode, false, "");
        var flag = JsonElement.Parse(await answer.Content.ReadAsStringAsync()).GetProperty("flags").GetProperty("a");
        return (200, flag.GetProperty("enabled").GetBoolean(), flag.Text("reason"));
    }

    private static async Task Sees(NodeProcess node, TestTenant acme, bool enabled, string reason)
    {
        var since = Stopwatch.StartNew();
        (int, bool, string) seen;
        while ((seen = await Ask(node, acme)) != (200, enabled, reason))
        {
            Assert.True(since.Elapsed < Visible, $"After {since.Elapsed} it is {seen}.");
            await Task.Delay(20);
        }
    }
}
