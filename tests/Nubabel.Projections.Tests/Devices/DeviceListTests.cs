using Nubabel.Domain;
using Nubabel.Domain.Devices;
using Nubabel.Domain.Users;
using Nubabel.Projections.Devices;
using Nubabel.Testing;

namespace Nubabel.Projections.Tests.Devices;

public sealed class DeviceListTests
{
    private static readonly Id<Device> Id = Id<Device>.Parse("0198aaaa-0000-7000-8000-0000000000d1");
    private static readonly Id<User> Owner = Id<User>.Parse("0198aaaa-0000-7000-8000-000000000002");
    private static readonly DeviceRegistered Registered = new(Owner, Named.Text("phone"), Named.Key("phone"), DeviceType.Mobile, PublicKey.Parse("AAAA"));

    [Fact]
    public void A_registered_device_is_shown_active() => Shows(
        new DeviceRow(Id, Named.Text("phone"), DeviceType.Mobile, Owner, DeviceStatus.Active, PublicKey.Parse("AAAA"), null, Given.Noon, null), Registered);

    [Fact]
    public void A_device_is_shown_with_its_latest_name_and_key() => Shows(
        new DeviceRow(Id, Named.Text("pocket"), DeviceType.Mobile, Owner, DeviceStatus.Active, PublicKey.Parse("BBBB"), null, Given.Noon, null),
        Registered, new DeviceRenamed(Named.Text("pocket"), Named.Key("pocket")), new DeviceKeyChanged(PublicKey.Parse("BBBB")));

    [Fact]
    public void A_revoked_device_is_shown_with_time_and_reason() => Shows(
        new DeviceRow(Id, Named.Text("phone"), DeviceType.Mobile, Owner, DeviceStatus.Revoked, PublicKey.Parse("AAAA"), Given.Noon.AddMinutes(1), Given.Noon, Named.Text("lost")),
        Registered, new DeviceRevoked(Named.Text("lost")));

    [Fact]
    public void A_deleted_device_is_not_shown() => Shows(null, Registered, new DeviceRevoked(), new DeviceDeleted());

    [Fact]
    public void An_event_of_another_writer_before_the_registration_shows_nothing() => Shows(null, new DeviceRenamed(Named.Text("pocket"), Named.Key("pocket")), new DeviceDeleted());

    private static void Shows(DeviceRow? row, params Event<Device>[] events) => Assert.Equal(row, Given.Fold<DeviceRow>(DeviceList.Evolve, Given.Stream(Id, events)));
}
