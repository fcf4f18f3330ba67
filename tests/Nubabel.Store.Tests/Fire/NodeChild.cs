using Nubabel.Testing;

namespace Nubabel.Store.Tests.Fire;

/// <summary>A real process with a daemon, on a database of the tests.</summary>
internal sealed class NodeChild : IAsyncDisposable
{
    private readonly Child process;

    private NodeChild(Child process, string name) => (this.process, Name) = (process, name);

    public string Name { get; }

    /// <summary>A process that has started and waits for the word to begin.</summary>
    public static Task<NodeChild> Ready(EngineDatabase database, string name, TimeSpan? heartbeat = null) =>
        Begin(name, database.DaemonConnectionString, name, $"{(heartbeat ?? new DaemonOptions().Heartbeat).TotalMilliseconds:0}");

    /// <summary>A process that works on a rebuild and stands still at a step, until it is told to go on; it answers as soon as it stands.</summary>
    public static async Task<NodeChild> Rebuilding(EngineDatabase database, string projection, string step)
    {
        var child = await Begin($"rebuilding to {step}", "rebuild", database.DaemonConnectionString, projection, step);
        Assert.Equal(step, await child.process.Line());
        return child;
    }

    private static async Task<NodeChild> Begin(string name, params string[] arguments)
    {
        var child = new NodeChild(Child.Start(typeof(Program).Assembly.Location, arguments), name);
        Assert.Equal("here", await child.process.Line());
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
    public Task<string> Ask(string line) => process.Ask(line);

    /// <summary>SIGKILL: nothing is closed, nothing is said.</summary>
    public Task Kill() => process.Kill();

    /// <summary>SIGSTOP: it stands still wherever it is, and its connections stay open.</summary>
    public Task Stop() => process.Send("STOP");

    /// <summary>SIGCONT: it goes on as if nothing had happened.</summary>
    public Task Continue() => process.Send("CONT");

    public ValueTask DisposeAsync() => process.DisposeAsync();
}
