using Nubabel.Api.Projections;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Commands;

/// <summary>Rebuilds a read model from the command line and shows how far it is.</summary>
internal static class Rebuilding
{
    /// <summary>The rebuild ended without being published, or another one is under way.</summary>
    private const int NotDone = 1;

    /// <param name="watch">Only look on, where one is under way.</param>
    public static async Task<int> Run(Opened node, string name, bool force, bool watch, CancellationToken ct)
    {
        await using var rebuilds = Of(node);
        if (!watch)
        {
            try
            {
                if (await rebuilds.Status(name, ct) is { HasEnded: true } last) await RebuildEvents.Say(node.Node, last, ct);
                var ordered = await rebuilds.Order(name, force, "system:command-line", ct);
                await RebuildEvents.Started(node.Node.Journal(Host.Node.Platform, new Origin("system:command-line")), ordered, ct);
            }
            catch (RebuildRunning running)
            {
                await Console.Error.WriteLineAsync($"{running.Message} {Said(running.Status)}, since {running.Status.StartedAt:yyyy-MM-dd HH:mm:ss} UTC. --watch shows how it goes on.");
                return NotDone;
            }
        }
        if (await rebuilds.Status(name, ct) is not { } found)
        {
            await Console.Error.WriteLineAsync($"There is no rebuild of {name}.");
            return NotDone;
        }
        return await Shown(rebuilds, found, ct);
    }

    private static async Task<int> Shown(Rebuilds rebuilds, RebuildStatus found, CancellationToken ct)
    {
        var began = TimeProvider.System.GetTimestamp();
        RebuildStatus ended;
        using (var bar = new ProgressBar(found.Name)) ended = found.HasEnded ? found : await rebuilds.Follow(found.Name, status => Show(bar, status), ct);
        var seconds = TimeProvider.System.GetElapsedTime(began).TotalSeconds;
        Console.WriteLine($"{ended.Name} version {ended.Version}: {ended.State.ToString().ToLowerInvariant()}, {ended.Events} events in {seconds:0.0} s, at position {ended.Position}, {ended.ParkedKeys} keys parked.");
        if (ended.Error is { } error) await Console.Error.WriteLineAsync(error);
        return ended.State == RebuildState.Published ? 0 : NotDone;
    }

    // The share of the work is known, and not how many events it will have been: those of the log that it does not want are passed over.
    private static void Show(ProgressBar bar, RebuildStatus status) =>
        bar.Show(status.Events, status.Done > 0 ? (long)(status.Events / status.Done) : null, status.Error is null ? status.Phase : $"{status.Phase}: {status.Error}");

    /// <summary>What a list says of one that is under way.</summary>
    public static string Said(RebuildStatus status) => status.State == RebuildState.Held ? $"its rebuild is held: {status.Error}" : $"being rebuilt: {status.Phase}, {(int)(status.Done * 100)} % loaded";

    public static Rebuilds Of(Opened node) =>
        new(node.Node.Database.Daemon, node.Settings.DaemonLogin!, ReadModels.All, options: new RebuildOptions { Told = RebuildEvents.By(node.Node) });
}
