using System.Diagnostics;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Races;

/// <summary>A real process of the server, as an operator starts it, on a database of the tests.</summary>
internal sealed class NodeProcess : IAsyncDisposable
{
    private static readonly TimeSpan LongestStart = TimeSpan.FromSeconds(60);
    private readonly Process process;
    private readonly string data;

    private NodeProcess(Process process, string data) => (this.process, this.data) = (process, data);

    public Uri Address { get; private set; } = null!;

    /// <summary>Its process id, which is part of the name it has in the list of nodes.</summary>
    public int Id => process.Id;

    /// <param name="environment">Settings of the test's own.</param>
    public static async Task<NodeProcess> Start(TestDatabase database, IReadOnlyDictionary<string, string>? environment = null)
    {
        var data = Directory.CreateTempSubdirectory("nubabel-node-").FullName;
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "nubabel.dll"), "serve"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = data,
            Environment =
            {
                ["ConnectionStrings__Nubabel"] = database.ApiString,
                ["ConnectionStrings__NubabelDaemon"] = database.DaemonString,
                ["ConnectionStrings__NubabelOwner"] = database.OwnerString,
                ["Keys__Master"] = Convert.ToBase64String(Enumerable.Range(1, 32).Select(i => (byte)i).ToArray()),
                ["NUBABEL_DATA"] = data,
                ["Erasures__Ledger"] = database.Ledger,
                ["ASPNETCORE_URLS"] = "http://127.0.0.1:0",
                ["ASPNETCORE_ENVIRONMENT"] = "Development",
                ["Tokens__Issuer"] = "http://nubabel.test",
                ["Consumers__AllowLoopback"] = "true",
                ["Limits__UserRequestsPerMinute"] = "0",
                ["Limits__AddressRequestsPerMinute"] = "0",
            },
        };
        foreach (var (name, value) in environment ?? new Dictionary<string, string>()) start.Environment[name] = value;
        // Of the tests alone: the server refuses what is no setting of its own.
        start.Environment.Remove("NUBABEL_STRESS_SECONDS");
        var address = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        var said = new List<string>();
        var process = new Process { StartInfo = start, EnableRaisingEvents = true };
        process.OutputDataReceived += (_, line) => Heard(line.Data);
        process.ErrorDataReceived += (_, line) => Heard(line.Data);
        process.Exited += (_, _) => address.TrySetException(new InvalidOperationException($"The server ended: {string.Join('\n', said)}"));
        process.Start();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return new NodeProcess(process, data) { Address = new Uri(await address.Task.WaitAsync(LongestStart)) };

        void Heard(string? line)
        {
            if (line is null) return;
            if (said.Count < 100) said.Add(line);
            if (line.StartsWith("Address:", StringComparison.Ordinal)) address.TrySetResult(line["Address:".Length..].Trim());
        }
    }

    /// <summary>SIGKILL: nothing is closed, nothing is said.</summary>
    public async Task Kill()
    {
        process.Kill();
        await process.WaitForExitAsync();
    }

    /// <summary>SIGTERM, as a supervisor stops it.</summary>
    public Task Terminate() => Send("TERM");

    /// <summary>STOP: it stands still wherever it is. CONT: it goes on as if nothing had happened.</summary>
    public async Task Send(string signal)
    {
        using var kill = Process.Start("sh", ["-c", $"kill -{signal} {process.Id}"]);
        await kill.WaitForExitAsync();
    }

    /// <summary>How it ended.</summary>
    public async Task<int> ExitCode(TimeSpan within)
    {
        await process.WaitForExitAsync().WaitAsync(within);
        return process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        if (!process.HasExited) await Kill();
        process.Dispose();
        Directory.Delete(data, recursive: true);
    }
}
