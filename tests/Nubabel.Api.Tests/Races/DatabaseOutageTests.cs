using Nubabel.Testing;

namespace Nubabel.Api.Tests.Races;

/// <summary>PostgreSQL goes away and comes back while everybody works: nothing acknowledged is lost, and the same process goes on.</summary>
[Collection(Alone.Name)]
public sealed class DatabaseOutageTests
{
    private static readonly TimeSpan Recovery = TimeSpan.FromSeconds(10);

    [Fact]
    public async Task A_database_that_is_stopped_and_started_again_costs_honest_refusals_and_nothing_else()
    {
        var server = await TestServer.StartOwn();
        try
        {
            await using var database = await TestDatabase.New(server);
            await StopAndStart(server, database);
        }
        finally
        {
            await server.Stop("immediate");
        }
    }

    private static async Task StopAndStart(TestServer server, TestDatabase database)
    {
        await using var api = await TestApi.Start(database);
        var acme = await api.SignUp();
        await using var writers = new Writers(6, acme.AccessToken, () => api.Client.BaseAddress!);
        foreach (var mode in (string[])["fast", "immediate"])
        {
            await writers.More(30);
            await server.Stop(mode);
            await Away(api, acme, writers);
            await server.Resume();
            var started = TimeProvider.System.GetTimestamp();
            await writers.More(30);
            await Back(api, acme);
            Assert.InRange(TimeProvider.System.GetElapsedTime(started), TimeSpan.Zero, Recovery);
        }
        await writers.Finish();
        await writers.EverythingIsThereOnce(database, acme, acme.Client);
        Assert.InRange(writers.Longest, TimeSpan.Zero, TimeSpan.FromSeconds(31));
        Assert.Subset(new HashSet<string>(["database.unavailable", "outcome.unknown"]), writers.Heard.Keys.ToHashSet());
    }

    private static async Task Away(TestApi api, TestTenant acme, Writers writers)
    {
        Assert.Equal(200, (await Reply.To(api.Client, "GET", "/health/live")).Status);
        await Burst.Until("the node is not ready", TimeSpan.FromSeconds(5), async () => (await Reply.To(api.Client, "GET", "/health/ready")).Status == 503);
        foreach (var path in (string[])["/api/devices", "/api/user", "/api/audit-logs", "/api/sessions"])
        {
            var started = TimeProvider.System.GetTimestamp();
            var reply = await Reply.To(acme.Client, "GET", path);
            Assert.Equal((503, "database.unavailable"), (reply.Status, reply.Code));
            Assert.NotNull(reply.RetryAfter);
            Assert.InRange(TimeProvider.System.GetElapsedTime(started), TimeSpan.Zero, TimeSpan.FromSeconds(10));
        }
        await writers.AllAreRefused();
        var before = writers.Acknowledged.Count;
        var signIn = await Reply.To(api.Client, "POST", "/api/auth/sign-in", new { organization = acme.Slug, email = acme.Email, password = TestTenant.Password });
        Assert.Equal((503, "database.unavailable"), (signIn.Status, signIn.Code));
        Assert.Equal(before, writers.Acknowledged.Count);
    }

    /// <summary>Reads, lists, projections and the live tail of the same process work again.</summary>
    private static async Task Back(TestApi api, TestTenant acme)
    {
        var created = await Reply.To(acme.Client, "GET", "/api/user");
        Assert.Equal(200, created.Status);
        await Burst.Until("the lists follow", Recovery, async () =>
        {
            var probe = await Reply.To(acme.Client, "PATCH", "/api/user", new { name = $"Ada {Guid.NewGuid()}" });
            return probe.Status == 200 && (await Reply.To(acme.Client, "GET", "/api/audit-logs?limit=1", minPosition: probe.Position)).Status == 200;
        });
        var session = await Reply.To(api.Client, "POST", "/api/auth/sign-in", new { organization = acme.Slug, email = acme.Email, password = TestTenant.Password });
        Assert.Equal(200, session.Status);
        using var other = api.As(session.Text("access_token"));
        Assert.Equal(204, (await Reply.To(other, "POST", "/api/auth/sign-out")).Status);
        await Burst.Until("the live tail hears a sign-out", Recovery, async () => (await Reply.To(other, "GET", "/api/user")).Status == 401);
        await Burst.Until("the node is ready", Recovery, async () => (await Reply.To(api.Client, "GET", "/health/ready")).Json.GetProperty("status").GetString() == "healthy");
    }
}
