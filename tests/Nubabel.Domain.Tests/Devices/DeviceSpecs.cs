using Nubabel.Domain.Devices;
using Nubabel.Domain.Users;
using Nubabel.Testing;

namespace Nubabel.Domain.Tests.Devices;

public sealed class DeviceSpecs : Spec<Device>
{
    private static readonly Id<User> Ann = Id<User>.Parse("019a0000-0000-7000-8000-00000000000a");
    private static readonly Id<User> Bob = Id<User>.Parse("019a0000-0000-7000-8000-00000000000b");
    private static readonly PublicKey Key = PublicKey.Parse("MCowBQYDK2VwAyEA");

    protected override Actor Actor => Actor.User(Ann.Value);

    [Fact]
    public void A_device_belongs_to_who_registers_it() =>
        Given().When(new RegisterDevice(Named.Text("phone"), Named.Key("phone"), DeviceType.Mobile, Key)).Then(new DeviceRegistered(Ann, Named.Text("phone"), Named.Key("phone"), DeviceType.Mobile, Key));

    [Fact]
    public void A_device_needs_no_key() =>
        Given().When(Named.Device("phone", DeviceType.Web)).Then(new DeviceRegistered(Ann, Named.Text("phone"), Named.Key("phone"), DeviceType.Web));

    [Theory]
    [InlineData("operator")]
    [InlineData("key")]
    [InlineData("system")]
    public void Only_a_user_registers_a_device(string kind) =>
        Given().By(new Actor(kind, Ann.ToString())).When(Named.Device("phone", DeviceType.Web)).Refused("device.owner_required", RefusalKind.Denied);

    [Fact]
    public void Registering_it_once_more_in_the_same_way_changes_nothing() =>
        Given(Registered("phone")).When(Named.Device("phone", DeviceType.Mobile)).Nothing();

    [Fact]
    public void An_id_is_not_used_for_another_device() =>
        Given(Registered("phone")).When(Named.Device("tablet", DeviceType.Mobile)).Refused("device.exists", RefusalKind.Conflict);

    [Fact]
    public void An_id_is_not_used_by_another_user() =>
        Given(Registered("phone")).By(Actor.User(Bob.Value)).When(Named.Device("phone", DeviceType.Mobile)).Refused("device.exists", RefusalKind.Conflict);

    [Fact]
    public void A_deleted_device_is_not_registered_again() =>
        Given(Registered("phone"), new DeviceDeleted()).When(Named.Device("phone", DeviceType.Mobile)).Refused("device.exists", RefusalKind.Conflict);

    [Fact]
    public void A_device_is_renamed() => Given(Registered("phone")).When(new RenameDevice(Named.Text("pocket"), Named.Key("pocket"))).Then(new DeviceRenamed(Named.Text("pocket"), Named.Key("pocket")));

    [Fact]
    public void A_change_of_case_is_a_change() => Given(Registered("phone")).When(Named.Renamed("Phone")).Then(new DeviceRenamed(Named.Text("Phone"), Named.Key("Phone")));

    [Fact]
    public void The_same_name_in_another_normal_form_is_no_change() => Given(Registered("caf\u00E9")).When(Named.Renamed(" cafe\u0301 ")).Nothing();

    [Fact]
    public void Its_key_is_changed() => Given(Registered("phone")).When(new ChangeDeviceKey(Key)).Then(new DeviceKeyChanged(Key));

    [Fact]
    public void The_same_key_is_no_change() => Given(Registered("phone"), new DeviceKeyChanged(Key)).When(new ChangeDeviceKey(Key)).Nothing();

    [Fact]
    public void A_device_is_revoked_for_a_reason() =>
        Given(Registered("phone")).When(new RevokeDevice(Named.Text("lost"))).Then(new DeviceRevoked(Named.Text("lost")));

    [Fact]
    public void A_device_is_revoked_without_a_reason() => Given(Registered("phone")).When(new RevokeDevice()).Then(new DeviceRevoked());

    [Fact]
    public void A_revoked_device_stays_revoked_for_its_first_reason() =>
        Given(Registered("phone"), new DeviceRevoked(Named.Text("lost"))).When(new RevokeDevice(Named.Text("stolen"))).Nothing();

    [Fact]
    public void A_revoked_device_cannot_be_renamed() =>
        Given(Registered("phone"), new DeviceRevoked()).When(Named.Renamed("pocket")).Refused("device.revoked", RefusalKind.Conflict);

    [Fact]
    public void A_revoked_device_cannot_be_renamed_to_its_own_name_either() =>
        Given(Registered("phone"), new DeviceRevoked()).When(Named.Renamed("phone")).Refused("device.revoked", RefusalKind.Conflict);

    [Fact]
    public void A_revoked_device_gets_no_key() =>
        Given(Registered("phone"), new DeviceRevoked()).When(new ChangeDeviceKey(Key)).Refused("device.revoked", RefusalKind.Conflict);

    [Fact]
    public void A_device_is_deleted_once() =>
        Given(Registered("phone")).When(new DeleteDevice()).ThenRefusedAgain("device.missing", new DeviceDeleted());

    [Fact]
    public void A_revoked_device_is_deleted() =>
        Given(Registered("phone"), new DeviceRevoked()).When(new DeleteDevice()).ThenRefusedAgain("device.missing", new DeviceDeleted());

    public static TheoryData<Command<Device>> Changes() =>
        [Named.Renamed("pocket"), new ChangeDeviceKey(Key), new RevokeDevice(), new DeleteDevice()];

    [Theory]
    [MemberData(nameof(Changes))]
    public void A_device_that_never_was_is_missing(Command<Device> change) => Given().When(change).Refused("device.missing", RefusalKind.Missing);

    [Theory]
    [MemberData(nameof(Changes))]
    public void A_deleted_device_is_missing(Command<Device> change) =>
        Given(Registered("phone"), new DeviceDeleted()).When(change).Refused("device.missing", RefusalKind.Missing);

    [Theory]
    [MemberData(nameof(Changes))]
    public void Another_users_device_is_missing(Command<Device> change) =>
        Given(Registered("phone")).By(Actor.User(Bob.Value)).When(change).Refused("device.missing", RefusalKind.Missing);

    [Theory]
    [MemberData(nameof(Changes))]
    public void An_operator_with_the_owners_id_is_not_the_owner(Command<Device> change) =>
        Given(Registered("phone")).By(Actor.Operator(Ann.Value)).When(change).Refused("device.missing", RefusalKind.Missing);

    [Fact]
    public void Another_users_revoked_device_is_missing_too() =>
        Given(Registered("phone"), new DeviceRevoked()).By(Actor.User(Bob.Value)).When(Named.Renamed("x")).Refused("device.missing", RefusalKind.Missing);

    [Fact]
    public void An_active_device_holds_its_name_without_case() => Given(Registered("Ann's PHONE Σ")).Holds($"device-name:{Ann}=ann's phone σ");

    [Fact]
    public void A_renamed_device_holds_the_new_name_only() => Given(Registered("phone"), new DeviceRenamed(Named.Text("pocket"), Named.Key("pocket"))).Holds($"device-name:{Ann}=pocket");

    [Fact]
    public void A_name_is_free_again_when_its_device_is_revoked() => Given(Registered("phone"), new DeviceRevoked()).Holds();

    [Fact]
    public void A_name_is_free_again_when_its_device_is_deleted() => Given(Registered("phone"), new DeviceDeleted()).Holds();

    [Fact]
    public void No_device_holds_no_name() => Given().Holds();

    private static DeviceRegistered Registered(string name) => new(Ann, Named.Device(name).Name, Named.Key(name), DeviceType.Mobile);
}
