using Nubabel.Api.Tests.Commands;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Races;

/// <summary>A real process of the server, as an operator starts it, on a database of the tests.</summary>
internal sealed class NodeProcess : IAsyncDisposable
{
    private readonly Child process;
    private readonly string data;

    private NodeProcess(Child process, string data, string address) => (this.process, this.data, Address) = (process, data, new Uri(address));

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
        var process = Child.Start(NubabelCommand.Program, ["serve"], settings, data);
        var address = await process.Line("Address:");
        process.Drain();
        return new NodeProcess(process, data, address.Trim());
    }

    /// <summary>SIGKILL: nothing is closed, nothing is said.</summary>
    public Task Kill() => process.Kill();

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
