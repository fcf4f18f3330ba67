using System.CommandLine;
using System.Globalization;
using Nubabel.Api.Host;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Commands;

/// <summary>Takes events out of the log into a file, and back into a log.</summary>
internal static class EventVerbs
{
    public static Command All() => new("events", "The log, out to files and in from them.") { Export(), Import() };

    internal static Option<string?> TenantOption(string what) => new("--tenant") { Description = what };

    internal static Option<string?> ToOption() => new("--to") { Description = "The last position (a number, or as Nubabel-Position shows it), or a time: up to the first event that is younger." };

    private const string NoTenant = "--tenant is the id of an organization, or *DEFAULT*.";

    private static bool IsTenant(string? tenant) => tenant is null or Node.Platform || Guid.TryParseExact(tenant, "D", out _);

    private static Command Export()
    {
        var tenant = TenantOption("Only this organization's events (its id; *DEFAULT* for the platform's).");
        var from = new Option<string?>("--from") { Description = "The first position." };
        var to = ToOption();
        var file = new Option<string>("--out") { Description = "The file to write; - is standard output.", DefaultValueFactory = _ => "-" };
        var resume = new Option<bool>("--resume") { Description = "Go on behind the last whole line of the file, with what was asked for then." };
        var keys = new Option<bool>("--with-keys") { Description = "With the keys of data subjects, wrapped by the master key. Whoever has both reads all personal data, also of who is erased later." };
        var verb = new Command("export", "Write events to a file, one a line, as they are stored: up to the high-water mark at most, so nothing is missing in it.") { tenant, from, to, file, resume, keys };
        verb.SetAction((parsed, ct) => Verbs.Guarded(async () =>
        {
            await using var node = await Opened.Open(ct);
            if (Selection(node, parsed.GetValue(tenant), parsed.GetValue(from), parsed.GetValue(to), out var fault) is not { } selection) return Verbs.Fail(fault);
            return await WithFile(() => Export(node, selection, parsed.GetValue(file)!, parsed.GetValue(resume), parsed.GetValue(keys), ct));
        }));
        return verb;
    }

    /// <summary>A full disk, a file that is somebody else's, a pipe that nobody reads any more.</summary>
    internal static async Task<int> WithFile(Func<Task<int>> work)
    {
        try
        {
            return await work();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return Verbs.Fail(e.Message);
        }
    }

    /// <summary>What of the log is asked for; null and why where that cannot be read.</summary>
    internal static LogSelection? Selection(Opened node, string? tenant, string? from, string? to, out string fault)
    {
        fault = "";
        var (first, until) = (1L, default(Until));
        if (from is not null && !(At.TryParse(from, node.Settings.Shard, out var begin) && begin.Position is { } position && (first = Math.Max(1, position)) > 0))
            fault = "--from is a position: a number, or as Nubabel-Position shows it.";
        else if (to is not null && !At.TryParse(to, node.Settings.Shard, out until))
            fault = "--to is a position, or an RFC 3339 time with an offset as in 2026-01-31T12:00:00Z.";
        else if (!IsTenant(tenant))
            fault = NoTenant;
        return fault.Length > 0 ? null : new LogSelection(tenant, first, until);
    }

