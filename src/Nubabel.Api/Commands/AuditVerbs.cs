using System.CommandLine;
using System.Globalization;
using Npgsql;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Commands;

/// <summary>Shows what was there at a time, from the log.</summary>
internal static class AuditVerbs
{
    public static Command All()
    {
        var all = new Command("audit", "The log as evidence: what was there at a time, and that it is what it was.") { Replay(), Sums() };
        foreach (var verb in ChainVerbs.All()) all.Add(verb);
        return all;
    }

    private static Command Replay()
    {
        var tenant = EventVerbs.TenantOption("Only this organization (its id; *DEFAULT* for the platform).");
        var to = EventVerbs.ToOption();
        var file = new Option<string?>("--out") { Description = "Replay into a file of events; - is standard output." };
        var into = new Option<string?>("--into")
        {
            Description = "Replay into a fresh database: the connection string of a login that owns it and has BYPASSRLS. Run again after an interruption, it goes on. - reads the string from standard input.",
        };
        var resume = new Option<bool>("--resume") { Description = "Go on with the file of --out." };
        var verb = new Command("replay", "Replay the log up to a position or a time, into a file, or into a fresh database with all read models folded from it.") { tenant, to, file, into, resume };
        verb.SetAction((parsed, ct) => Verbs.Guarded(async () =>
        {
            if (parsed.GetValue(file) is null == parsed.GetValue(into) is null) return Verbs.Fail("Say either --out or --into.");
            await using var node = await Opened.Open(ct);
            if (EventVerbs.Selection(node, parsed.GetValue(tenant), null, parsed.GetValue(to), out var fault) is not { } selection) return Verbs.Fail(fault);
            if (parsed.GetValue(file) is { } path) return await EventVerbs.WithFile(() => EventVerbs.Export(node, selection, path, parsed.GetValue(resume), withKeys: false, ct));
            var target = parsed.GetValue(into)!;
            // A connection string has a password, and a command line is seen by others.
            if (target == "-") target = (await Console.In.ReadLineAsync(ct) ?? "").Trim();
            return await Into(node, selection, $"{parsed.GetValue(tenant)} {parsed.GetValue(to)}", target, ct);
        }));
        return verb;
    }

    private static async Task<int> Into(Opened node, LogSelection selection, string wish, string target, CancellationToken ct)
    {
        if (!IsConnectionString(target)) return Verbs.Fail("--into is a connection string: Host=…;Database=…;Username=…");
        var replay = new Replay(node.Node.Database.Daemon, target, ReadModels.All, Consequences.All, (owner, c) => Migrate(node, owner, c));
        ProgressBar? bar = null;
        var doing = "";
        ReplayResult result;
        try
        {
            result = await replay.Run(selection, wish, Show, ct);
        }
        finally
        {
            bar?.Dispose();
        }
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{result.Events} events, up to position {result.To}."));
        Print(result.Sums);
        foreach (var fault in result.Faults) await Console.Error.WriteLineAsync(fault);
        return result.Faults.Count == 0 ? 0 : 1;

        void Show(string what, TransferProgress p)
        {
            if (what != doing)
            {
                bar?.Dispose();
                bar = new ProgressBar(what, what == "events" ? "events" : "positions");
            }
            doing = what;
            bar!.Show(p.Done, p.Total);
        }
    }

    /// <summary>The serving logins get their grants where the server has them; elsewhere the login that makes the database is all there is.</summary>
    private static async Task Migrate(Opened node, NpgsqlDataSource owner, CancellationToken ct)
    {
        string api = Configured.Login(node.Settings.Api!), daemon = Configured.Login(node.Settings.DaemonLogin!);
        await using var command = owner.CreateCommand("select count(*) = 2, current_user::text from pg_roles where rolname = any($1)");
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [api, daemon] });
        await using (var reader = await command.ExecuteReaderAsync(ct))
        {
            await reader.ReadAsync(ct);
            if (!reader.GetBoolean(0)) api = daemon = reader.GetString(1);
        }
        await Schema.Migrate(owner, api, daemon, ct);
    }

    private static Command Sums()
    {
        var tenant = EventVerbs.TenantOption("Only this organization's rows.");
        var verb = new Command("sums", "Count the rows of every read model and sum them up, to be compared with a replay's.") { tenant };
        verb.SetAction((parsed, ct) => Verbs.Guarded(async () =>
        {
            await using var node = await Opened.Open(ct);
            Print(await ReadModelSums.Of(node.Node.Database.Daemon, ReadModels.All, parsed.GetValue(tenant), ct));
            return 0;
        }));
        return verb;
    }

    private static void Print(IReadOnlyList<ReadModelSum> sums)
    {
        Console.WriteLine($"{"read model",-16} {"version",7} {"position",12} {"rows",10}  sha256");
        foreach (var sum in sums)
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{sum.Name,-16} {sum.Version,7} {sum.Position,12} {sum.Rows,10}  {sum.Sha256}"));
    }

    private static bool IsConnectionString(string text)
    {
        try
        {
            return new NpgsqlConnectionStringBuilder(text).Database is { Length: > 0 };
        }
        catch (ArgumentException)
        {
            return false;
        }
    }
}
