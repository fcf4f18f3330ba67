using System.Net.Http.Json;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Host;
using Nubabel.Api.Tests.Races;
using Nubabel.Api.Tests.Slices;
using Nubabel.Domain;
using Nubabel.Domain.Devices;
using Nubabel.Projections;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Consumers;

/// <summary>Which deliveries wait for which others, and that there is one of each.</summary>
public sealed class OrderTests
{
    private static readonly string[] DeviceTypes = ["nubabel.device.registered.v1", "nubabel.device.renamed.v1"];

    [Fact]
    public async Task The_events_of_an_object_come_in_order_though_one_of_them_fails_and_other_objects_do_not_wait()
    {
        await using var receiver = await Receiver.Start();
        var failures = 2;
        receiver.Answer = (http, call) =>
        {
            var fails = call.Json.GetProperty("data").Text("name") == "one" && Interlocked.Decrement(ref failures) >= 0;
            http.Response.StatusCode = fails ? 500 : 204;
            return Task.CompletedTask;
        };
        var acme = await (await TestApi.Shared).SignUp();
        await acme.Consume(receiver, ordered: true, types: DeviceTypes);
        var device = await acme.Device("zero");
        foreach (var name in new[] { "one", "two", "three" }) await acme.Client.PutAsJsonAsync($"/api/devices/{device.Text("id")}/name", new { name }).Json();
        await acme.Device("other");
        await Burst.Until("one has failed, and the other object's event has come", TimeSpan.FromSeconds(20), () =>
            Task.FromResult(new[] { "one", "other" }.All(name => receiver.Calls.Any(c => c.Json.GetProperty("data").Text("name") == name))));
        Assert.Equal(["zero", "one"], Of(receiver, device.Text("id")));
        await acme.HurryUntil("all have come", () => Task.FromResult(receiver.Calls.Count == 7));
        Assert.Equal(["zero", "one", "one", "one", "two", "three"], Of(receiver, device.Text("id")));
    }

    [Fact]
    public async Task An_endpoint_that_hangs_does_not_hold_up_another_consumer()
    {
        await using var slow = await Receiver.Start();
        await using var quick = await Receiver.Start();
        var released = new TaskCompletionSource();
        var (within, most) = (0, 0);
        slow.Answer = async (http, _) =>
        {
            InterlockedMax(ref most, Interlocked.Increment(ref within));
            await released.Task.WaitAsync(http.RequestAborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            Interlocked.Decrement(ref within);
        };
        var acme = await (await TestApi.Shared).SignUp();
        await acme.Consume(slow);
        await acme.Consume(slow, ordered: true);
        await Append(acme, 40);
        await Burst.Until("it hangs", TimeSpan.FromSeconds(20), () => Task.FromResult(Volatile.Read(ref within) >= 16));
        await acme.Consume(quick);
        var began = TimeProvider.System.GetTimestamp();
        await acme.Device();
        await quick.Next();
        // Far below the ten seconds that each of the others takes.
        Assert.InRange(TimeProvider.System.GetElapsedTime(began), TimeSpan.Zero, TimeSpan.FromSeconds(5));
        // Eight of either consumer, however many wait.
        Assert.Equal(16, Volatile.Read(ref most));
        released.SetResult();
    }

    /// <summary>A thousand with <c>NUBABEL_STRESS_SECONDS</c>, fewer without.</summary>
    [Fact]
    public async Task Each_event_is_delivered_to_each_consumer_once_however_often_the_fan_out_starts_again()
    {
        var count = Environment.GetEnvironmentVariable("NUBABEL_STRESS_SECONDS") is null ? 150 : 1_000;
        await using var database = await TestDatabase.New();
        var receivers = new[] { await Receiver.Start(), await Receiver.Start(), await Receiver.Start() };
        var first = await TestApi.Start(database);
        var acme = await first.SignUp();
        var consumers = new List<string>();
        foreach (var receiver in receivers) consumers.Add((await acme.Consume(receiver, ordered: consumers.Count == 1)).Text("id"));
        await Append(acme, count / 3);
        await using (var second = await TestApi.Start(database))
        {
            await Append(acme, count / 3);
            // Its fan-out and its deliveries go on elsewhere, wherever they are.
            await first.DisposeAsync();
            await using var third = await TestApi.Start(database);
            await Append(acme with { Api = second }, count - count / 3 * 2);
            await Burst.Until("all have been delivered", TimeSpan.FromSeconds(60), async () =>
                await database.Scalar<long>("select count(*) from nubabel.deliveries where state = 'delivered'") == 3 * count);
        }
        foreach (var (consumer, receiver) in consumers.Zip(receivers))
        {
            Assert.Equal(count, await database.Scalar<long>($"select count(distinct event_id) from nubabel.deliveries where consumer = '{consumer}'"));
            Assert.Equal(count, await database.Scalar<long>($"select count(*) from nubabel.deliveries where consumer = '{consumer}'"));
            Assert.Equal(count, receiver.Calls.Select(c => c.Id).Distinct().Count());
            await receiver.DisposeAsync();
        }
        Assert.Equal(0L, await database.Scalar<long>("select count(*) from nubabel.dead_letters"));
    }

    private static IEnumerable<string> Of(Receiver receiver, string device) =>
        receiver.Calls.Where(c => c.Subject == $"device-{device}").Select(c => c.Json.GetProperty("data").Text("name"));

    /// <summary>Devices, many in one commit each.</summary>
    private static async Task Append(TestTenant tenant, int count)
    {
        var journal = tenant.Api.Services.GetRequiredService<Node>().Journal(tenant.Id, new Origin($"user:{tenant.User}"));
        foreach (var chunk in Enumerable.Range(0, count).Chunk(50))
            await journal.Commit([.. chunk.Select(_ => new Id<Device>(Guid.CreateVersion7())).Select(id => new Step<Device>(id, Named.Device($"d{Guid.NewGuid():N}", DeviceType.Web), fresh: true))], default);
    }

    private static void InterlockedMax(ref int most, int value)
    {
        for (var seen = Volatile.Read(ref most); value > seen; seen = Volatile.Read(ref most))
            if (Interlocked.CompareExchange(ref most, value, seen) == seen) return;
    }
}
