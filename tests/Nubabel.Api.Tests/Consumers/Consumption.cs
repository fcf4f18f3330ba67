using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Nubabel.Api.Tests.Races;
using Nubabel.Api.Tests.Slices;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Consumers;

/// <summary>What tests of consumers do again and again.</summary>
internal static class Consumption
{
    public const string Path = "/api/consumers";

    /// <summary>A consumer with its secret, as its maker gets it.</summary>
    public static Task<JsonElement> Consume(this TestTenant tenant, Receiver receiver, bool ordered = false, params string[] types) =>
        tenant.Client.PostAsJsonAsync(Path, new { name = $"c{Guid.NewGuid():N}", url = receiver.Url, types = types.Length == 0 ? ["nubabel.device.registered.v1"] : types, ordered }).Json(HttpStatusCode.Created);

    /// <summary>Registers a device and returns it.</summary>
    public static Task<JsonElement> Device(this TestTenant tenant, string? name = null) =>
        tenant.Client.PostAsJsonAsync("/api/devices", new { name = name ?? $"d{Guid.NewGuid():N}", type = "mobile" }).Json(HttpStatusCode.Created);

    public static string PathOf(this JsonElement consumer) => $"{Path}/{consumer.Text("id")}";

    /// <summary>The consumer's deliveries as soon as one is so.</summary>
    public static async Task<JsonElement> Delivery(this TestTenant tenant, JsonElement consumer, Func<JsonElement, bool> wanted)
    {
        JsonElement? found = null;
        await Burst.Until("a delivery is so", TimeSpan.FromSeconds(20), async () =>
        {
            var all = await tenant.Client.Items($"{consumer.PathOf()}/deliveries");
            found = all.Where(wanted).Cast<JsonElement?>().FirstOrDefault();
            return found is not null;
        });
        return await tenant.Client.GetAsync($"{consumer.PathOf()}/deliveries/{found!.Value.Text("id")}").Json();
    }

    /// <summary>What would be done later is done now: no test waits for pauses of hours.</summary>
    public static Task Hurry(this TestTenant tenant) => tenant.Api.Database.Run($"""
        update nubabel.deliveries set next = now() - interval '1 second' where tenant_id = '{tenant.Id}' and next is not null;
        update nubabel.circuit_breakers set until = now() - interval '1 second' where tenant_id = '{tenant.Id}' and until is not null;
        update nubabel.deferred_messages set due = now() where tenant_id = '{tenant.Id}';
        update nubabel.lanes set until = now() where tenant_id = '{tenant.Id}' and until is not null;
        """);

    /// <summary>Asks again and again, in a hurry, until it is so.</summary>
    public static Task HurryUntil(this TestTenant tenant, string what, Func<Task<bool>> isSo) => Burst.Until(what, TimeSpan.FromSeconds(30), async () =>
    {
        await tenant.Hurry();
        return await isSo();
    });

    public static bool Is(this JsonElement delivery, string state) => delivery.Text("state") == state;
}
