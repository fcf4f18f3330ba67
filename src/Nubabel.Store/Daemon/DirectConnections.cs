using Npgsql;

namespace Nubabel.Store;

/// <summary>
/// Connections that are held for long and never pooled, straight to the server: leases, LISTEN and NOTIFY. A pooler would hand their session
/// to somebody else.
/// </summary>
public static class DirectConnections
{
    /// <summary>
    /// Without these settings the lock of a killed node stays until the operating system gives its connection up (measured: 11.6 s):
    /// PostgreSQL looks for the client every 500 ms while a statement runs, and keep-alives find a client that vanished while idle.
    /// </summary>
    private const string Options =
        "-c client_connection_check_interval=500 -c tcp_keepalives_idle=2 -c tcp_keepalives_interval=1 -c tcp_keepalives_count=3 -c tcp_user_timeout=5000";

    /// <param name="connectionString">The daemon login's, with its password: a data source does not give it away.</param>
    /// <param name="applicationName">How this node is named to an operator who looks for the owner of a lease.</param>
    public static NpgsqlDataSource To(string connectionString, string applicationName)
    {
        var builder = new NpgsqlConnectionStringBuilder(connectionString)
        {
            Pooling = false,
            ApplicationName = applicationName,
            Options = Options,
            Timeout = 5,
            CommandTimeout = 5,
        };
        // A unix socket knows no keep-alives, and the driver fails rather than leave them out.
        if (builder.Host is not ['/' or '@', ..])
        {
            builder.TcpKeepAlive = true;
            builder.TcpKeepAliveTime = 2;
            builder.TcpKeepAliveInterval = 1;
        }
        var source = new NpgsqlDataSourceBuilder(builder.ConnectionString);
        // Names, numbers and their arrays, which the driver knows: there are several of these in a process, and each would ask for all types of the database at its first connection.
        source.ConfigureTypeLoading(types => types.EnableTypeLoading(false));
        return source.Build();
    }
}
