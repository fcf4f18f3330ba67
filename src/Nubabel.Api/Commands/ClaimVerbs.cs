using System.CommandLine;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Commands;

/// <summary>Makes unique values anew from the log.</summary>
internal static class ClaimVerbs
{
    public static Command All()
    {
        var tenant = EventVerbs.TenantOption("Only this organization's (its id; *DEFAULT* for the platform's).");
        var rebuild = new Command("rebuild", "Make the claims anew from the log, while everybody works: what no stream holds is released, what is missing is taken. Safe to repeat.") { tenant };
        rebuild.SetAction((parsed, ct) => Verbs.Guarded(async () =>
        {
            await using var node = await Opened.Open(ct);
            using var bar = new ProgressBar("claims", "streams and claims");
            var result = await new ClaimRebuild(node.Node.Database.Daemon, Events.Types, Consequences.All, parsed.GetValue(tenant)).Run(done => bar.Show(done, null), ct);
            bar.Dispose();
            foreach (var conflict in result.Conflicts) await Console.Error.WriteLineAsync(conflict);
            Console.WriteLine($"{result.Streams} streams: {result.Released} claims released, {result.Taken} taken, {result.Conflicts.Count} in conflict.");
            return result.Conflicts.Count == 0 ? 0 : 1;
        }));
        return new Command("claims", "Unique values: e-mail addresses, names of devices and keys.") { rebuild };
    }
}
