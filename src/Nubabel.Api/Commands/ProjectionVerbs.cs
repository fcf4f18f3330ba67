using System.CommandLine;
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
            var status = await DaemonStatus.Read(node.Node.Database.Daemon, ReadModels.All, ct);
            Console.WriteLine($"{"name",-16} {"version",7} {"state",-8} {"position",12} {"lag",8} {"parked",7}  owner");
            foreach (var p in status.Projections)
                Console.WriteLine($"{p.Name,-16} {p.Version,7} {p.State.ToString().ToLowerInvariant(),-8} {p.Position,12} {p.Lag,8} {p.ParkedKeys,7}  {p.Owner ?? "(nobody)"}");
            return 0;
        }));
        return list;
    }

    private static Command RebuildVerb()
    {
        var name = new Argument<string>("name") { Description = "Which read model." };
        var rebuild = new Command("rebuild", "Empty a read model and fold the log into it again. Readers see it grow meanwhile.") { name };
        rebuild.SetAction((parsed, ct) => Verbs.Guarded(async () =>
        {
            await using var node = await Opened.Open(ct);
            if (ReadModels.All.Find(parsed.GetValue(name)!) is null) return Verbs.Fail($"There is no read model named {parsed.GetValue(name)}.");
            return await Rebuilding.Run(node, parsed.GetValue(name)!, ct);
        }));
        return rebuild;
    }
}