    internal static async Task<int> Export(Opened node, LogSelection selection, string path, bool resume, bool withKeys, CancellationToken ct)
    {
        if (path == "-" && resume) return Verbs.Fail("Standard output cannot be resumed.");
        if (path != "-" && !resume && File.Exists(path)) return Verbs.Fail($"{path} exists. --resume goes on with it.");
        var daemon = node.Node.Database.Daemon;
        if (withKeys && await RootKeys.AreExchanged(daemon, ct)) return Verbs.Fail("Keys are on their way from one master key to another. Let nubabel master-key rotate come to its end first.");
        await using var to = path == "-" ? Console.OpenStandardOutput() : new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read);
        await using var export = to is FileStream file ? await EventExport.Resume(daemon, file, ct) : EventExport.To(daemon, to);
        export.Root = RootKeys.ForFile(node.Node.Masters, node.Node.Root);
        using var bar = new ProgressBar("export");
        var result = await export.Run(selection, node.Settings.Shard, node.Node.Masters.Fingerprint, withKeys, p => bar.Show(p.Done, p.Total), ct);
        bar.Dispose();
        var resumed = result.Resumed > 0 ? $", {result.Resumed} of them before" : "";
        await Console.Error.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"{result.Events} events{resumed} and {result.Keys} keys, up to position {result.To}."));
        return 0;
    }

    private static Command Import()
    {
        var file = new Argument<string>("file") { Description = "A file that events export has written." };
        var tenant = TenantOption("Only this organization's events.");
        var dry = new Option<bool>("--dry-run") { Description = "Check the file and whether it may go here, and write nothing." };
        var keep = new Option<bool>("--keep-positions") { Description = "The events keep their positions: into an empty log that nobody serves. Needs the owner's connection string." };
        var erase = new Option<bool>("--erase-missing-keys") { Description = "Count those subjects as erased whose keys are neither in the file nor here." };
        var verb = new Command("import", "Write the events of a file to the log, with the claims and directory entries that follow from them. Safe to repeat: what is there is passed over.") { file, tenant, dry, keep, erase };
        verb.SetAction((parsed, ct) => Verbs.Guarded(async () =>
        {
            await using var node = await Opened.Open(ct);
            var wish = new ImportWish(parsed.GetValue(tenant), parsed.GetValue(keep), node.Settings.Shard, node.Node.Masters.Fingerprint, parsed.GetValue(erase));
            if (!IsTenant(wish.Tenant)) return Verbs.Fail(NoTenant);
            if (wish.KeepPositions && node.Settings.Owner is null) return Verbs.Fail("--keep-positions needs ConnectionStrings__NubabelOwner: the sequence is set by its owner.");
            return await WithFile(() => Import(node, parsed.GetValue(file)!, wish, parsed.GetValue(dry), ct));
        }));
        return verb;
    }

    private static async Task<int> Import(Opened node, string path, ImportWish wish, bool dry, CancellationToken ct)
    {
        if (!File.Exists(path)) return Verbs.Fail($"There is no file {path}.");
        await using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
        var report = await Checked(file, wish.Tenant, ct);
        var import = new EventImport(node.Node.Database.Daemon, Events.Types, Consequences.All, wish);
        var missing = await Fits(import, file, report, ct);
        var unknown = report.UnknownAliases > 0 ? $", {report.UnknownAliases} of them with aliases that this build does not know" : "";
        await Console.Error.WriteLineAsync(string.Create(CultureInfo.InvariantCulture,
            $"{path}: {report.End.Events} events of {report.Streams} streams{unknown}, positions {report.First} to {report.Last}, {report.End.Keys} keys, {missing.Count} subjects without a key."));
        await RootKeys.Match(node.Node.Database.Daemon, node.Node.Masters, node.Node.Root, report.Header, write: !dry, ct);
        if (dry) return 0;
        // The check of the logins has left a session of the other login behind, which would count as somebody who serves.
        node.Node.Database.Api.Clear();
        using var bar = new ProgressBar("import");
        var result = await import.Run(file, report, p => bar.Show(p.Done, p.Total), ct);
        bar.Dispose();
        if (wish.KeepPositions)
        {
            await using var owner = Npgsql.NpgsqlDataSource.Create(node.Settings.Owner!);
            await EventImport.SetSequence(owner, report.Last, ct);
        }
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{result.Written} events written, {result.PassedOver} were there, {result.Keys} keys written, {result.ErasedSubjects} subjects marked as erased."));
        return 0;
    }

    private static async Task<IReadOnlyList<(string Tenant, string Subject)>> Fits(EventImport import, FileStream file, EventFileReport report, CancellationToken ct)
    {
        using var bar = new ProgressBar("ids");
        return await import.Check(file, report, p => bar.Show(p.Done, p.Total), ct);
    }

    private static async Task<EventFileReport> Checked(FileStream file, string? tenant, CancellationToken ct)
    {
        using var bar = new ProgressBar("check", "bytes");
        return await EventFileCheck.Run(file, Events.Types, Consequences.All, tenant, bytes => bar.Show(bytes, file.Length), ct);
    }
}
