using System.Security.Cryptography;
using System.Text;
using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Domain.Devices;
using Nubabel.Domain.Users;
using Nubabel.Projections;

namespace Nubabel.Api.Devices;

/// <summary>What a device's name becomes at the edge: sealed for its owner, and the keyed hash that it is unique by, so that the database does not say what people call theirs.</summary>
public sealed class DeviceNames(Node node)
{
    private readonly byte[] key = node.Root.Derive("device-name-lookup");

    /// <summary>The name under the owner's key, and what it is looked up by.</summary>
    public async ValueTask<(Personal Name, string Key)> Of(string tenant, Id<User> owner, DeviceName name, CancellationToken ct) =>
        (await node.Seal(tenant, Streams.Of(owner), name.Value, ct), Convert.ToHexStringLower(HMACSHA256.HashData(key, Encoding.UTF8.GetBytes($"{tenant}|{owner}|{name.Folded}"))));
}
