using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Nubabel.Store;

namespace Nubabel.Api.Commands;

/// <summary>The audit chain on the command line: verify it, in the database or in a file, and take out what is kept elsewhere.</summary>
internal static class ChainVerbs
{
    public static IEnumerable<Command> All() => [Verify(), Export(), Checkpoints(), Keys(), Rechain()];

    private static Command Verify()
    {
        var tenant = EventVerbs.TenantOption("Only this organization (its id; *DEFAULT* for the platform).");
        var file = new Option<string?>("--in") { Description = "Verify a file of nubabel audit export instead of the database; no database is needed." };
        var keys = new Option<string?>("--keys") { Description = "With --in: the key set that counts (nubabel audit keys), kept apart from the file. Without it the file's own keys count." };
        var kept = new Option<string?>("--checkpoints") { Description = "A file of checkpoints that were kept elsewhere, one a line (nubabel audit checkpoints). They must be true as well." };
        var verb = new Command("verify", "Verify that the log is what it was when it was chained and signed: names the first entry that was altered, removed, moved, cut off or slipped in.") { tenant, file, keys, kept };
        verb.SetAction((parsed, ct) => Verbs.Guarded(() => Readable(async () =>
        {
            string[] statements = parsed.GetValue(kept) is { } list ? [.. (await File.ReadAllLinesAsync(list, ct)).Select(l => l.Trim()).Where(l => l.Length > 0)] : [];
            if (parsed.GetValue(file) is { } path)
            {
                JsonElement? trusted = parsed.GetValue(keys) is { } set ? JsonElement.Parse(await File.ReadAllBytesAsync(set, ct)) : null;
                return Say([await ChainFile.Verify(path, trusted, statements, ct)]);
            }
            await using var node = await Opened.Open(ct);
            var store = new ChainStore(node.Node.Database.Daemon);
            var verdicts = new List<ChainVerdict>();
            foreach (var one in parsed.GetValue(tenant) is { } only ? [only] : await store.Tenants(ct))
            {
                using var bar = new ProgressBar(one, "positions");
                verdicts.Add(await store.Verify(one, statements, (done, total) => bar.Show(done, total), ct));
            }
            return Say(verdicts);
        })));
        return verb;
    }

    private static Command Export()
    {
        var tenant = new Option<string>("--tenant") { Description = "The organization (its id; *DEFAULT* for the platform).", Required = true };
        var file = new Option<string>("--out") { Description = "The file.", Required = true };
        var verb = new Command("export", "Write an organization's chain to a file that can be verified anywhere: events as they are stored, personal values sealed.") { tenant, file };
        verb.SetAction((parsed, ct) => Verbs.Guarded(() => EventVerbs.WithFile(async () =>
        {
            await using var node = await Opened.Open(ct);
            var daemon = node.Node.Database.Daemon;
            var path = parsed.GetValue(file)!;
            // A file that is not whole must not pass for one.
            var unfinished = path + ".part";
            long entries;
            using (var bar = new ProgressBar("chain", "positions"))
            await using (var to = new StreamWriter(unfinished))
                entries = await ChainFile.Write(new ChainStore(daemon), await ChainKeys.Published(daemon, ct), parsed.GetValue(tenant)!, to, (done, total) => bar.Show(done, total), ct);
            File.Move(unfinished, path, overwrite: true);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{entries} entries in {path}"));
            return 0;
        })));
        return verb;
    }

    private static Command Checkpoints()
    {
        var tenant = EventVerbs.TenantOption("Only this organization's.");
        var verb = new Command("checkpoints", "Print the signed checkpoints, one a line, to be kept where nobody can change them who can change the database.") { tenant };
        verb.SetAction((parsed, ct) => Verbs.Guarded(async () =>
        {
            await using var node = await Opened.Open(ct);
            var store = new ChainStore(node.Node.Database.Daemon);
            foreach (var one in parsed.GetValue(tenant) is { } only ? [only] : await store.Tenants(ct))
                await foreach (var checkpoint in store.Checkpoints(one, long.MaxValue, ct)) Console.WriteLine(checkpoint.Statement);
            return 0;
        }));
        return verb;
    }

    private static Command Keys()
    {
        var rotate = new Option<bool>("--rotate") { Description = "First add a new key, which signs from now on. The others go on verifying." };
        var verb = new Command("keys", "Print the public keys of checkpoints as a JSON Web Key Set.") { rotate };
        verb.SetAction((parsed, ct) => Verbs.Guarded(async () =>
        {
            await using var node = await Opened.Open(ct);
            if (parsed.GetValue(rotate)) await new ChainKeys(node.Node.Database.Daemon, node.Node.Masters).Rotate(ct);
            Console.WriteLine((await ChainKeys.Published(node.Node.Database.Daemon, ct)).ToJsonString());
            return 0;
        }));
        return verb;
    }

    private static Command Rechain()
    {
        var verb = new Command("rechain", "Make the chain's own record anew from the log, where it was damaged. What was signed stays, and is what the log is measured by.");
        verb.SetAction((_, ct) => Verbs.Guarded(async () =>
        {
            await using var node = await Opened.Open(ct);
            await ChainKeeper.Rebuild(node.Node.Database.Daemon, ct);
            Console.WriteLine("The chain is made anew by the nodes that run.");
            return 0;
        }));
        return verb;
    }

    /// <summary>A file that is not there, or is no such file.</summary>
    private static async Task<int> Readable(Func<Task<int>> work)
    {
        try
        {
            return await EventVerbs.WithFile(work);
        }
        catch (Exception e) when (e is FormatException or JsonException)
        {
            return Verbs.Fail(e.Message);
        }
    }

    private static int Say(List<ChainVerdict> verdicts)
    {
        foreach (var v in verdicts)
        {
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{v.Tenant,-36}  {(v.IsValid ? "valid" : "NOT VALID"),-9}  {v.Entries} entries, {v.Checkpoints} checkpoints, signed up to entry {v.Signed}"));
            if (v.Finding is { } f)
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {f.Fault.ToString().ToLowerInvariant()} at position {f.Position} (entry {f.Entry}{(f.After is { } after ? $", after position {after}" : "")}): {f.Detail}"));
        }
        if (verdicts.Count == 0) Console.WriteLine("Nothing is chained yet.");
        return verdicts.All(v => v.IsValid) ? 0 : 1;
    }
}
