using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Http.Headers;
using Npgsql;
using Nubabel.Testing;
using Xunit.Abstractions;

namespace Nubabel.Api.Tests.Races;

/// <summary>
/// Three processes on one database under load, killed, stopped and restarted at random, and PostgreSQL too. Runs some seconds, or as long as
/// NUBABEL_STRESS_SECONDS says.
/// </summary>
[Collection(Alone.Name)]
public sealed class ChaosTests(ITestOutputHelper output)
{
    private static readonly TimeSpan Time =
        TimeSpan.FromSeconds(int.TryParse(Environment.GetEnvironmentVariable("NUBABEL_STRESS_SECONDS"), out var seconds) ? seconds : 10);

    /// <summary>What a takeover may take on a machine that does five things at once; alone it is two seconds.</summary>
    private static readonly TimeSpan Takeover = TimeSpan.FromSeconds(5 * 2);

    private readonly ConcurrentQueue<string> lies = new();

    [Fact]
    public async Task Processes_killed_at_random_under_load_lose_and_double_nothing_and_say_what_they_are()
    {
        var server = await TestServer.StartOwn();
        try
        {
            await using var database = await TestDatabase.New(server);
            await Run(server, database);
        }
        finally
        {
            await server.Stop("immediate");
        }
    }

    private async Task Run(TestServer server, TestDatabase database)
    {
        // Somebody who stays: signs up, and reads in the end.
        await using var witness = await TestApi.Start(database, settings => settings["Daemon:Enabled"] = "false");
        var acme = await witness.SignUp();
        await using var cluster = new Cluster(database);
        await cluster.Start();
        await using var writers = new Writers(6, acme.AccessToken, () => cluster.Address, TimeSpan.FromSeconds(5));
        using var over = new CancellationTokenSource();
        var watching = Task.WhenAll(Task.Run(() => Positions(database, cluster, over.Token)), Task.Run(() => Ready(cluster, acme, over.Token)));

        var random = new Random();
        var clock = Stopwatch.StartNew();
        while (clock.Elapsed < Time / 2) await cluster.Disturb(random);
        await RestartDatabase(server, cluster, writers);
        while (clock.Elapsed < Time) await cluster.Disturb(random);

        await cluster.AllAreUp();
        await writers.More(10);
        await writers.Finish();
        await over.CancelAsync();
        await watching;
        output.WriteLine($"{clock.Elapsed.TotalSeconds:0} s, {writers.Acknowledged.Count} writes acknowledged; deeds: {string.Join(", ", cluster.Deeds)}; heard: {string.Join(", ", writers.Heard)}");
        output.WriteLine($"takeovers after SIGKILL, in ms: {string.Join(", ", cluster.Takeovers.Select(t => t.TotalMilliseconds.ToString("0", provider: null)))}");

        Assert.Empty(lies);
        await writers.EverythingIsThereOnce(database, acme, acme.Client);
        await EverybodyIsWell(cluster, database);
        Assert.Empty(await LogCopy.Differences(database));
        Assert.Equal(0, await database.Scalar<long>("select count(*) from nubabel.parked"));
        Assert.All(cluster.Takeovers, t => Assert.InRange(t, TimeSpan.Zero, Takeover));
    }

    /// <summary>In the end three nodes share the projections out evenly, are ready, and hear of a sign-out.</summary>
    private static async Task EverybodyIsWell(Cluster cluster, TestDatabase database)
    {
        await Burst.Until("everybody has a share", TimeSpan.FromSeconds(30), async () =>
            (await cluster.Owners()).GroupBy(o => o).Select(g => g.Count()).ToList() is var counts && counts.Count == 3 && counts.Max() - counts.Min() <= 1);
        await using var fresh = await TestApi.Start(database, settings => settings["Daemon:Enabled"] = "false");
        var bolt = await fresh.SignUp();
        foreach (var (node, _) in cluster.Up)
        {
            using var client = As(node, bolt);
            Reply? said = null;
            await Burst.Until(() => $"it is healthy; it said {said?.Body}", TimeSpan.FromSeconds(20), async () => (said = await Reply.To(client, "GET", "/health/ready")).Text("status") == "healthy");
            Assert.Equal(200, (await Reply.To(client, "GET", "/api/user")).Status);
        }
        Assert.Equal(204, (await Reply.To(bolt.Client, "POST", "/api/auth/sign-out")).Status);
        foreach (var (node, _) in cluster.Up)
        {
            using var client = As(node, bolt);
            await Burst.Until("it hears of a sign-out at another node", TimeSpan.FromSeconds(10), async () => (await Reply.To(client, "GET", "/api/user")).Status == 401);
        }
    }

