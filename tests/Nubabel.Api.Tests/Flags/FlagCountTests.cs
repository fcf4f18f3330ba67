using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Flags;
using Nubabel.Api.Host;
using Nubabel.Api.Tests.Slices;
using Nubabel.Domain.Flags;
using Nubabel.Projections.Flags;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Flags;

/// <summary>What operators see of how often flags are asked for.</summary>
public sealed class FlagCountTests
{
    [Fact]
    public async Task The_counts_of_all_nodes_are_one_and_a_node_that_stops_loses_none()
    {
        await using var database = await TestDatabase.New();
        await using var stays = await TestApi.Start(database, time: new WithoutFlushes());
        using var platform = await stays.Operator();
        var (acme, bolt) = (await stays.SignUp(), await stays.SignUp());
        await platform.Post("/admin/feature-flags", new { key = "a", enabled = true }).Json(System.Net.HttpStatusCode.Created);
        await platform.Post("/admin/feature-flags", new { key = "idle", enabled = true }).Json(System.Net.HttpStatusCode.Created);
        await platform.Post("/admin/feature-flags/a/overrides", new { organizationId = bolt.Id, enabled = false }).Json(System.Net.HttpStatusCode.Created);
        await using (var stops = await TestApi.Start(database, time: new WithoutFlushes()))
        {
            foreach (var node in new[] { stays, stops }) await Knows(node, Guid.Parse(bolt.Id));
            foreach (var token in new[] { acme.AccessToken, acme.AccessToken, bolt.AccessToken })
                foreach (var node in new[] { stays, stops })
                    using (var client = node.As(token)) await client.GetAsync("/api/flags?keys=a").Json();
        }
        // The one has stopped and has written; the other one's are written when its time comes, which here is when it is told.
        Assert.Equal((2, 1), Sums(await Evaluations(platform, "a")));
        await stays.Services.GetRequiredService<EvaluationFlush>().Flush(CancellationToken.None);
        await stays.Services.GetRequiredService<EvaluationFlush>().Flush(CancellationToken.None);

        var seen = await Evaluations(platform, "a");
        Assert.Equal((4, 2, true), (seen.GetProperty("enabled").GetInt64(), seen.GetProperty("disabled").GetInt64(), seen.GetProperty("isComplete").GetBoolean()));
        Assert.Equal([(acme.Id, 4, 0), (bolt.Id, 0, 2)], seen.GetProperty("organizations").EnumerateArray().Select(o => (o.Text("organizationId"), o.GetProperty("enabled").GetInt64(), o.GetProperty("disabled").GetInt64())));
        Assert.InRange(seen.GetProperty("lastEvaluatedAt").GetDateTimeOffset(), TimeProvider.System.GetUtcNow().AddMinutes(-5), TimeProvider.System.GetUtcNow());
        Assert.Equal((0, 2), Sums(await Evaluations(platform, $"a/evaluations?organization={bolt.Id}")));
        var idle = await Evaluations(platform, "idle");
        Assert.Equal((0, 0), Sums(idle));
        Assert.Equal(JsonValueKind.Null, idle.TryGetProperty("lastEvaluatedAt", out var last) ? last.ValueKind : JsonValueKind.Null);
    }

