using Npgsql;

namespace Nubabel.Store.Tests;

/// <summary>
/// This assembly as a program: a process with a daemon on the tests' vocabulary, or a worker, to be killed and stopped. It obeys lines on its standard input and answers
/// each with one; when that ends, its parent has gone and so does it.
/// </summary>
internal static class Program
{
    public static async Task<int> Main(string[] args)
    {
        if (args is ["worker", ..]) return await Messages.WorkerProcess.Work(args);
        if (args is ["rebuild", ..]) return await Fire.RebuildProcess.Work(args);
        if (args is not [var connectionString, var name, var heartbeat]) return 64;
        await using var source = NpgsqlDataSource.Create(connectionString);
        var projections = Tallies.Projections();
        var positions = new Positions(source, projections);
        await using var daemon = new ProjectionDaemon(source, connectionString, projections, new Signal(), positions,
            new DaemonOptions { Node = name, Heartbeat = TimeSpan.FromMilliseconds(int.Parse(heartbeat, provider: null)), Poll = TimeSpan.FromMilliseconds(200) });
        Console.WriteLine("here");
        while (await Console.In.ReadLineAsync() is { } line)
        {
            if (line == "go") daemon.Start();
            Console.WriteLine(line switch
            {
                "held" => string.Join(' ', daemon.Held),
                "errors" => string.Join(' ', (await daemon.Status(default)).Projections.Select(p => p.LastError)),
                _ when line.StartsWith("have ", StringComparison.Ordinal) => (await positions.Reached(line[5..], long.MaxValue, TimeSpan.FromMilliseconds(50), default)).Have.ToString(provider: null),
                _ => line,
            });
        }
        return 0;
    }
}
