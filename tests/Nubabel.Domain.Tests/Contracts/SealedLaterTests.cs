using System.Text;
using Nubabel.Domain.Devices;
using Nubabel.Domain.Users;
using Nubabel.Testing;

namespace Nubabel.Domain.Tests.Contracts;

/// <summary>Events that hold a text in the clear that is sealed today.</summary>
public sealed class SealedLaterTests
{
    [Fact]
    public void A_name_in_the_clear_is_read_and_its_device_gives_up_the_claim_that_was_taken_by_it()
    {
        var registered = Read<DeviceRegistered>("device_registered", """{"owner":"019a2b3c-4d5e-7f60-8123-456789abcdef","name":"Ann's Phone","type":"mobile"}""");
        Assert.Equal(Personal.Unsealed("Ann's Phone"), registered.Name);
        var device = Device.Evolve(Device.Initial, registered);
        Assert.Equal("ann's phone", Assert.Single(Device.Claims(device)).Value);
        Assert.Equal("pocket", Read<DeviceRenamed>("device_renamed", """{"name":"Pocket"}""").NameKey);
    }

    [Fact]
    public void A_reason_in_the_clear_is_read_and_may_be_absent()
    {
        Assert.Equal(Personal.Unsealed("lost"), Read<DeviceRevoked>("device_revoked", """{"reason":"lost"}""").Reason);
        Assert.Null(Read<DeviceRevoked>("device_revoked", "{}").Reason);
        Assert.Equal(Personal.Unsealed("on leave"), Read<UserSuspended>("user_suspended", """{"reason":"on leave"}""").Reason);
        Assert.Null(Read<UserRemoved>("user_removed", """{"reason":null}""").Reason);
    }

    [Fact]
    public void What_is_no_text_does_not_become_one() =>
        Assert.ThrowsAny<System.Text.Json.JsonException>(() => Read<DeviceRenamed>("device_renamed", """{"name":7}"""));

    private static T Read<T>(string alias, string json) => Assert.IsType<T>(GoldenEvents.Types.Read(alias, Encoding.UTF8.GetBytes(json)));
}
