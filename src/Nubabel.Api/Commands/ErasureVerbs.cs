using System.CommandLine;
using Nubabel.Api.Erasures;
using Nubabel.Store;

namespace Nubabel.Api.Commands;

/// <summary>The ledger of erasures at the machine, also where no server gets ready because of it.</summary>
internal static class ErasureVerbs
{
    public static Command All() => new("erasures", "Who was erased, and the ledger that says so outside of the database.") { List(), Verify(), Mend(), Amend() };

    private static Command List()
    {
        var verb = new Command("list", "Show the erasures that the ledger has, and whether this database has carried them out.");
        verb.SetAction((_, ct) => Verbs.Guarded(() => With(async (node, ledger) =>
        {
            var rows = (await ErasureRows.All(node.Node.Everyones, ct)).ToDictionary(r => (r.Tenant, r.Person));
            ledger.Files.Open(await ErasureRows.Ledger(node.Node.Everyones, ct));
            Console.WriteLine($"{"entered (UTC)",-20} {"organization",-36} {"account",-36} {"keys",5}  state");
            foreach (var e in (await ledger.Files.Read(ct)).OrderBy(e => e.At))
                Console.WriteLine($"{e.At.UtcDateTime,-20:yyyy-MM-dd HH:mm:ss} {e.Tenant,-36} {e.Person,-36:D} {e.Subjects.Count,5}  {(!rows.TryGetValue((e.Tenant, e.Person), out var row) ? "unknown here" : row.IsDone ? "done" : "under way")}");
            return 0;
        }, ct)));
        return verb;
    }

    private static Command Verify()
    {
        var verb = new Command("verify", "Check the ledger and compare it with the database, as a start does; nothing is carried out.");
        verb.SetAction((_, ct) => Verbs.Guarded(() => With(async (_, ledger) =>
        {
            var missed = await ledger.Missed(ct);
            Console.WriteLine(missed.Count == 0 ? "The ledger and the database agree." : $"The ledger is whole. {missed.Count} erasures are not carried out in this database; the next start does that before it is ready.");
            return 0;
        }, ct)));
        return verb;
    }

    private static Command Mend()
    {
        var verb = new Command("mend", "Take away lines that a loss of power has cut off at the end of the ledger's files.");
        verb.SetAction((_, ct) => Verbs.Guarded(() => With(async (_, ledger) =>
        {
            var mended = ledger.Files.Mend();
            foreach (var (path, bytes) in mended) Console.WriteLine($"{path}: the last line was cut off; its {bytes} bytes were taken away.");
            if (mended.Count == 0) Console.WriteLine("No line is cut off at the end of a file, so nothing was changed.");
            try
            {
                // Cut off is one thing that may be wrong, and the only one that can be mended here.
                Console.WriteLine($"The {(await ledger.Files.Read(ct)).Count} entries of the ledger are as they were written.");
                return 0;
            }
            catch (LedgerFault e)
            {
                return Verbs.Fail($"Not mended: {e.Message}");
            }
        }, ct)));
        return verb;
    }

    private static Command Amend()
    {
        var lost = new Option<bool>("--lost") { Description = "Yes: no younger copy of the ledger is left, and this database is not a restored backup." };
        var verb = new Command("amend", "Write into the ledger what the database knows and the ledger lacks. Where there is no ledger, a new one begins.") { lost };
        verb.SetAction((parsed, ct) => Verbs.Guarded(() => With(async (_, ledger) =>
        {
            if (!parsed.GetValue(lost) && !await Prompt.Yes("Is the youngest copy of the ledger lost for good, and this database no restored backup?", ct)) return Verbs.Fail("Nothing was written.");
            Console.WriteLine($"{await ledger.Amend(ct)} erasures were written into the ledger.");
            return 0;
        }, ct)));
        return verb;
    }

    private static async Task<int> With(Func<Opened, Ledger, Task<int>> act, CancellationToken ct)
    {
        await using var node = await Opened.Open(ct);
        using var ledger = new Ledger(node.Node, node.Settings, Microsoft.Extensions.Logging.Abstractions.NullLogger<Ledger>.Instance);
        return await act(node, ledger);
    }
}