    [Fact]
    public async Task Days_are_summed_from_the_first_to_the_last_and_old_ones_are_forgotten()
    {
        await using var database = await TestDatabase.New();
        await using var api = await TestApi.Start(database, settings => settings["Daemon:Enabled"] = "false");
        using var platform = await api.Operator();
        await platform.Post("/admin/feature-flags", new { key = "a", enabled = true }).Json(System.Net.HttpStatusCode.Created);
        var node = api.Services.GetRequiredService<Node>();
        var noon = new DateTimeOffset(2026, 5, 20, 12, 0, 0, TimeSpan.Zero);
        var tenants = Enumerable.Range(0, 150).Select(n => new Guid(n, 1, 2, new byte[8]).ToString()).ToArray();
        foreach (var (day, enabled) in new[] { (-500, 1), (-2, 10), (-1, 100), (0, 1_000) })
            await FlagCounts.Add(node.EveryonesWriter, [.. tenants.Select(t => new Evaluated("a", t, enabled, 1)), new Evaluated("other", tenants[0], 5, 5)], noon.AddDays(day), CancellationToken.None);
        var seen = await Evaluations(platform, "a/evaluations?from=2026-05-19&to=2026-05-20");
        Assert.Equal((165_000, 300), Sums(seen));
        Assert.Equal([("2026-05-19", 15_000), ("2026-05-20", 150_000)], seen.GetProperty("days").EnumerateArray().Select(d => (d.Text("day"), d.GetProperty("enabled").GetInt64())));
        Assert.Equal((FlagCounts.MostShown, false), (seen.GetProperty("organizations").GetArrayLength(), seen.GetProperty("isComplete").GetBoolean()));
        // Before the first day, and yet told.
        Assert.Equal(noon.AddDays(0), (await Evaluations(platform, "a/evaluations?from=2027-01-01&to=2027-01-02")).GetProperty("lastEvaluatedAt").GetDateTimeOffset());
        Assert.Equal(150, await database.Scalar<long>("select count(*) from nubabel.flag_counts where day < '2025-06-01' and flag = 'a'"));
        await FlagCounts.Forget(node.EveryonesWriter, noon, CancellationToken.None);
        Assert.Equal((0, 604 - 151), (await database.Scalar<long>("select count(*) from nubabel.flag_counts where day < '2025-06-01'"), await database.Scalar<long>("select count(*) from nubabel.flag_counts")));
    }

    [Fact]
    public async Task What_found_no_room_makes_the_list_incomplete()
    {
        await using var database = await TestDatabase.New();
        await using var api = await TestApi.Start(database, settings => settings["Daemon:Enabled"] = "false");
        var node = api.Services.GetRequiredService<Node>();
        var now = TimeProvider.System.GetUtcNow();
        await FlagCounts.Add(node.EveryonesWriter, [new Evaluated("a", Guid.CreateVersion7().ToString(), 1, 0), new Evaluated("a", Node.Platform, 7, 3)], now, CancellationToken.None);
        var today = DateOnly.FromDateTime(now.UtcDateTime);
        var seen = await FlagCounts.Of(node.Everyones, FlagKey.Parse("a"), null, today, today, CancellationToken.None);
        Assert.Equal((8, 3, 1, false), (seen.Enabled, seen.Disabled, seen.Organizations.Count, seen.IsComplete));
    }

    [Fact]
    public async Task What_cannot_be_asked_for_is_refused()
    {
        using var platform = await (await TestApi.Shared).Operator();
        var key = $"f{Guid.NewGuid():N}";
        await platform.GetAsync($"/admin/feature-flags/{key}/evaluations").Refused(404, "flag.missing");
        await platform.Post("/admin/feature-flags", new { key, enabled = true }).Json(System.Net.HttpStatusCode.Created);
        await platform.GetAsync($"/admin/feature-flags/{key}/evaluations?from=yesterday").Refused(400, "query.invalid");
        await platform.GetAsync($"/admin/feature-flags/{key}/evaluations?organization=acme").Refused(400, "query.invalid");
        Assert.Equal((0, 0), Sums(await Evaluations(platform, key)));
    }

    private static Task<JsonElement> Evaluations(HttpClient platform, string flag) =>
        platform.GetAsync($"/admin/feature-flags/{flag}{(flag.Contains('/', StringComparison.Ordinal) ? "" : "/evaluations")}").Json();

    private static (long Enabled, long Disabled) Sums(JsonElement seen) => (seen.GetProperty("enabled").GetInt64(), seen.GetProperty("disabled").GetInt64());

    /// <summary>Waits until the node has the override, which is the last that was set, without counting anything for the organizations of the test.</summary>
    private static async Task Knows(TestApi node, Guid bolt)
    {
        var evaluation = node.Services.GetRequiredService<Evaluation>();
        await Races.Burst.Until("the flag is known", TimeSpan.FromSeconds(10), () => Task.FromResult(evaluation.Keys.Order(StringComparer.Ordinal).SequenceEqual(["a", "idle"]) && evaluation.Peek("a", bolt).Reason == FlagReason.Override));
    }

    /// <summary>The system's clock, but for the timer that writes the counts: it never rings, so that a test says when they are written.</summary>
    private sealed class WithoutFlushes : TimeProvider
    {
        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
            base.CreateTimer(callback, state, dueTime == EvaluationFlush.Every ? Timeout.InfiniteTimeSpan : dueTime, period);
    }
}
