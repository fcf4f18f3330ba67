using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Domain;
using Nubabel.Domain.Devices;
using Nubabel.Projections;
using Nubabel.Projections.Devices;
using Nubabel.Store;

namespace Nubabel.Api.Devices;

/// <summary>A device to be registered; its owner is who calls.</summary>
public sealed record DeviceRegistration(DeviceName Name, DeviceType Type, PublicKey? PublicKey = null);

/// <summary>What a device is called from now on.</summary>
public sealed record DeviceRenaming(DeviceName Name);

/// <summary>Why a device is revoked.</summary>
public sealed record DeviceRevocation(Reason? Reason = null);

/// <summary>The devices of the user who calls.</summary>
public static class DevicesApi
{
    private const string Example = """
        {"id":"01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e55","name":"phone","type":"mobile","owner":"01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","status":"active","registeredAt":"2026-11-21T08:15:30.123456Z"}
        """;

    public static void MapDevices(this IEndpointRouteBuilder app)
    {
        var devices = app.MapGroup("/api/devices").WithTags("Devices");
        devices.MapGet("", List).Needs("devices:read").Paged<DeviceRow>().WithExample(response: $$"""{"items":[{{Example}}],"next":null}""");
        devices.MapPost("", Register).Needs("devices:write").Answers201<DeviceRow>().WithExample("""{"name":"phone","type":"mobile"}""", Example);
        devices.MapGet("/{id}", Get).Needs("devices:read").Answers200<DeviceRow>().WithExample(response: Example);
        devices.MapDelete("/{id}", Delete).Needs("devices:write").Answers204();
        devices.MapPut("/{id}/name", Rename).Needs("devices:write").Answers200<DeviceRow>().WithExample("""{"name":"phone"}""", Example);
        devices.MapPut("/{id}/key", ChangeKey).Needs("devices:write").Answers200<DeviceRow>().WithExample("""{"publicKey":"MCowBQYDK2VwAyEA"}""", Example);
        devices.MapPut("/{id}/revocation", Revoke).Needs("devices:write").Answers200<DeviceRow>().WithExample("""{"reason":"lost"}""", Example);
    }

    private static async Task<IResult> List(Paging page, Caller caller, Reader db, Freshness fresh, CancellationToken ct)
    {
        await fresh.Of(DeviceList.Name, ct);
        return page.Answer(await DeviceList.OfUser(db, caller.User, page.After, page.Limit, ct));
    }

    private static async Task<IResult> Register(Body<DeviceRegistration> body, Caller caller, DeviceNames names, Journal journal, Ids ids, Answers answers, CancellationToken ct)
    {
        var (name, key) = await names.Of(caller.Tenant, caller.User, body.Value.Name, ct);
        var device = await journal.Create(ids.New<Device>(), new RegisterDevice(name, key, body.Value.Type, body.Value.PublicKey), ct);
        return await answers.Created(device, Row(device), $"/api/devices/{device.Id}", ct);
    }

    private static async Task<IResult> Get(Id<Device> id, At at, HttpContext http, Caller caller, Journal journal, Answers answers, CancellationToken ct)
    {
        var device = await journal.Load(id, ct);
        if (device.State.Owner != caller.User) throw Missing();
        return await answers.Found(http, device, at, Row, Missing(), ct);
    }

    private static async Task<IResult> Rename(
        Id<Device> id, Body<DeviceRenaming> body, HttpRequest request, Caller caller, DeviceNames names, Journal journal, Answers answers, CancellationToken ct)
    {
        var (name, key) = await names.Of(caller.Tenant, caller.User, body.Value.Name, ct);
        return await Changed(await journal.Handle(id, new RenameDevice(name, key), ct, ETags.IfMatch(request)), answers, ct);
    }

    private static async Task<IResult> ChangeKey(Id<Device> id, Body<ChangeDeviceKey> body, HttpRequest request, Journal journal, Answers answers, CancellationToken ct) =>
        await Changed(await journal.Handle(id, body.Value, ct, ETags.IfMatch(request)), answers, ct);

    private static async Task<IResult> Revoke(
        Id<Device> id, Body<DeviceRevocation>? body, HttpRequest request, Caller caller, Node node, Journal journal, Answers answers, CancellationToken ct)
    {
        var reason = body?.Value.Reason is { } why ? await node.Seal(caller.Tenant, Streams.Of(caller.User), why.Value, ct) : null;
        return await Changed(await journal.Handle(id, new RevokeDevice(reason), ct, ETags.IfMatch(request)), answers, ct);
    }

    private static async Task<IResult> Delete(Id<Device> id, HttpRequest request, Journal journal, Answers answers, CancellationToken ct) =>
        answers.Gone(await journal.Handle(id, new DeleteDevice(), ct, ETags.IfMatch(request)));

    private static Task<IResult> Changed(Outcome<Device> device, Answers answers, CancellationToken ct) => answers.Changed(device, Row(device), ct);

    private static DeviceRow? Row(Outcome<Device> device) => device.Row<DeviceRow>();

    private static Refused Missing() => new(RefusalKind.Missing, "device.missing", "There is no such device.");
}
