using System.CommandLine;
using Nubabel.Api.Host;
using Nubabel.Api.Projections;
using Nubabel.Domain;
using Nubabel.Domain.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Commands;

/// <summary>Pauses projections and looks after what they have parked. What it orders is an event, as over HTTP, and takes effect without a running server too.</summary>
internal static class ParkVerbs
{
    private const int PageSize = 200;
    private static readonly Origin AtTheMachine = new("system:command-line");

    public static IEnumerable<Command> All() =>
    [
        Pause(), Resume(),
        new Command("park", "Keys that wait behind an event which could not be folded.") { List(), Retry(), Skip() },
    ];

    private static Argument<string> Name() => new("name") { Description = "Which read model." };

    private static Command Pause()
    {
        var (name, reason) = (Name(), new Option<string?>("--reason") { Description = "Why, for those who find it paused." });
        return Acting(new Command("pause", "Have a read model fold nothing more until it is resumed; it stays paused over restarts.") { name, reason }, name, async (parsed, acts, journal, projection, ct) =>
        {
            var why = parsed.GetValue(reason) is { } text ? Reason.Parse(text) : null;
            await acts.Run(projection, journal, new PauseProjection(projection.Version, why), ct);
            Console.WriteLine($"{projection.Name} is paused.");
            return 0;
        });
    }

    private static Command Resume()
    {
        var name = Name();
        return Acting(new Command("resume", "Have a paused read model go on.") { name }, name, async (_, acts, journal, projection, ct) =>
        {
            await acts.Run(projection, journal, new ResumeProjection(projection.Version), ct);
            Console.WriteLine($"{projection.Name} goes on.");
            return 0;
        });
    }

    private static Command List()
    {
        var name = Name();
        return Acting(new Command("list", "Show the keys that wait, with the event that failed and why.") { name }, name, async (_, acts, _, projection, ct) =>
        {
            var after = 0L;
            while (await acts.Parked(projection, after, PageSize, ct) is { Count: > 0 } page)
            {
                foreach (var p in page)
                    Console.WriteLine($"{p.Tenant} {p.Key} position {p.Position} events {p.Events} attempts {p.Attempts} since {p.Since:yyyy-MM-dd HH:mm:ss}  {p.Error.ReplaceLineEndings(" ")}");
                after = page[^1].Position;
            }
            // An empty list alone would leave open whether anybody has looked.
            if (after == 0) await Console.Error.WriteLineAsync($"Nothing of {projection.Name} is parked.");
            return 0;
        });
    }

    private static Command Retry()
    {
        var name = Name();
        var (tenant, key) = (new Option<string?>("--tenant") { Description = "Whose key." }, new Option<string?>("--key") { Description = "Which key." });
        var all = new Option<bool>("--all") { Description = "Every key that waits." };
        return Acting(new Command("retry", "Fold parked events once more.") { name, tenant, key, all }, name, async (parsed, acts, journal, projection, ct) =>
        {
            var (whose, which) = (parsed.GetValue(tenant), parsed.GetValue(key));
            if (parsed.GetValue(all) ? whose is not null || which is not null : whose is null || which is null) return Verbs.Fail("Name --tenant and --key, or say --all.");
            return await Told(projection, await acts.Retry(projection, journal, whose, which, ct), acts, ct, ofAll: which is null);
        });
    }

    private static Command Skip()
    {
        var name = Name();
        var (tenant, key) = (new Option<string>("--tenant") { Description = "Whose key.", Required = true }, new Option<string>("--key") { Description = "Which key.", Required = true });
        var position = new Option<long>("--position") { Description = "Which event.", Required = true };
        var reason = new Option<string>("--reason") { Description = "Why; it stands in the log for good.", Required = true };
        return Acting(new Command("skip", "Pass over an event, now and in every rebuild of this version.") { name, tenant, key, position, reason }, name, async (parsed, acts, journal, projection, ct) =>
        {
            var skip = new SkipEvent(projection.Version, parsed.GetValue(tenant)!, parsed.GetValue(key)!, parsed.GetValue(position), Reason.Parse(parsed.GetValue(reason)!));
            return await Told(projection, await acts.Skip(projection, journal, skip, ct), acts, ct);
        });
    }

    /// <summary>0 when nothing of what was asked for waits any more.</summary>
    private static async Task<int> Told(Projection projection, (bool Done, ParkedKey? Parked) after, ProjectionActs acts, CancellationToken ct, bool ofAll = false)
    {
        if (!after.Done) return Verbs.Fail("Ordered; the node that runs it carries it out. None has yet.");
        if (after.Parked is { } still) return Verbs.Fail($"Still parked at position {still.Position}, attempt {still.Attempts}: {still.Error}");
        var parked = (await acts.Status(projection, ct)).ParkedKeys;
        var told = parked == 1 ? $"{projection.Name}: 1 key is parked." : $"{projection.Name}: {parked} keys are parked.";
        if (ofAll && parked > 0) return Verbs.Fail(told);
        Console.WriteLine(told);
        return 0;
    }

    private static Command Acting(Command verb, Argument<string> name, Func<ParseResult, ProjectionActs, Journal, Projection, CancellationToken, Task<int>> act)
    {
        verb.SetAction((parsed, ct) => Verbs.Guarded(async () =>
        {
            await using var node = await Opened.Open(ct);
            try
            {
                var acts = new ProjectionActs(node.Node);
                return await act(parsed, acts, node.Node.Journal(Node.Platform, AtTheMachine), acts.Named(parsed.GetValue(name)!), ct);
            }
            catch (Exception e) when (e is Problem or Refused)
            {
                return Verbs.Fail(e.Message);
            }
        }));
        return verb;
    }
}
