using System.Diagnostics;

namespace Nubabel.Store.Tests.Fire;

/// <summary>A real process with a daemon, on a database of the tests.</summary>
internal sealed class NodeChild : IAsyncDisposable
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(30);
    private readonly Process process;

    private NodeChild(Process process, string name) => (this.process, Name) = (process, name);

    public string Name { get; }

    /// <summary>A process that has started and waits for the word to begin.</summary>
    public static Task<NodeChild> Ready(EngineDatabase database, string name, TimeSpan? heartbeat = null) =>
        Begin(name, database.DaemonConnectionString, name, $"{(heartbeat ?? new DaemonOptions().Heartbeat).TotalMilliseconds:0}");

    /// <summary>A process that works on a rebuild and stands still at a step, until it is told to go on; it answers as soon as it stands.</summary>
    public static async Task<NodeChild> Rebuilding(EngineDatabase database, string projection, string step)
    {
        var child = await Begin($"rebuilding to {step}", "rebuild", database.DaemonConnectionString, projection, step);
        Assert.Equal(step, await child.Line());
        return child;
    }

    private static async Task<NodeChild> Begin(string name, params string[] arguments)
    {
        var process = Process.Start(new ProcessStartInfo("dotnet", [typeof(Program).Assembly.Location, .. arguments])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;
        var child = new NodeChild(process, name);
        Assert.Equal("here", await child.Line());
        return child;
    }

    public static async Task<NodeChild> Started(EngineDatabase database, string name, TimeSpan? heartbeat = null)
    {
        var child = await Ready(database, name, heartbeat);
        await child.Go();
        return child;
    }

    public Task Go() => Ask("go");

    /// <summary>One line to it, one line back.</summary>
    public async Task<string> Ask(string line)
    {
        await process.StandardInput.WriteLineAsync(line);
        await process.StandardInput.FlushAsync();
        return await Line();
    }

    /// <summary>SIGKILL: nothing is closed, nothing is said.</summary>
    public async Task Kill()
    {
        process.Kill();
        await process.WaitForExitAsync();
    }

    /// <summary>SIGSTOP: it stands still wherever it is, and its connections stay open.</summary>
    public Task Stop() => Send("STOP");

    /// <summary>SIGCONT: it goes on as if nothing had happened.</summary>
    public Task Continue() => Send("CONT");

    public async ValueTask DisposeAsync()
    {
        if (!process.HasExited) await Kill();
        process.Dispose();
    }

    private async Task<string> Line() => await process.StandardOutput.ReadLineAsync().WaitAsync(Bound) ?? throw new InvalidOperationException($"{Name} has ended.");

    private async Task Send(string signal)
    {
        using var kill = Process.Start("sh", ["-c", $"kill -{signal} {process.Id}"]);
        await kill.WaitForExitAsync();
        Assert.Equal(0, kill.ExitCode);
    }
}
