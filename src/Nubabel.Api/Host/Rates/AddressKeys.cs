using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Nubabel.Api.Host.Rates;

/// <summary>
/// Names a caller's address for the meters. An IPv6 network of 64 bits is one caller, as that is what a subscriber gets. The name is a keyed hash, equal
/// on every node: what nodes tell each other passes through the database, where an address has no business in the clear.
/// </summary>
internal sealed class AddressKeys(ReadOnlyMemory<byte> secret)
{
    private const int AddressBytes = 16;
    private const int NetworkBytes = 8;

    public UInt128 Of(IPAddress? address)
    {
        Span<byte> bytes = stackalloc byte[AddressBytes];
        bytes.Clear();
        if (address is { AddressFamily: AddressFamily.InterNetwork } or { IsIPv4MappedToIPv6: true })
        {
            // Below the networks, where no IPv6 network of 64 bits is.
            bytes[^1] = 1;
            address.MapToIPv4().TryWriteBytes(bytes[NetworkBytes..], out _);
        }
        else if (address is not null)
        {
            address.TryWriteBytes(bytes, out _);
            bytes[NetworkBytes..].Clear();
        }
        Span<byte> hash = stackalloc byte[HMACSHA256.HashSizeInBytes];
        HMACSHA256.HashData(secret.Span, bytes, hash);
        return MemoryMarshal.Read<UInt128>(hash);
    }
}
