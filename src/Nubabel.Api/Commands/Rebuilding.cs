using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Commands;

/// <summary>Rebuilds a read model from the command line and shows how far it is.</summary>
internal static class Rebuilding
{
    public static async Task<int> Run(Opened node, string name, CancellationToken ct)
    {
        var began = TimeProvider.System.GetTimestamp();
        var result = await Rebuild.Run(node.Node.Database.Daemon, node.Settings.DaemonLogin!, ReadModels.All, name, Show, ct);
        var seconds = TimeProvider.System.GetElapsedTime(began).TotalSeconds;
        if (!Console.IsOutputRedirected) Console.Write("\r");
        Console.WriteLine($"{name}: {result.Events} events in {seconds:0.0} s, at position {result.Position}, {result.ParkedKeys} keys parked.");
        if (result.StoppedBy is null) return 0;
        await Console.Error.WriteLineAsync($"Stopped: {result.StoppedBy}");
        return 1;

        void Show(RebuildProgress p)
        {
            // One line that is written over, where somebody looks at it.
            if (!Console.IsOutputRedirected) Console.Write($"\r{name}: {p.Position,12} of {p.Mark} ({(p.Mark == 0 ? 100 : 100 * p.Position / p.Mark)} %), {p.Events} events ");
        }
    }
}
