using System.CommandLine;
using Nubabel.Store;

namespace Nubabel.Api.Commands;

/// <summary>Shows the processes that serve this database.</summary>
internal static class NodeVerbs
{
    public static Command All() => new("nodes", "The processes that serve this database.") { List() };

    private static Command List()
    {
        var list = new Command("list", "Show every process with a daemon: since when it runs, when it was last seen, and which read models it keeps.");
        list.SetAction((_, ct) => Verbs.Guarded(async () =>
        {
            await using var node = await Opened.Open(ct);
            var nodes = await Nodes.Read(node.Node.Database.Daemon, ct);
            Console.WriteLine($"{"name",-40} {"state",-6} {"started (UTC)",-20} {"seen",12}  owns");
            foreach (var n in nodes)
                Console.WriteLine($"{n.Name,-40} {(n.Alive ? "here" : "gone"),-6} {n.Started.UtcDateTime,-20:yyyy-MM-dd HH:mm:ss} {$"{n.SilentSeconds:0.0} s ago",12}  {(n.Owns.Count == 0 ? "(nothing)" : string.Join(", ", n.Owns))}");
            return 0;
        }));
        return list;
    }
}
