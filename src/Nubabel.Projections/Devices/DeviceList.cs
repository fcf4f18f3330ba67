using System.Globalization;
using Nubabel.Domain;
using Nubabel.Domain.Devices;
using Nubabel.Domain.Users;
using Nubabel.Store;

namespace Nubabel.Projections.Devices;

/// <summary>A device as its owner sees it. The members stand in the order in which <c>jsonb</c> keeps them.</summary>
public sealed record DeviceRow(
    Id<Device> Id, Personal Name, DeviceType Type, Id<User> Owner, DeviceStatus Status, PublicKey? PublicKey, DateTimeOffset? RevokedAt,
    DateTimeOffset RegisteredAt, Personal? RevocationReason);

/// <summary>The devices of each user, revoked ones included, deleted ones not.</summary>
public sealed class DeviceList : IDocument<DeviceRow>
{
    public static string Name => "devices";
    public static int Version => 2;
    public static IReadOnlyList<string> Types { get; } = ["device_registered", "device_renamed", "device_key_changed", "device_revoked", "device_deleted"];

    public static Columns<DeviceRow> Columns { get; } = new Columns<DeviceRow>()
        .Add("owner", row => row.Owner.Value)
        .Add("registered_at", row => row.RegisteredAt)
        .Index("A user's devices, newest first.", "owner", "registered_at desc", "key desc");

    public static DeviceRow? Evolve(DeviceRow? row, Recorded e) => (row, e.Data) switch
    {
        (null, DeviceRegistered r) => new DeviceRow(new Id<Device>(e.StreamGuid), r.Name, r.Type, r.Owner, DeviceStatus.Active, r.PublicKey, null, e.At, null),
        (null, _) => null,
        (_, DeviceRenamed r) => row with { Name = r.Name },
        (_, DeviceKeyChanged c) => row with { PublicKey = c.PublicKey },
        (_, DeviceRevoked r) => row with { Status = DeviceStatus.Revoked, RevokedAt = e.At, RevocationReason = r.Reason },
        (_, DeviceDeleted) => null,
        _ => row,
    };

    /// <summary>A user's devices, newest first.</summary>
    /// <param name="after">The place of the last row of the page before: time and id.</param>
    public static async Task<Page> OfUser(Reader db, Id<User> user, IReadOnlyList<string>? after, int limit, CancellationToken ct)
    {
        var rows = await db.Query($"""
            select doc, registered_at, key from read.devices_v2
             where tenant_id = {db.Tenant} and owner = {user.Value} {After(after)}
             order by registered_at desc, key desc limit {limit + 1}
            """, row => (Doc: row.GetFieldValue<byte[]>(0), At: row.GetDateTime(1), Key: row.GetString(2)), ct);
        var page = Page.Cut(rows, limit, row => row.Doc, row => [row.At.ToString("O", CultureInfo.InvariantCulture), row.Key]);
        return page with { Rows = await db.Open(page.Rows, ct) };
    }

    private static Sql After(IReadOnlyList<string>? place) => place is [var at, var key]
        ? Sql.Of($"and (registered_at, key) < ({DateTime.Parse(at, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind)}, {key})")
        : Sql.None;
}
