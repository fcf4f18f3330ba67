using Npgsql;
using Nubabel.Api.Host;
using Nubabel.Store;

namespace Nubabel.Api.Commands;

/// <summary>The configuration cannot be used.</summary>
/// <param name="lines">One line per fault.</param>
public sealed class BadSettings(IReadOnlyList<string> lines) : Exception(string.Join('\n', lines))
{
    public IReadOnlyList<string> Lines => lines;
}

/// <summary>The configuration outside of the web host: environment variables and <c>appsettings.json</c>, as the server reads them.</summary>
public static class Configured
{
    public static IConfiguration Build(out string environment)
    {
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { Args = [] });
        environment = builder.Environment.EnvironmentName;
        return builder.Configuration;
    }

    /// <exception cref="BadSettings">With a line for each fault.</exception>
    public static Settings Settings(params IReadOnlyList<Setting> needed)
    {
        var (settings, errors) = Host.Settings.Read(Build(out var environment), environment, needed);
        return settings ?? throw new BadSettings(errors);
    }

    /// <summary>The login's name in a connection string, for the grants.</summary>
    public static string Login(string connectionString) => new NpgsqlConnectionStringBuilder(connectionString).Username
        ?? throw new BadSettings(["The connection strings of the serving logins must name them (Username)."]);

    public static string FirstAddress() => (Environment.GetEnvironmentVariable("ASPNETCORE_URLS") ?? "http://127.0.0.1:5080").Split(';')[0]
        .Replace("://+", "://127.0.0.1", StringComparison.Ordinal).Replace("://*", "://127.0.0.1", StringComparison.Ordinal).Replace("://0.0.0.0", "://127.0.0.1", StringComparison.Ordinal);
}

/// <summary>A node without a server, for the verbs that work on data.</summary>
public sealed class Opened : IAsyncDisposable
{
    private Opened(Node node, Settings settings) => (Node, Settings) = (node, settings);

    public Node Node { get; }
    public Settings Settings { get; }

    public SignIns SignIns
    {
        get
        {
            var keys = new Host.Tokens.SigningKeys(Node.Database, Node.Masters, Node.Time);
            return new SignIns(Node, Settings, new Host.Tokens.AccessTokens(keys, Settings, Node.Time), new Host.Tokens.RefreshTokens(Node.Root));
        }
    }

    public static async Task<Opened> Open(CancellationToken ct)
    {
        var settings = Configured.Settings(Host.Settings.ApiConnection, Host.Settings.DaemonConnection);
        var database = Database.Open(settings.Shard, settings.Api!, settings.DaemonLogin!);
        var masters = MasterKeyFile.Of(settings);
        Migrations.Refuse(await Migrations.Status(database.Daemon, ct), complete: true);
        await Logins.Check(database, ct);
        var root = await Stamps.Check(database.Daemon, settings.EnvironmentStamp, masters, ct);
        return new Opened(new Node(database, masters, root, new Store.Signal(), TimeProvider.System), settings);
    }

    public ValueTask DisposeAsync() => Node.Database.DisposeAsync();
}
