using System.Security.Cryptography;
using Npgsql;
using Nubabel.Testing;

namespace Nubabel.Store.Tests;

/// <summary>
/// A database of its own with the engine's tables and nothing of the product, for tests that need the whole log to themselves: gaps,
/// marks, leases, other databases.
/// </summary>
public sealed class EngineDatabase : IAsyncDisposable
{
    private const string OwnerLogin = "engine_owner";
    public const string ApiLogin = "engine_api";
    public const string DaemonLogin = "engine_daemon";
    private const string Password = "engine";

    private static readonly SemaphoreSlim Creating = new(1, 1);
    private static string? template;
    private static TestServer server = null!;

    private EngineDatabase(string name)
    {
        Name = name;
        Owner = NpgsqlDataSource.Create(ConnectionString(name, OwnerLogin));
        Api = NpgsqlDataSource.Create(ConnectionString(name, ApiLogin));
        DaemonConnectionString = ConnectionString(name, DaemonLogin);
        Daemon = NpgsqlDataSource.Create(DaemonConnectionString);
    }

    public string Name { get; }
    public NpgsqlDataSource Owner { get; }
    public NpgsqlDataSource Api { get; }
    public NpgsqlDataSource Daemon { get; }
    public string DaemonConnectionString { get; }

    public static async Task<EngineDatabase> Create()
    {
        // The test host blocks pool threads of its own; on few cores every await would then stand for up to a second until the pool grows.
        ThreadPool.SetMinThreads(16, 16);
        await Creating.WaitAsync();
        try
        {
            server ??= await TestServer.Shared;
            template ??= await CreateTemplate();
            return await Copy(template);
        }
        finally
        {
            Creating.Release();
        }
    }

    /// <summary>A second database in which every table and sequence has the same object id as in this one.</summary>
    public async Task<EngineDatabase> Twin()
    {
        Owner.Clear();
        Daemon.Clear();
        Api.Clear();
        return await Copy(Name);
    }

    public async Task Execute(string sql)
    {
        await using var command = Daemon.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }

    public async Task<T?> Scalar<T>(string sql)
    {
        await using var command = Daemon.CreateCommand(sql);
        return await command.ExecuteScalarAsync() is T value ? value : default;
    }

    public static async Task AsSuperuser(string sql, string? database = null)
    {
        var builder = new NpgsqlConnectionStringBuilder(server.Superuser) { Pooling = false };
        if (database is not null) builder.Database = database;
        await using var connection = new NpgsqlConnection(builder.ConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await Owner.DisposeAsync();
        await Api.DisposeAsync();
        await Daemon.DisposeAsync();
        await AsSuperuser($"drop database if exists {Name} with (force)");
    }

    private static async Task<EngineDatabase> Copy(string source)
    {
        var name = Fresh();
        await AsSuperuser($"create database {name} template {source} owner {OwnerLogin}");
        return new EngineDatabase(name);
    }

    private static string Fresh() => $"engine_{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(6))}";

    private static async Task<string> CreateTemplate()
    {
        foreach (var (login, attributes) in new[] { (OwnerLogin, ""), (ApiLogin, ""), (DaemonLogin, "bypassrls in role pg_read_all_stats") })
        {
            // Logins belong to the whole server and other test processes may be making the same ones.
            await AsSuperuser($"""
                do $$ begin create role {login} login password '{Password}' {attributes};
                exception when duplicate_object or unique_violation then null; end $$
                """);
        }
        var name = Fresh();
        await AsSuperuser($"create database {name} owner {OwnerLogin}");
        await using (var owner = NpgsqlDataSource.Create(ConnectionString(name, OwnerLogin)))
        {
            await Migrations.Apply(owner, default);
            await using var grant = owner.CreateCommand($"""
                grant usage on schema events, nubabel, read to {DaemonLogin}, {ApiLogin};
                grant all on all tables in schema events, nubabel to {DaemonLogin};
                grant all on all sequences in schema events, nubabel to {DaemonLogin};
                """);
            await grant.ExecuteNonQueryAsync();
        }
        // The template goes with the test process's server; dropping it by name would need a hook that the runner does not have.
        return name;
    }

    private static string ConnectionString(string database, string login) => new NpgsqlConnectionStringBuilder(server.Superuser)
    {
        Database = database,
        Username = login,
        Password = Password,
        MaxPoolSize = 100,
        ConnectionIdleLifetime = 5,
        ConnectionPruningInterval = 1,
        IncludeErrorDetail = true,
    }.ConnectionString;
}

