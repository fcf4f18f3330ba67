using System.CommandLine;
using Nubabel.Api.Projections;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Commands;

/// <summary>Shows the read models and acts on them.</summary>
internal static class ProjectionVerbs
{
    public static Command All()
    {
        var all = new Command("projections", "The read models.") { List(), RebuildVerb() };
        foreach (var verb in ParkVerbs.All()) all.Add(verb);
        return all;
    }

    private static Command List()
    {
        var list = new Command("list", "Show every read model: where it is and how far behind.");
        list.SetAction((_, ct) => Verbs.Guarded(async () =>
        {
            await using var node = await Opened.Open(ct);
            var status = await DaemonStatus.Read(node.Node.Database.Daemon, ProjectionActs.AllOf(node.Node), ct);
            await using var rebuilds = Rebuilding.Of(node);
            var wide = status.Projections.Max(p => p.Name.Length);
            Console.WriteLine($"{"name".PadRight(wide)} {"version",7} {"state",-8} {"position",12} {"lag",8} {"parked",7}  owner");
            foreach (var p in status.Projections.OrderBy(p => p.Name, StringComparer.Ordinal))
            {
                // A reaction has no table that could be rebuilt.
                var rebuild = ReadModels.All.Find(p.Name) is not null && await rebuilds.Status(p.Name, ct) is { State: RebuildState.Running or RebuildState.Held } r ? $"; {Rebuilding.Said(r)}" : "";
                Console.WriteLine($"{p.Name.PadRight(wide)} {p.Version,7} {p.State.ToString().ToLowerInvariant(),-8} {p.Position,12} {p.Lag,8} {p.ParkedKeys,7}  {p.Owner ?? "(nobody)"}{rebuild}");
            }
            return 0;
        }));
        return list;
    }

    private static Command RebuildVerb()
    {
        var name = new Argument<string>("name") { Description = "Which read model." };
        var force = new Option<bool>("--force") { Description = "Publish it also with keys parked that were not parked before." };
        var watch = new Option<bool>("--watch") { Description = "Start nothing; show how the one goes on that is under way." };
        var rebuild = new Command("rebuild", "Fold the whole log into a new table beside the one that readers see, and exchange the two when it is whole.") { name, force, watch };
        rebuild.SetAction((parsed, ct) => Verbs.Guarded(async () =>
        {
            await using var node = await Opened.Open(ct);
            return await Rebuilding.Run(node, parsed.GetValue(name)!, parsed.GetValue(force), parsed.GetValue(watch), ct);
        }));
        return rebuild;
    }
}