    /// <summary>While PostgreSQL is away every node says so, and when it is back the same processes go on.</summary>
    private static async Task RestartDatabase(TestServer server, Cluster cluster, Writers writers)
    {
        await cluster.AllAreUp();
        var nodes = cluster.Up;
        await server.Stop("fast");
        foreach (var (node, _) in nodes)
        {
            using var client = new HttpClient { BaseAddress = node.Address };
            await Burst.Until("it says that it is not ready", TimeSpan.FromSeconds(10), async () =>
                await Reply.To(client, "GET", "/health/ready") is { Status: 503 } reply && reply.Json.GetProperty("components").GetProperty("database").GetProperty("status").GetString() == "unhealthy");
        }
        await server.Resume();
        await writers.More(10);
        foreach (var (node, _) in nodes)
        {
            using var client = new HttpClient { BaseAddress = node.Address };
            await Burst.Until("it is ready again", TimeSpan.FromSeconds(20), async () => (await Reply.To(client, "GET", "/health/ready")).Status == 200);
        }
    }

    /// <summary>No checkpoint goes back, nor does the mark, and no projection has two owners.</summary>
    private async Task Positions(TestDatabase database, Cluster cluster, CancellationToken over)
    {
        var seen = new Dictionary<string, long>();
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (await Ticks(timer, over))
        {
            try
            {
                await using var command = database.Superuser.CreateCommand("select name, last_seq_id from events.mt_event_progression");
                await using var reader = await command.ExecuteReaderAsync(over);
                while (await reader.ReadAsync(over))
                {
                    var (name, position) = (reader.GetString(0), reader.GetInt64(1));
                    if (position < seen.GetValueOrDefault(name)) lies.Enqueue($"{name} went back from {seen[name]} to {position}");
                    seen[name] = position;
                }
                foreach (var two in (await cluster.Owners()).Where(o => o.Contains('+', StringComparison.Ordinal))) lies.Enqueue($"one projection has two owners: {two}");
            }
            catch (Exception away) when (away is NpgsqlException or OperationCanceledException)
            {
                // The database is being restarted, or it is over.
            }
        }
    }

    /// <summary>A node that says it is ready answers a request, unless something was done to it in between.</summary>
    private async Task Ready(Cluster cluster, TestTenant acme, CancellationToken over)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (await Ticks(timer, over))
        {
            foreach (var seen in cluster.Up)
            {
                using var client = As(seen.Node, acme);
                var said = await Ask(client, "/health/ready", over);
                if (said != 200 || !cluster.IsUntouched(seen)) continue;
                var served = await Ask(client, "/api/user", over);
                // Ready is what was seen a moment ago; whoever is not ready now either, has said so in time.
                if (served != 200 && cluster.IsUntouched(seen) && await Ask(client, "/health/ready", over) == 200 && !over.IsCancellationRequested)
                    lies.Enqueue($"{seen.Node.Address} said that it is ready, answered {served}, and said again that it is");
            }
        }
    }

    /// <summary>False when it is over.</summary>
    private static async Task<bool> Ticks(PeriodicTimer timer, CancellationToken over)
    {
        try
        {
            return await timer.WaitForNextTickAsync(over);
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    /// <summary>The status; 0 for none.</summary>
    private static async Task<int> Ask(HttpClient client, string path, CancellationToken ct)
    {
        try
        {
            using var answer = await client.GetAsync(path, ct);
            return (int)answer.StatusCode;
        }
        catch (Exception none) when (none is HttpRequestException or OperationCanceledException)
        {
            return 0;
        }
    }

    private static HttpClient As(NodeProcess node, TestTenant tenant) =>
        new() { BaseAddress = node.Address, Timeout = TimeSpan.FromSeconds(10), DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", tenant.AccessToken) } };
}
