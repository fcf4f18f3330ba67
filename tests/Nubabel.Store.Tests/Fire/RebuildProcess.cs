using Npgsql;

namespace Nubabel.Store.Tests.Fire;

/// <summary>This assembly as a program that works on a rebuild: it says where it stands and goes on when it is told to.</summary>
internal static class RebuildProcess
{
    public static async Task<int> Work(string[] args)
    {
        var (connectionString, projection, at) = (args[1], args[2], args[3]);
        await using var source = NpgsqlDataSource.Create(connectionString);
        Console.WriteLine("here");
        var hasStood = false;
        await using var rebuilds = new Rebuilds(source, connectionString, Tallies.Projections(), options: new RebuildOptions
        {
            // Whoever looks for it in the line finds it there: it does not come and go.
            StandsInLine = TimeSpan.FromMinutes(1),
            Step = async step =>
            {
                // Once: a step may come again (an exchange that must wait for others is tried again), and nobody tells it to go on then.
                if (step != at || hasStood) return;
                hasStood = true;
                Console.WriteLine(step);
                if (await Console.In.ReadLineAsync() is { } line) Console.WriteLine(line);
            },
        });
        await rebuilds.Follow(projection, _ => { }, CancellationToken.None);
        return 0;
    }
}
