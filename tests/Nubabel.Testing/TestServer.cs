using System.Diagnostics;
using Npgsql;

namespace Nubabel.Testing;

/// <summary>
/// A throw-away PostgreSQL: the one that <c>./dev test</c> has started (<c>NUBABEL_TEST_POSTGRES</c>, a superuser's connection string), or
/// one of this process's own, for a run from an editor. Its own one ends with the process.
/// </summary>
public sealed class TestServer
{
    private static readonly Lazy<Task<TestServer>> Lazy = new(Start);
    private string? data;

    private TestServer(string superuser)
    {
        Superuser = superuser;
        var root = new NpgsqlDataSourceBuilder(new NpgsqlConnectionStringBuilder(superuser) { Pooling = false }.ConnectionString);
        root.ConfigureTypeLoading(types => types.EnableTypeLoading(false));
        Root = root.Build();
    }

    public static Task<TestServer> Shared => Lazy.Value;

    /// <summary>Connection string of a superuser, database <c>postgres</c>.</summary>
    public string Superuser { get; }

    /// <summary>For what is done to whole databases; one for all, as every other one would first ask for all types.</summary>
    internal NpgsqlDataSource Root { get; }

    /// <summary>The same server as another login and on another database.</summary>
    public string As(string login, string? password, string database) =>
        new NpgsqlConnectionStringBuilder(Superuser) { Username = login, Password = password, Database = database, MaxPoolSize = 20, ConnectionIdleLifetime = 20, ConnectionPruningInterval = 5 }.ConnectionString;

    /// <summary>A server of one's own in a new directory, for tests that stop and start it. The caller stops it.</summary>
    public static async Task<TestServer> StartOwn()
    {
        var bin = Directory.GetDirectories("/usr/lib/postgresql").OrderDescending().Select(d => Path.Combine(d, "bin")).First(Directory.Exists);
        var data = Directory.CreateTempSubdirectory("nubabel-pg-").FullName;
        await Run("chmod", "711", data);
        if (Environment.IsPrivilegedProcess) await Run("chown", "postgres", data);
        await AsServer(Path.Combine(bin, "initdb"), "-D", $"{data}/db", "-U", "postgres", "--no-sync", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8");
        await File.AppendAllTextAsync($"{data}/db/postgresql.conf", $"""

            listen_addresses = ''
            unix_socket_directories = '{data}'
            max_connections = 600
            max_prepared_transactions = 20
            max_locks_per_transaction = 256
            shared_buffers = 128MB
            fsync = off
            """);
        var server = new TestServer($"Host={data};Username=postgres;Database=postgres") { data = data };
        await server.Resume();
        AppDomain.CurrentDomain.ProcessExit += (_, _) => server.Remove();
        return server;
    }

    /// <summary>Starts the stopped server again.</summary>
    public Task Resume() => Control("start", "-w", "-l", $"{data}/log");

    /// <summary>Stops the server as an operator would, ending all sessions.</summary>
    public Task Stop(string mode = "fast") => Control("stop", "-w", "-m", mode);

    private Task Control(string verb, params string[] rest) =>
        AsServer(Path.Combine(Directory.GetDirectories("/usr/lib/postgresql").OrderDescending().First(), "bin", "pg_ctl"), [verb, "-D", $"{data}/db", .. rest]);

    private void Remove()
    {
        try
        {
            Stop("immediate").GetAwaiter().GetResult();
            Directory.Delete(data!, recursive: true);
        }
        catch (Exception e) when (e is InvalidOperationException or IOException or UnauthorizedAccessException)
        {
            // Stopped already; the directory lies in the system's temporary files.
        }
    }

    private static async Task<TestServer> Start() =>
        Environment.GetEnvironmentVariable("NUBABEL_TEST_POSTGRES") is { Length: > 0 } given ? new TestServer(given) : await StartOwn();

    // PostgreSQL refuses to run as root.
    private static Task AsServer(string program, params string[] arguments) =>
        Environment.IsPrivilegedProcess ? Run("runuser", ["-u", "postgres", "--", program, .. arguments]) : Run(program, arguments);

    private static async Task Run(string program, params string[] arguments)
    {
        // A server that inherits our pipes would keep them open for as long as it runs, so its output goes to a file of its own.
        var start = new ProcessStartInfo(program, arguments) { WorkingDirectory = "/tmp", RedirectStandardInput = true };
        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        await process.WaitForExitAsync();
        if (process.ExitCode != 0) throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} ended with {process.ExitCode}.");
    }
}
