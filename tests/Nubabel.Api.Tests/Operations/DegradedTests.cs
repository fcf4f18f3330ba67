using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using Nubabel.Api.Tests.Races;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Operations;

/// <summary>What a node says of itself when something holds its read models: soon, with the name of the culprit, and no longer than it is so.</summary>
[Collection(Alone.Name)]
public sealed class DegradedTests : IAsyncLifetime
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(5);
    private TestDatabase database = null!;
    private TestApi api = null!;

    public async Task InitializeAsync()
    {
        database = await TestDatabase.New();
        api = await TestApi.Start(database);
    }

    public async Task DisposeAsync()
    {
        await api.DisposeAsync();
        await database.DisposeAsync();
    }

    [Fact]
    public async Task An_open_transaction_that_holds_the_mark_is_named_with_pid_age_and_application_by_nodes_with_and_without_leases()
    {
        await using var bystander = await TestApi.Start(database, settings => settings["Daemon:Enabled"] = "false");
        await Says(api, "healthy", _ => true);
        await using var culprit = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(database.DaemonString) { ApplicationName = "nightly report", Pooling = false }.ConnectionString);
        await culprit.OpenAsync();
        await Run(culprit, "begin; select nextval('events.mt_events_sequence')");
        // Without anything visible above it, it is in nobody's way.
        await api.SignUp();

        foreach (var node in (TestApi[])[api, bystander])
            await Says(node, "degraded", detail => detail.Contains($"pid {culprit.ProcessID} (nightly report), open for ", StringComparison.Ordinal));
        await Run(culprit, "rollback");
        foreach (var node in (TestApi[])[api, bystander]) await Says(node, "healthy", _ => true);
    }

    [Fact]
    public async Task A_prepared_transaction_that_holds_the_mark_is_named_by_its_gid()
    {
        var gid = $"forgotten {Guid.NewGuid():N}";
        await using (var culprit = await database.Superuser.OpenConnectionAsync())
            await Run(culprit, $"begin; select nextval('events.mt_events_sequence'); prepare transaction '{gid}'");
        await api.SignUp();
        await Says(api, "degraded", detail => detail.Contains($"prepared transaction {gid}, open for ", StringComparison.Ordinal));
        await database.Run($"rollback prepared '{gid}'");
        await Says(api, "healthy", _ => true);
    }

    [Fact]
    public async Task A_loop_that_hangs_is_named_until_it_goes_round_again()
    {
        var acme = await api.SignUp();
        await Says(api, "healthy", _ => true);
        await using (var holder = await database.Superuser.OpenConnectionAsync())
        {
            await Run(holder, "begin; select from events.mt_event_progression where name = 'devices:V2:All' for update");
            await Reply.To(acme.Client, "POST", "/api/devices", new { name = "phone", type = "mobile" });
            await Says(api, "degraded", detail => detail.Contains("the loop projections hangs", StringComparison.Ordinal), within: Soon + TimeSpan.FromSeconds(1));
            await Run(holder, "rollback");
        }
        await Says(api, "healthy", _ => true);
    }

    [Fact]
    public async Task A_loop_that_has_ended_is_named()
    {
        await Says(api, "healthy", _ => true);
        await api.Services.GetRequiredService<ProjectionDaemon>().Stop();
        await Says(api, "degraded", detail => detail.Contains("the loop projections has ended", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(-10)]
    [InlineData(10)]
    public async Task A_node_whose_clock_is_minutes_off_works_and_is_not_taken_for_one_that_is_behind(int minutes)
    {
        await using var crooked = await TestApi.Start(database, time: new Crooked(TimeSpan.FromMinutes(minutes)));
        var acme = await crooked.SignUp();
        for (var i = 0; i < 40; i++)
        {
            var written = await Reply.To(acme.Client, "POST", "/api/devices", new { name = $"phone {i}", type = "mobile" });
            var look = await crooked.Services.GetRequiredService<Api.Operations.Readiness>().Look();
            Assert.Equal("healthy", look.Components["projections"].Status);
            Assert.Equal(200, (await Reply.Seen(acme.Client, "/api/devices", written.Position)).Status);
        }
        var nodes = await Nodes.Read(database.Database.Daemon, default);
        Assert.Equal(2, nodes.Count(n => n.Alive));
        Assert.All(nodes, n => Assert.InRange(n.SilentSeconds, 0, 5));
    }

    private static Task<TimeSpan> Says(TestApi node, string status, Func<string, bool> detail, TimeSpan? within = null)
    {
        var last = default(JsonElement);
        return Burst.Until(() => $"{status}; it said {last}", within ?? Soon, async () =>
        {
            var reply = await Reply.To(node.Client, "GET", "/health/ready");
            last = reply.Json;
            Assert.Equal(200, reply.Status);
            var said = last.GetProperty("components").GetProperty("projections");
            return last.GetProperty("status").GetString() == status && detail(said.TryGetProperty("detail", out var text) ? text.GetString() ?? "" : "");
        });
    }

    private static async Task Run(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    private sealed class Crooked(TimeSpan by) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + by;
    }
}
