using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Consumers;
using Nubabel.Api.Host;
using Nubabel.Api.Tests.Races;
using Nubabel.Api.Tests.Slices;
using Nubabel.Projections.Consumers;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Consumers;

/// <summary>Endpoints that fail are left alone for a while, by all nodes.</summary>
public sealed class BreakerTests
{
    [Fact]
    public async Task A_breaker_opens_after_five_failures_lets_one_through_and_closes_again()
    {
        var api = await TestApi.Shared;
        var (tenant, name, ct) = ((await api.SignUp()).Id, "consumer-x", CancellationToken.None);
        var rows = api.Services.GetRequiredService<Node>().Rows(tenant);
        for (var i = 1; i <= 5; i++)
        {
            Assert.Null((await CircuitBreakers.Enter(rows, name, ct)).Wait);
            Assert.Equal(i, (await CircuitBreakers.Failed(rows, name, "timeout", ct)).Failures);
        }
        Assert.InRange((await CircuitBreakers.Enter(rows, name, ct)).Wait!.Value, TimeSpan.FromSeconds(20), TimeSpan.FromSeconds(38));
        // A late failure of one who was under way does not make it longer.
        await CircuitBreakers.Failed(rows, name, "timeout", ct);
        Assert.InRange((await CircuitBreakers.Enter(rows, name, ct)).Wait!.Value, TimeSpan.FromSeconds(20), TimeSpan.FromSeconds(38));

        await Over();
        var passages = await Burst.Of(20, _ => CircuitBreakers.Enter(rows, name, ct));
        Assert.Equal(1, passages.Count(p => p.Wait is null));
        await CircuitBreakers.Failed(rows, name, "timeout", ct);
        Assert.InRange((await CircuitBreakers.Enter(rows, name, ct)).Wait!.Value, TimeSpan.FromSeconds(40), TimeSpan.FromSeconds(76));

        using var op = await api.Operator();
        var shown = (await op.GetAsync("/api/admin/circuit-breakers").Json()).GetProperty("items").EnumerateArray().Single(b => b.Text("organization") == tenant);
        Assert.Equal((name, "open", 7, "timeout"), (shown.Text("name"), shown.Text("state"), shown.GetProperty("failures").GetInt32(), shown.Text("error")));

        await Over();
        Assert.Equal(new Passage(null, true), await CircuitBreakers.Enter(rows, name, ct));
        await CircuitBreakers.Succeeded(rows, name, ct);
        Assert.Equal(new Passage(null, false), await CircuitBreakers.Enter(rows, name, ct));

        Task Over() => api.Database.Run($"update nubabel.circuit_breakers set until = now() - interval '1 second' where tenant_id = '{tenant}'");
    }

    [Fact]
    public async Task The_pause_of_a_breaker_grows_to_an_hour()
    {
        var api = await TestApi.Shared;
        var (tenant, name, ct) = ((await api.SignUp()).Id, "consumer-x", CancellationToken.None);
        var rows = api.Services.GetRequiredService<Node>().Rows(tenant);
        for (var i = 0; i < 5; i++) await CircuitBreakers.Failed(rows, name, "timeout", ct);
        await api.Database.Run($"update nubabel.circuit_breakers set openings = 30, state = 'half_open' where tenant_id = '{tenant}'");
        await CircuitBreakers.Failed(rows, name, "timeout", ct);
        Assert.InRange((await CircuitBreakers.Enter(rows, name, ct)).Wait!.Value, TimeSpan.FromMinutes(44), TimeSpan.FromMinutes(76));
    }

    [Fact]
    public async Task While_it_is_open_nothing_is_sent_and_no_attempt_is_lost()
    {
        await using var receiver = await Receiver.Start();
        receiver.Say(500);
        var acme = await (await TestApi.Shared).SignUp();
        var consumer = await acme.Consume(receiver);
        for (var i = 0; i < 12; i++) await acme.Device();
        await Burst.Until("it is open", TimeSpan.FromSeconds(20), async () =>
            await acme.Api.Database.Scalar<long>($"select count(*) from nubabel.circuit_breakers where tenant_id = '{acme.Id}' and state = 'open'") == 1);
        // Those that were under way when it opened, at most one of each lane, come to their end.
        await Burst.Until("nobody is under way", TimeSpan.FromSeconds(20), async () =>
            await acme.Api.Database.Scalar<long>($"select count(*) from nubabel.lanes where tenant_id = '{acme.Id}' and queue = 'deliveries' and worker is not null") == 0);
        var (called, tried) = (receiver.Calls.Count, await Tried());
        Assert.Equal(called, tried);
        Assert.InRange(called, 5, 13);
        // All that waits is to be tried now, but for the breaker.
        await acme.Api.Database.Run($"update nubabel.deliveries set next = null where tenant_id = '{acme.Id}'; update nubabel.deferred_messages set due = now() where tenant_id = '{acme.Id}'; update nubabel.lanes set until = now() where tenant_id = '{acme.Id}' and until is not null");
        // Where an event stands says on which of the eight lanes its delivery goes.
        var lanes = await acme.Api.Database.Scalar<long>($"select count(distinct seq_id % {ConsumerFanOut.AtOnce}) from events.mt_events where tenant_id = '{acme.Id}' and type = 'device_registered'");
        await Burst.Until("all lanes wait for the breaker", TimeSpan.FromSeconds(20), async () =>
            await acme.Api.Database.Scalar<long>($"select count(*) from nubabel.lanes where tenant_id = '{acme.Id}' and until > now() + interval '5 seconds'") == lanes &&
            await acme.Api.Database.Scalar<bool>($"""
                select count(*) = 12 and bool_and(exists (select from nubabel.lanes l where (l.queue, l.tenant_id, l.lane) = (m.queue, m.tenant_id, m.lane) and l.until > now() + interval '5 seconds'))
                  from nubabel.messages m where tenant_id = '{acme.Id}' and queue = 'deliveries'
                """));
        Assert.Equal((called, tried), (receiver.Calls.Count, await Tried()));
        receiver.Say(200);
        await acme.HurryUntil("all are delivered", async () => (await acme.Client.Items($"{consumer.PathOf()}/deliveries?state=delivered")).Count == 12);
        Assert.Equal(0L, await acme.Api.Database.Scalar<long>($"select count(*) from nubabel.circuit_breakers where tenant_id = '{acme.Id}'"));

        async Task<long> Tried() => await acme.Api.Database.Scalar<long>($"select coalesce(sum(tried), 0)::bigint from nubabel.deliveries where tenant_id = '{acme.Id}'");
    }
}
