using Npgsql;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Testing;

/// <summary>
/// A migrated database with the product's three logins on the throw-away server. Most tests share one, each with a tenant of its own;
/// a test that looks at the log as a whole takes <see cref="New"/>.
/// </summary>
public sealed class TestDatabase : IAsyncDisposable
{
    private static readonly Lazy<Task<TestDatabase>> Lazy = new(async () => await New());
    private static readonly Lazy<Task<string>> Template = new(MakeTemplate);
    private const string Api = "nubabel_api", Daemon = "nubabel_daemon";
    private static int count;

    private TestDatabase(TestServer server, string name, string shard)
    {
        (Server, Name) = (server, name);
        OwnerString = server.As("nubabel_owner", "owner", name);
        ApiString = server.As(Api, "api", name);
        DaemonString = server.As(Daemon, "daemon", name);
        Database = Database.Open(shard, ApiString, DaemonString);
        Owner = NpgsqlDataSource.Create(OwnerString);
        Superuser = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(server.Superuser) { Database = name, MaxPoolSize = 20, ConnectionIdleLifetime = 5, ConnectionPruningInterval = 1 }.ConnectionString);
    }

    /// <summary>Where the letters of all nodes on this database go.</summary>
    public string Mail { get; } = Directory.CreateTempSubdirectory("nubabel-mail-").FullName;

    /// <summary>Where the ledger of erasures of all nodes on this database is.</summary>
    public string Ledger { get; } = Directory.CreateTempSubdirectory("nubabel-ledger-").FullName;

    public static Task<TestDatabase> Shared => Lazy.Value;

    /// <summary>Whether its schema is what this build needs, so that no server has to look.</summary>
    public bool IsMigrated { get; private set; }

    public TestServer Server { get; }
    public string Name { get; }
    public string OwnerString { get; }
    public string ApiString { get; }
    public string DaemonString { get; }
    public Database Database { get; }
    public NpgsqlDataSource Owner { get; }

    /// <summary>For arranging and inspecting only; nothing under test gets it.</summary>
    public NpgsqlDataSource Superuser { get; }

    /// <summary>The key of all test databases: a test may open another process on the same data.</summary>
    public static MasterKeys Master { get; } = new(new MasterKey(Enumerable.Range(1, 32).Select(i => (byte)i).ToArray()));

    /// <summary>For what is made without a server; a server has the root of its database.</summary>
    public static RootKey Root { get; } = new(Enumerable.Range(33, 32).Select(i => (byte)i).ToArray());

    /// <summary>A database of one's own, on the shared server or on the one given.</summary>
    public static async Task<TestDatabase> New(TestServer? on = null, bool migrate = true, string shard = "main")
    {
        var shared = await TestServer.Shared;
        // On the shared server a copy of one that has been migrated: all steps and tables anew would take ten times as long, and there are a hundred of them.
        var isCopy = migrate && (on ?? shared) == shared;
        var database = await Create(on ?? shared, shard, isCopy ? await Template.Value : "template0");
        if (migrate && !isCopy) await database.Migrate();
        // What is granted on a database, and not in it, is not copied.
        if (isCopy) await Migrations.Grant(database.Owner, Api, Daemon, CancellationToken.None);
        database.IsMigrated = migrate;
        return database;
    }

    /// <summary>Runs a statement as superuser, to arrange or inspect.</summary>
    public Task Run(string sql) => Run(Superuser, sql);

    /// <summary>One value, as superuser.</summary>
    public async Task<T> Scalar<T>(string sql)
    {
        await using var command = Superuser.CreateCommand(sql);
        return (T)(await command.ExecuteScalarAsync())!;
    }

    public async ValueTask DisposeAsync()
    {
        await LetGo();
        await Run(Server.Root, $"drop database if exists {Name} with (force)");
    }

    /// <summary>All but the database itself.</summary>
    private async Task LetGo()
    {
        await Database.DisposeAsync();
        await Owner.DisposeAsync();
        await Superuser.DisposeAsync();
        Directory.Delete(Mail, recursive: true);
        Directory.Delete(Ledger, recursive: true);
    }

    // It goes with the server that is thrown away, as the shared one does.
    private static async Task<string> MakeTemplate()
    {
        var made = await Create(await TestServer.Shared, "main", "template0");
        await made.Migrate();
        // Nobody may be connected to what is copied.
        await made.LetGo();
        return made.Name;
    }

    private static async Task<TestDatabase> Create(TestServer server, string shard, string template)
    {
        var name = $"t{Environment.ProcessId}_{Interlocked.Increment(ref count)}";
        // Logins belong to the server: whoever comes first makes them. To the end of the transaction: given back before the commit, the lock would let
        // the next one in before the logins are there to be seen.
        await Run(server.Root, """
            select pg_advisory_xact_lock(77);
            do $$ begin
              if not exists (select from pg_roles where rolname = 'nubabel_owner') then
                create role nubabel_owner login password 'owner';
                create role nubabel_api login password 'api';
                create role nubabel_daemon login bypassrls password 'daemon' in role pg_read_all_stats;
                alter role nubabel_api set jit = off;
                alter role nubabel_daemon set jit = off;
              end if;
            end $$;
            """);
        await Run(server.Root, $"create database {name} owner nubabel_owner template {template} encoding 'UTF8'");
        return new TestDatabase(server, name, shard);
    }

    private async Task Migrate() => await Schema.Migrate(Owner, Api, Daemon, CancellationToken.None);

    private static async Task Run(NpgsqlDataSource source, string sql)
    {
        await using var connection = await source.OpenConnectionAsync();
        // What a test prepares may take as long as the machine needs for it.
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 300 };
        await command.ExecuteNonQueryAsync();
    }
}
