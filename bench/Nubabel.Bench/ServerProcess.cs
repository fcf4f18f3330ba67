using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json;
using Npgsql;
using Nubabel.Testing;

namespace Nubabel.Bench;

/// <summary>The server as an operator starts it in production, in a process of its own, on a database of its own or beside another server.</summary>
internal sealed class ServerProcess : IAsyncDisposable
{
    private const string Password = "correct horse battery";
    private readonly Process process;
    private readonly string data;
    private readonly bool ownsDatabase;

    private ServerProcess(Process process, TestDatabase database, bool ownsDatabase, string data, Uri address) =>
        (this.process, Database, this.ownsDatabase, this.data, Address) = (process, database, ownsDatabase, data, address);

    public Uri Address { get; }
    public TestDatabase Database { get; }
    public int Id => process.Id;
    public TimeSpan Cpu => process.TotalProcessorTime;

    /// <param name="settings">Beyond what it needs to start, as they are called in the environment.</param>
    public static async Task<ServerProcess> Start(CancellationToken ct, params (string Name, string Value)[] settings) => await Start(await TestDatabase.New(), owns: true, settings, ct);

    /// <summary>What any verb needs to run in production on the database.</summary>
    public static void Configure(ProcessStartInfo start, TestDatabase database, string data)
    {
        start.Environment["ConnectionStrings__Nubabel"] = UsualPool(database.ApiString);
        start.Environment["ConnectionStrings__NubabelDaemon"] = UsualPool(database.DaemonString);
        start.Environment["NUBABEL_DATA"] = data;
        start.Environment["ASPNETCORE_ENVIRONMENT"] = "Production";
        start.Environment["Keys__Master"] = Convert.ToBase64String([.. Enumerable.Range(1, 32).Select(i => (byte)i)]);
        start.Environment["Erasures__Ledger"] = database.Ledger;
        start.Environment["Tokens__Issuer"] = "http://nubabel.bench";
        start.Environment["Signup__Mode"] = "open";
    }

    /// <param name="owns">Whether the database goes with the server.</param>
    public static async Task<ServerProcess> Start(TestDatabase database, bool owns, (string Name, string Value)[] settings, CancellationToken ct)
    {
        var data = Directory.CreateTempSubdirectory("nubabel-bench-").FullName;
        var address = new Uri($"http://127.0.0.1:{FreePort()}");
        // The log goes to a file, as a supervisor would have it: writing it is part of the server's work, reading it is nobody's.
        var start = new ProcessStartInfo("/bin/sh", ["-c", "exec dotnet \"$0\" serve > log 2>&1", Path.Combine(AppContext.BaseDirectory, "nubabel.dll")])
        {
            WorkingDirectory = data,
        };
        Configure(start, database, data);
        start.Environment["ASPNETCORE_URLS"] = address.ToString();
        foreach (var (name, value) in settings) start.Environment[name] = value;
        var server = new ServerProcess(Process.Start(start)!, database, owns, data, address);
        await server.Answering(ct);
        return server;
    }

    /// <summary>A new organization; its owner's access token.</summary>
    public async Task<string> SignUp(string slug, CancellationToken ct)
    {
        using var client = new HttpClient { BaseAddress = Address };
        using var answer = await client.PostAsJsonAsync("/api/signup", new { organization = new { name = slug, slug }, email = $"ada@{slug}.example", password = Password, name = "Ada" }, ct);
        answer.EnsureSuccessStatusCode();
        return (await answer.Content.ReadFromJsonAsync<JsonElement>(ct)).GetProperty("access_token").GetString()!;
    }

    public async ValueTask DisposeAsync()
    {
        if (!process.HasExited) process.Kill();
        await process.WaitForExitAsync();
        process.Dispose();
        if (ownsDatabase) await Database.DisposeAsync();
        Directory.Delete(data, recursive: true);
    }

    private async Task Answering(CancellationToken ct)
    {
        using var client = new HttpClient { BaseAddress = Address };
        while (true)
        {
            if (process.HasExited) throw new InvalidOperationException($"The server has ended: {await File.ReadAllTextAsync(Path.Combine(data, "log"), ct)}");
            try
            {
                using var ready = await client.GetAsync(new Uri("/health/ready", UriKind.Relative), ct);
                if (ready.IsSuccessStatusCode) return;
            }
            catch (HttpRequestException)
            {
                // It does not listen yet.
            }
            await Task.Delay(50, ct);
        }
    }

    /// <summary>Tests, of which many run at once, bound each pool; a server has the driver's own bound.</summary>
    private static string UsualPool(string connection)
    {
        var usual = new NpgsqlConnectionStringBuilder(connection);
        usual.Remove("Maximum Pool Size");
        return usual.ConnectionString;
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
