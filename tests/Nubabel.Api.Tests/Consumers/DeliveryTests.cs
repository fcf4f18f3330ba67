using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Nubabel.Api.Tests.Slices;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Consumers;

/// <summary>An event on its way out.</summary>
public sealed class DeliveryTests
{
    [Fact]
    public async Task An_event_is_delivered_as_a_signed_cloud_event()
    {
        await using var receiver = await Receiver.Start();
        var acme = await (await TestApi.Shared).SignUp();
        var consumer = await acme.Consume(receiver);
        using var registered = await acme.Client.PostAsJsonAsync("/api/devices", new { name = "phone", type = "mobile" });
        var device = await registered.Content.ReadFromJsonAsync<JsonElement>();

        var call = await receiver.Next();
        Assert.True(call.IsSignedWith(consumer.Text("secret")));
        Assert.Equal("application/cloudevents+json; charset=utf-8", call.ContentType);
        Assert.InRange(DateTimeOffset.FromUnixTimeSeconds(long.Parse(call.Timestamp)), TimeProvider.System.GetUtcNow().AddMinutes(-1), TimeProvider.System.GetUtcNow().AddMinutes(1));
        var e = call.Json;
        Assert.Equal("1.0", e.Text("specversion"));
        Assert.Equal(call.Id, e.Text("id"));
        Assert.Equal("nubabel.device.registered.v1", e.Text("type"));
        Assert.Equal("http://nubabel.test", e.Text("source"));
        Assert.Equal($"device-{device.Text("id")}", e.Text("subject"));
        Assert.Equal(acme.Id, e.Text("organizationid"));
        Assert.Equal(registered.Position(), e.Text("position"));
        Assert.Equal(device.Text("registeredAt"), e.Text("time"));
        Assert.Equal($$"""{"deviceId":"{{device.Text("id")}}","ownerId":"{{acme.User}}","name":"phone","type":"mobile"}""", e.GetProperty("data").GetRawText());

        var delivery = await acme.Delivery(consumer, d => d.Is("delivered"));
        Assert.Equal(call.Id, delivery.Text("eventId"));
        Assert.Equal(204, Assert.Single(delivery.GetProperty("attempts").EnumerateArray()).GetProperty("status").GetInt32());
    }

    [Fact]
    public async Task Personal_values_are_opened_for_the_receiver_and_stand_nowhere_before()
    {
        await using var receiver = await Receiver.Start();
        var api = await TestApi.Shared;
        var acme = await api.SignUp();
        await acme.Consume(receiver, types: "nubabel.member.joined.v1");
        var bob = await acme.Colleague();
        var data = (await receiver.Next()).Json.GetProperty("data");
        Assert.Equal((bob.User, "member", "Bob", bob.Email), (data.Text("userId"), data.Text("role"), data.Text("name"), data.Text("email")));
    }

    [Fact]
    public async Task A_consumer_gets_what_happens_between_its_creation_and_its_removal()
    {
        await using var receiver = await Receiver.Start();
        var acme = await (await TestApi.Shared).SignUp();
        await acme.Device("before");
        var consumer = await acme.Consume(receiver);
        await acme.Device("within");
        await receiver.Have(1);
        Assert.Equal(HttpStatusCode.NoContent, (await acme.Client.DeleteAsync(consumer.PathOf())).StatusCode);
        await acme.Device("after");
        var last = await acme.Consume(receiver);
        await acme.Device("last");
        Assert.Equal(["within", "last"], (await receiver.Have(2)).Select(c => c.Json.GetProperty("data").Text("name")));
        Assert.NotEqual(consumer.Text("id"), last.Text("id"));
    }
}
