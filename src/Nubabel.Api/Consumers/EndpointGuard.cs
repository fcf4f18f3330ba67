using System.Net;
using System.Net.Sockets;
using Nubabel.Api.Host;
using Nubabel.Domain.Consumers;

namespace Nubabel.Api.Consumers;

/// <summary>Finds the addresses of a host.</summary>
public delegate Task<IPAddress[]> NameLookup(string host, CancellationToken ct);

/// <summary>The endpoint must not be called.</summary>
public sealed class EndpointRefused(string message) : Exception(message);

/// <summary>
/// Says what may be called by the wish of a tenant: public addresses by https, nothing of this network. A URL is looked at when it is given, and each address
/// again when a connection is made: the connection goes to the very address that was looked at, so a name that changes its mind changes nothing.
/// </summary>
public sealed class EndpointGuard(Settings settings, NameLookup lookup)
{
    private static readonly TimeSpan LongestLookup = TimeSpan.FromSeconds(3);

    // Names that mean this network wherever they are looked up (RFC 6761, 6762, 8375, and what clouds and home routers use).
    private static readonly string[] LocalNames = ["localhost", "local", "internal", "intranet", "lan", "home", "corp", "private", "home.arpa", "test", "invalid", "onion"];

    private static readonly IPNetwork[] Forbidden =
    [
        .. new[]
        {
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24",
            "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
            // A cloud's own address for its machines' agents, public by its number.
            "168.63.129.16/32",
            // Within the global unicast addresses: protocol assignments (Teredo is looked into below), ORCHID, documentation.
            "2001::/23", "2001:db8::/32", "2620:4f:8000::/48", "3fff::/20",
        }.Select(IPNetwork.Parse),
    ];

    private static readonly IPNetwork Global = IPNetwork.Parse("2000::/3"), SixToFour = IPNetwork.Parse("2002::/16"), Nat64 = IPNetwork.Parse("64:ff9b::/96");

    /// <summary>Refuses a URL that would never be called.</summary>
    /// <exception cref="Problem"><c>consumer.url_refused</c>.</exception>
    public async Task Check(EndpointUrl url, CancellationToken ct)
    {
        var uri = new Uri(url.Value);
        try
        {
            CheckUri(uri);
            using var time = CancellationTokenSource.CreateLinkedTokenSource(ct);
            time.CancelAfter(LongestLookup);
            await Addresses(uri.IdnHost, time.Token);
        }
        catch (EndpointRefused refused)
        {
            throw Problem.At("url", "consumer.url_refused", refused.Message);
        }
        catch (Exception unknown) when (unknown is SocketException or OperationCanceledException && !ct.IsCancellationRequested)
        {
            // A name that nobody knows yet may be known when something is to be delivered; it is looked at again then.
        }
    }

    /// <summary>What can be said without asking anybody.</summary>
    /// <exception cref="EndpointRefused">Not this one.</exception>
    public void CheckUri(Uri uri)
    {
        var host = uri.IdnHost.TrimEnd('.');
        if (settings.AllowLoopback && IsLoopback(host)) return;
        if (uri.Scheme != "https") throw new EndpointRefused("Events are delivered by https only.");
        if (uri.Port is not (443 or 8443)) throw new EndpointRefused("Events are delivered to the ports 443 and 8443 only.");
        if (uri.HostNameType == UriHostNameType.Dns && (!host.Contains('.', StringComparison.Ordinal) || LocalNames.Any(name => host == name || host.EndsWith("." + name, StringComparison.Ordinal))))
            throw new EndpointRefused("The host is a name of a local network.");
    }

    /// <summary>The addresses of a host, all of which may be called.</summary>
    /// <exception cref="EndpointRefused">One of them may not: a public name that leads inside as well is no mistake.</exception>
    public async Task<IPAddress[]> Addresses(string host, CancellationToken ct)
    {
        IPAddress[] addresses = IPAddress.TryParse(host.Trim('[', ']'), out var literal) ? [literal] : await lookup(host, ct);
        if (addresses.Length == 0) throw new SocketException((int)SocketError.HostNotFound);
        return Array.TrueForAll(addresses, MayCall) ? addresses : throw new EndpointRefused("The host has an address that is not public.");
    }

    private bool MayCall(IPAddress address) => IsPublic(address) || settings.AllowLoopback && IPAddress.IsLoopback(address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address);

    /// <summary>Whether an address is one of the public internet, also where it carries another one in itself.</summary>
    public static bool IsPublic(IPAddress address)
    {
        if (address.AddressFamily == AddressFamily.InterNetwork) return !Array.Exists(Forbidden, n => n.BaseAddress.AddressFamily == AddressFamily.InterNetwork && n.Contains(address));
        if (address.AddressFamily != AddressFamily.InterNetworkV6 || address.ScopeId != 0) return false;
        if (address.IsIPv4MappedToIPv6) return IsPublic(address.MapToIPv4());
        var bytes = address.GetAddressBytes();
        // A translator in the way reaches the address that is carried.
        if (Nat64.Contains(address)) return IsPublic(new IPAddress(bytes.AsSpan(12, 4)));
        if (SixToFour.Contains(address)) return IsPublic(new IPAddress(bytes.AsSpan(2, 4)));
        // Teredo is among what is forbidden: its servers and clients are other machines' guesses.
        return Global.Contains(address) && !Array.Exists(Forbidden, n => n.BaseAddress.AddressFamily == AddressFamily.InterNetworkV6 && n.Contains(address));
    }

    private static bool IsLoopback(string host) => host == "localhost" || IPAddress.TryParse(host.Trim('[', ']'), out var address) && IPAddress.IsLoopback(address);
}
