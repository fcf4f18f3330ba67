using System.CommandLine;
using System.Globalization;
using Npgsql;
using Nubabel.Api.Host;
using Nubabel.Store;

namespace Nubabel.Api.Commands;

/// <summary>Exchanges the master key while nodes serve.</summary>
internal static class MasterKeyVerbs
{
    public static Command All() => new("master-key", "The key that wraps all others: exchange it, and see where that stands.") { Rotate(), Status() };

    private static Command Rotate()
    {
        var verb = new Command("rotate", "Wrap everything by Keys__Master that Keys__MasterPrevious wraps, while nodes serve. Safe to repeat, and to go on with after it was killed.");
        verb.SetAction((_, ct) => Verbs.Guarded(async () =>
        {
            var (rotation, masters, source) = await Open(ct);
            await using var _ = source;
            using var bar = new ProgressBar("re-wrap", "keys");
            var result = await rotation.Run((done, total) => bar.Show(done, total), ct);
            bar.Dispose();
            foreach (var key in result.Unreadable) await Console.Error.WriteLineAsync($"No master key here opens {key}; it is left as it is.");
            if (result.Rewrapped == 0 && masters.Known.Count == 1)
                return Verbs.Fail("Nothing was exchanged: only one master key is configured. Set Keys__Master to the new one and Keys__MasterPrevious to the one before it, on every node and here.");
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{result.Rewrapped} keys were wrapped anew. Everything is wrapped by {masters.Configured.Fingerprint} now."));
            Console.WriteLine("Keys__MasterPrevious can go. Keep the old key for as long as you keep backups from before; export the subject keys anew.");
            return result.Unreadable.Count == 0 ? 0 : 1;
        }));
        return verb;
    }

    private static Command Status()
    {
        var verb = new Command("status", "Show which master key wraps what, and which nodes do not have the configured one.");
        verb.SetAction((_, ct) => Verbs.Guarded(async () =>
        {
            var (rotation, masters, source) = await Open(ct);
            await using var _ = source;
            var status = await rotation.Status(ct);
            Console.WriteLine($"configured  {masters.Configured.Fingerprint}{(masters.Known.Count > 1 ? $", before it {masters.Known[1].Fingerprint}" : "")}");
            Console.WriteLine($"wraps now   {status.Current ?? "(nobody has served this database yet)"}");
            foreach (var kind in status.Keys)
                Console.WriteLine($"{kind.Kind,-21} {(kind.Wrapped.Count == 0 ? "none" : string.Join(", ", kind.Wrapped.OrderBy(k => k.Key, StringComparer.Ordinal).Select(k => string.Create(CultureInfo.InvariantCulture, $"{k.Value} by {k.Key}"))))}");
            if (status.Without.Count > 0) Console.WriteLine($"without the configured key: {string.Join(", ", status.Without)}");
            Console.WriteLine(status.IsUnderWay ? "Keys are on their way from one master key to another: nubabel master-key rotate goes on."
                : status.Current is { } current && current != masters.Configured.Fingerprint ? "The configured key is not in use yet: nubabel master-key rotate begins." : "Nothing is under way.");
            return 0;
        }));
        return verb;
    }

    private static async Task<(KeyRotation, MasterKeys, NpgsqlDataSource)> Open(CancellationToken ct)
    {
        var settings = Configured.Settings(Settings.DaemonConnection);
        var source = NpgsqlDataSource.Create(settings.DaemonLogin!);
        try
        {
            Migrations.Refuse(await Migrations.Status(source, ct), complete: true);
            var masters = MasterKeyFile.Of(settings);
            await Stamps.Check(source, settings.EnvironmentStamp, masters, ct);
            return (new KeyRotation(source, masters), masters, source);
        }
        catch
        {
            await source.DisposeAsync();
            throw;
        }
    }
}
