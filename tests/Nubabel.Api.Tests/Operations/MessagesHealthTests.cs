using Nubabel.Api.Tests.Races;
using Nubabel.Api.Tests.Slices;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Operations;

/// <summary>What a node says of its messages.</summary>
public sealed class MessagesHealthTests
{
    [Fact]
    public async Task Stalled_work_degrades_readiness_and_is_named_in_the_list_of_queues()
    {
        await using var database = await TestDatabase.New();
        await using var api = await TestApi.Start(database);
        using var op = await api.Operator();
        Assert.Equal("healthy", (await Component(api)).Text("status"));
        // Work for a queue that nobody works on, and a message for later that nobody has brought.
        await database.Run("""
            insert into nubabel.messages (queue, tenant_id, lane, seq, id, type, body, actor) values ('forgotten', 't', '!1', 1, gen_random_uuid(), 'note', '{}', 'system:test');
            insert into nubabel.ready_lanes (queue, tenant_id, lane, since) values ('forgotten', 't', '!1', now() - interval '6 minutes');
            """);
        await Burst.Until("readiness is degraded", TimeSpan.FromSeconds(20), async () => (await Component(api)).Text("status") == "degraded");
        var component = await Component(api);
        Assert.StartsWith("Nobody works on forgotten", component.Text("detail"), StringComparison.Ordinal);
        Assert.Equal(1, component.GetProperty("depth").GetInt64());
        Assert.InRange(component.GetProperty("lagSeconds").GetDouble(), 360, 400);
        var queues = (await op.GetAsync("/api/admin/messages").Json()).GetProperty("queues").EnumerateArray().ToDictionary(q => q.Text("queue"));
        Assert.Equal(["forgotten", "mail", "operations"], queues.Keys.Order(StringComparer.Ordinal).Where(q => q is "forgotten" or "mail" or "operations"));
        Assert.True(queues["forgotten"].TryGetProperty("stalled", out _));
        Assert.Equal((1, 0), (queues["mail"].GetProperty("workers").GetInt64(), queues["mail"].GetProperty("messages").GetInt64()));

        await database.Run("delete from nubabel.ready_lanes where queue = 'forgotten'; delete from nubabel.messages where queue = 'forgotten'");
        await Burst.Until("readiness is healthy", TimeSpan.FromSeconds(20), async () => (await Component(api)).Text("status") == "healthy");
    }

    private static async Task<System.Text.Json.JsonElement> Component(TestApi api) => (await api.Client.GetAsync("/health/ready").Json()).GetProperty("components").GetProperty("messages");
}
