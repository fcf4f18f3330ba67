using System.Text.Json.Serialization;
using Nubabel.Domain.Users;

namespace Nubabel.Domain.Devices;

/// <param name="Name">What its owner calls it, sealed under the owner's key: people name a device after themselves.</param>
/// <param name="NameKey">The keyed hash of the folded name: what is unique among the owner's active devices.</param>
public sealed record DeviceRegistered(Id<User> Owner, Personal Name, string NameKey, DeviceType Type, PublicKey? PublicKey = null) : Event<Device>;
public sealed record DeviceRenamed(Personal Name, string NameKey) : Event<Device>;
public sealed record DeviceKeyChanged(PublicKey PublicKey) : Event<Device>;
public sealed record DeviceRevoked(Personal? Reason = null) : Event<Device>;
public sealed record DeviceDeleted : Event<Device>;

/// <summary>The owner is the actor.</summary>
public sealed record RegisterDevice(Personal Name, string NameKey, DeviceType Type, PublicKey? PublicKey = null) : Command<Device>;
public sealed record RenameDevice(Personal Name, string NameKey) : Command<Device>;
public sealed record ChangeDeviceKey(PublicKey PublicKey) : Command<Device>;
public sealed record RevokeDevice(Personal? Reason = null) : Command<Device>;
public sealed record DeleteDevice : Command<Device>;

/// <summary>What kind of client a device runs; told once, at registration.</summary>
[JsonConverter(typeof(DeviceTypeConverter))]
public enum DeviceType { Mobile, Desktop, Web }

internal sealed class DeviceTypeConverter() : WordConverter<DeviceType>("device.type_invalid");

/// <summary>Where a device is in its life; it only ever moves on.</summary>
[JsonConverter(typeof(DeviceStatusConverter))]
public enum DeviceStatus { None, Active, Revoked, Deleted }

internal sealed class DeviceStatusConverter() : WordConverter<DeviceStatus>("device.status_invalid");

/// <summary>
/// A user's device. Once revoked it never comes back; register a new one. To everybody but its owner it does not exist. Its name is
/// unique among its owner's active devices, without regard to case, and free again when it is revoked or deleted.
/// </summary>
public sealed record Device(DeviceStatus Status, Id<User> Owner, Personal? Name, string NameKey, DeviceType Type, PublicKey? PublicKey) : IAggregate<Device>
{
    public static string Kind => "device";
    public static Device Initial { get; } = new(DeviceStatus.None, default, null, "", default, null);

    public static Device Evolve(Device state, Event<Device> e) => e switch
    {
        DeviceRegistered r => new Device(DeviceStatus.Active, r.Owner, r.Name, r.NameKey, r.Type, r.PublicKey),
        DeviceRenamed r => state with { Name = r.Name, NameKey = r.NameKey },
        DeviceKeyChanged c => state with { PublicKey = c.PublicKey },
        DeviceRevoked => state with { Status = DeviceStatus.Revoked },
        DeviceDeleted => state with { Status = DeviceStatus.Deleted },
        _ => state,
    };

    public static IReadOnlyList<Event<Device>> Decide(Device state, Command<Device> command, Context at) => command switch
    {
        RegisterDevice c => state.Register(c, at.Actor),
        // Deleted too, to delete once more included: a refusal records as little as "already so" does, and a second DELETE is a 404.
        _ when !state.IsOf(at.Actor) => throw Missing(),
        RenameDevice c => state.Rename(c),
        ChangeDeviceKey c => state.ChangeKey(c),
        RevokeDevice c => state.Revoke(c),
        DeleteDevice => [new DeviceDeleted()],
        _ => throw new NotSupportedException(command.GetType().Name),
    };

    public static IEnumerable<Claim> Claims(Device state) =>
        state.Status == DeviceStatus.Active ? [new Claim($"device-name:{state.Owner}", state.NameKey, "device.name_taken", "name")] : [];

    private Event<Device>[] Register(RegisterDevice c, Actor actor)
    {
        // A key, an operator or the system acts for many; a device belongs to one person.
        if (!actor.IsUser(out var owner)) throw new Refused(RefusalKind.Denied, "device.owner_required", "A device is registered by the user who owns it.");
        if (Status == DeviceStatus.None) return [new DeviceRegistered(owner, c.Name, c.NameKey, c.Type, c.PublicKey)];
        return this == new Device(DeviceStatus.Active, owner, c.Name, c.NameKey, c.Type, c.PublicKey)
            ? []
            : throw new Refused(RefusalKind.Conflict, "device.exists", "Another device has this id.");
    }

    private Event<Device>[] Rename(RenameDevice c) => Status switch
    {
        DeviceStatus.Active when Name == c.Name => [],
        DeviceStatus.Active => [new DeviceRenamed(c.Name, c.NameKey)],
        _ => throw Revoked(),
    };

    private Event<Device>[] ChangeKey(ChangeDeviceKey c) => Status switch
    {
        DeviceStatus.Active when PublicKey == c.PublicKey => [],
        DeviceStatus.Active => [new DeviceKeyChanged(c.PublicKey)],
        _ => throw Revoked(),
    };

    // The first reason stands: a revocation is one fact, and telling it again with other words changes nothing.
    private Event<Device>[] Revoke(RevokeDevice c) => Status == DeviceStatus.Revoked ? [] : [new DeviceRevoked(c.Reason)];

    private bool IsOf(Actor actor) => Status is DeviceStatus.Active or DeviceStatus.Revoked && actor.IsUser(out var user) && user == Owner;

    // One answer for "never was", "was deleted" and "is someone else's".
    private static Refused Missing() => new(RefusalKind.Missing, "device.missing", "There is no such device.");
    private static Refused Revoked() => new(RefusalKind.Conflict, "device.revoked", "The device is revoked.");
}
