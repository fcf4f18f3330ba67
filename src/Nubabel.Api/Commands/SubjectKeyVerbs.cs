using System.CommandLine;
using System.Globalization;
using Nubabel.Api.Host;
using Nubabel.Store;

namespace Nubabel.Api.Commands;

/// <summary>Backs the keys of data subjects up apart from the data, and brings them back.</summary>
internal static class SubjectKeyVerbs
{
    public static Command All() => new("subject-keys", "The keys of data subjects, out to files of their own and in from them.") { Export(), Import(), Check() };

    private static Option<string?> KeyFile() => new("--key-file") { Description = "A file with 32 bytes in base64: the key that seals the backup, instead of the master key." };

    private static Command Export()
    {
        var to = new Option<string>("--to") { Description = "The directory that files of keys go to. Not where backups of the data are.", Required = true };
        var keep = new Option<int?>("--keep-days") { Description = "Delete the files there that are older than this. Whoever has one reads what was erased since it was made." };
        var given = KeyFile();
        var verb = new Command("export", "Write all keys to a new sealed file, and delete old ones.") { to, keep, given };
        verb.SetAction((parsed, ct) => Verbs.Guarded(() => EventVerbs.WithFile(async () =>
        {
            if (parsed.GetValue(keep) is < 1 or > 3650) return Verbs.Fail("--keep-days is a number of days from 1 to 3650.");
            await using var node = await Opened.Open(ct);
            if (await RootKeys.AreExchanged(node.Node.Database.Daemon, ct)) return Verbs.Fail("Keys are on their way from one master key to another. Let nubabel master-key rotate come to its end first.");
            var at = node.Node.Time.GetUtcNow();
            var path = Path.Combine(parsed.GetValue(to)!, KeyBackup.NameOf(at));
            // Under another name until it is whole, so that half a file is never taken for a backup.
            var part = path + ".part";
            KeyBackupResult result;
            using (var bar = new ProgressBar("export", "keys"))
            {
                await using var file = PrivateFile.Create(part);
                result = await BackupOf(node).Write(file, Given(parsed.GetValue(given)) ?? (DerivingKey)node.Node.Masters.Current, at, done => bar.Show(done, null), ct);
                file.Flush(flushToDisk: true);
            }
            File.Move(part, path);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{path}: {result.Keys} keys, {result.Destroyed} destroyed ones."));
            if (parsed.GetValue(keep) is { } days) Prune(parsed.GetValue(to)!, at.AddDays(-days));
            return 0;
        })));
        return verb;
    }

    private static Command Import()
    {
        var file = new Argument<string>("file") { Description = "A file that subject-keys export has written." };
        var given = KeyFile();
        var dry = new Option<bool>("--dry-run") { Description = "Check the file from its beginning to its end, and write nothing." };
        var verb = new Command("import", "Write the keys of a file that are not here. A key that was destroyed here does not come back, and one that was destroyed when the file was made is destroyed.") { file, given, dry };
        verb.SetAction((parsed, ct) => Verbs.Guarded(() => EventVerbs.WithFile(async () =>
        {
            await using var node = await Opened.Open(ct);
            var backup = BackupOf(node);
            DerivingKey[] openers = Given(parsed.GetValue(given)) is { } key ? [key] : [.. node.Node.Masters.Known];
            await using var from = new FileStream(parsed.GetValue(file)!, FileMode.Open, FileAccess.Read, FileShare.Read);
            var found = await backup.Check(from, openers, ct);
            Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{parsed.GetValue(file)}: {found.Keys} keys, {found.Destroyed} destroyed ones."));
            if (parsed.GetValue(dry)) return 0;
            from.Position = 0;
            using var bar = new ProgressBar("import", "keys");
            var result = await backup.Restore(from, openers, done => bar.Show(done, found.Keys + found.Destroyed), ct);
            bar.Dispose();
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{result.Written} keys written, {result.There} were there, {result.StayDestroyed} stay destroyed, {result.Destroyed} were destroyed now, {result.Others.Count} have another key here."));
            foreach (var other in result.Others.Take(20)) Console.Error.WriteLine($"another key: {other}");
            return result.Others.Count == 0 ? 0 : 1;
        })));
        return verb;
    }

    private static Command Check()
    {
        var erase = new Option<bool>("--erase-missing") { Description = "Count those whose keys are missing as erased: what was sealed for them is lost for good." };
        var verb = new Command("check", "Look through the whole log for sealed values whose keys are missing.") { erase };
        verb.SetAction((parsed, ct) => Verbs.Guarded(async () =>
        {
            await using var node = await Opened.Open(ct);
            var missing = await MissingKeys.Read(node.Node.Database.Daemon, ct);
            foreach (var (tenant, subject) in missing.Take(20)) Console.Error.WriteLine($"no key: {tenant} {subject}");
            if (parsed.GetValue(erase))
                foreach (var tenant in missing.GroupBy(m => m.Tenant))
                    foreach (var some in tenant.Chunk(1_000)) await node.Node.Subjects.Destroy(tenant.Key, [.. some.Select(m => m.Subject)], ct);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{missing.Count} subjects have sealed values and no key{(parsed.GetValue(erase) ? "; they count as erased now" : "")}."));
            return missing.Count == 0 || parsed.GetValue(erase) ? 0 : 1;
        }));
        return verb;
    }

    private static KeyBackup BackupOf(Opened node) => new(node.Node.Database.Daemon, node.Node.Subjects, node.Node.Root);

    private static MasterKey? Given(string? path)
    {
        if (path is null) return null;
        var key = new byte[32];
        return Convert.TryFromBase64String(File.ReadAllText(path).Trim(), key, out var length) && length == key.Length ? new MasterKey(key) : throw new BadKeyFile($"{path} does not hold 32 bytes in base64.");
    }

    /// <summary>By the time in their names, which no copy changes.</summary>
    private static void Prune(string directory, DateTimeOffset before)
    {
        var oldest = KeyBackup.NameOf(before);
        foreach (var path in Directory.EnumerateFiles(directory, KeyBackup.Pattern).Order(StringComparer.Ordinal))
        {
            if (string.CompareOrdinal(Path.GetFileName(path), oldest) >= 0) continue;
            File.Delete(path);
            Console.WriteLine($"{path}: deleted.");
        }
    }
}
