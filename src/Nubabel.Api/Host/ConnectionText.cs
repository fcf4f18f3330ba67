using System.Diagnostics.CodeAnalysis;
using System.Net;
using Npgsql;

namespace Nubabel.Api.Host;

/// <summary>Reads connection strings in both forms that platforms hand out: Npgsql's own and <c>postgres://user:password@host:port/database?sslmode=…</c>.</summary>
public static class ConnectionText
{
    private static readonly Dictionary<string, string> UrlNames = new(StringComparer.OrdinalIgnoreCase)
    {
        ["sslmode"] = "SSL Mode",
        ["sslrootcert"] = "Root Certificate",
        ["sslcert"] = "SSL Certificate",
        ["sslkey"] = "SSL Key",
        ["application_name"] = "Application Name",
        ["connect_timeout"] = "Timeout",
        ["options"] = "Options",
        ["target_session_attrs"] = "Target Session Attributes",
        ["channel_binding"] = "Channel Binding",
        ["host"] = "Host",
    };

    public static bool TryParse(string text, [NotNullWhen(true)] out NpgsqlConnectionStringBuilder? connection)
    {
        try
        {
            connection = IsUrl(text) ? OfUrl(new Uri(text)) : new NpgsqlConnectionStringBuilder(text);
            return !string.IsNullOrEmpty(connection.Host);
        }
        catch (Exception e) when (e is ArgumentException or FormatException or KeyNotFoundException or InvalidCastException or OverflowException)
        {
            // The driver's message may repeat the text, and the text may hold a password: only the fact goes on.
            connection = null;
            return false;
        }
    }

    /// <summary>Whether the way to the server needs no TLS: a socket file, or this machine.</summary>
    public static bool StaysHere(NpgsqlConnectionStringBuilder connection)
    {
        ArgumentNullException.ThrowIfNull(connection);
        return (connection.Host ?? "").Split(',').All(host =>
            host.StartsWith('/') || host.StartsWith('@') || HostOf(host) is "localhost" || (IPAddress.TryParse(HostOf(host), out var ip) && IPAddress.IsLoopback(ip)));
    }

    private static string HostOf(string host) =>
        host.StartsWith('[') ? host[1..Math.Max(1, host.IndexOf(']', StringComparison.Ordinal))] : host.Count(c => c == ':') == 1 ? host[..host.IndexOf(':', StringComparison.Ordinal)] : host;

    private static bool IsUrl(string text) =>
        text.StartsWith("postgres://", StringComparison.OrdinalIgnoreCase) || text.StartsWith("postgresql://", StringComparison.OrdinalIgnoreCase);

    private static NpgsqlConnectionStringBuilder OfUrl(Uri url)
    {
        var connection = new NpgsqlConnectionStringBuilder();
        if (url.Host.Length > 0) connection.Host = url.Host.Trim('[', ']');
        if (url.Port > 0) connection.Port = url.Port;
        if (url.AbsolutePath.Length > 1) connection.Database = Uri.UnescapeDataString(url.AbsolutePath[1..]);
        var user = url.UserInfo.Split(':', 2);
        if (user[0].Length > 0) connection.Username = Uri.UnescapeDataString(user[0]);
        if (user.Length == 2) connection.Password = Uri.UnescapeDataString(user[1]);
        foreach (var pair in url.Query.TrimStart('?').Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var parts = pair.Split('=', 2);
            var value = Uri.UnescapeDataString(parts.ElementAtOrDefault(1) ?? "");
            // libpq writes verify-full, the driver VerifyFull.
            connection[UrlNames[parts[0]]] = parts[0].StartsWith("sslmode", StringComparison.OrdinalIgnoreCase) ? value.Replace("-", "", StringComparison.Ordinal) : value;
        }
        return connection;
    }
}
