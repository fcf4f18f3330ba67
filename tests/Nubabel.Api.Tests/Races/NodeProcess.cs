using Npgsql;
using Nubabel.Api.Tests.Commands;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Races;

/// <summary>A real process of the server, as an operator starts it, on a database of the tests.</summary>
internal sealed class NodeProcess : IAsyncDisposable
{
    private readonly Child process;
    private readonly TestDatabase database;
    private readonly string sessions;
    private readonly string data;

    private NodeProcess(Child process, TestDatabase database, string sessions, string data, string address) =>
        (this.process, this.database, this.sessions, this.data, Address) = (process, database, sessions, data, new Uri(address));

    public Uri Address { get; }

    /// <summary>Its process id, which is part of the name it has in the list of nodes.</summary>
    public int Id => process.Id;

    /// <param name="environment">Settings of the test's own.</param>
    public static async Task<NodeProcess> Start(TestDatabase database, IReadOnlyDictionary<string, string>? environment = null)
    {
        var data = Directory.CreateTempSubdirectory("nubabel-node-").FullName;
        var settings = new Dictionary<string, string>(NubabelCommand.Settings(database))
        {
            ["NUBABEL_DATA"] = data,
            ["Erasures__Ledger"] = database.Ledger,
            ["ASPNETCORE_URLS"] = "http://127.0.0.1:0",
            ["Tokens__Issuer"] = "http://nubabel.test",
            ["Consumers__AllowLoopback"] = "true",
            ["Limits__UserRequestsPerMinute"] = "0",
            ["Limits__AddressRequestsPerMinute"] = "0",
        };
        if (database.IsMigrated) settings.Remove("ConnectionStrings__NubabelOwner");
        foreach (var (name, value) in environment ?? new Dictionary<string, string>()) settings[name] = value;
        // By this name its sessions are told from those of other nodes.
        var sessions = $"nubabel-api {Path.GetFileName(data)}";
        foreach (var login in (string[])["ConnectionStrings__Nubabel", "ConnectionStrings__NubabelDaemon"])
            settings[login] = new NpgsqlConnectionStringBuilder(settings[login]) { ApplicationName = sessions }.ConnectionString;
        var process = Child.Start(NubabelCommand.Program, ["serve"], settings, data);
        var address = await process.Line("Address:");
        process.Drain();
        return new NodeProcess(process, database, sessions, data, address.Trim());
    }

    /// <summary>SIGKILL: nothing is closed, nothing is said.</summary>
    public Task Kill() => process.Kill();

    /// <summary>
    /// Ends what a process that was killed has left at PostgreSQL, and waits until it is gone. The server does not notice that nobody is there before the statement is
    /// through: what was under way, as the renewal of a lease, might still be done at any time.
    /// </summary>
    public Task EndSessions() => HeldLock.End(database, $"application_name = '{sessions}' or application_name like 'nubabel %:{Id}-%'");

    /// <summary>SIGTERM, as a supervisor stops it.</summary>
    public Task Terminate() => Send("TERM");

    /// <summary>STOP: it stands still wherever it is. CONT: it goes on as if nothing had happened.</summary>
    public Task Send(string signal) => process.Send(signal);

    /// <summary>How it ended.</summary>
    public Task<int> ExitCode(TimeSpan within) => process.Ended(within);

    public async ValueTask DisposeAsync()
    {
        await process.DisposeAsync();
        Directory.Delete(data, recursive: true);
    }
}
