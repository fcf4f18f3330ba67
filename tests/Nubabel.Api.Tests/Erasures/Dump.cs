using System.Diagnostics;
using Npgsql;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Erasures;

/// <summary>PostgreSQL's own programs for backups, on databases of the tests.</summary>
internal static class Dump
{
    private static string Bin => Path.Combine(Directory.GetDirectories("/usr/lib/postgresql").OrderDescending().First(), "bin");

    /// <summary>The whole database as text, as <c>pg_dump</c> writes it.</summary>
    public static async Task<string> Text(TestDatabase database) => await File.ReadAllTextAsync(await To(database, "plain"));

    /// <summary>A backup that <see cref="Restore"/> takes; the caller deletes it.</summary>
    public static Task<string> Take(TestDatabase database) => To(database, "custom");

    /// <summary>Restores a backup into a database of its own.</summary>
    public static async Task<TestDatabase> Restore(TestDatabase from, string backup)
    {
        var restored = await TestDatabase.New(from.Server, migrate: false);
        await Run(restored, "pg_restore", [.. Of(restored), "--exit-on-error", "-d", restored.Name, backup]);
        File.Delete(backup);
        return restored;
    }

    private static async Task<string> To(TestDatabase database, string form)
    {
        var path = Path.GetTempFileName();
        await Run(database, "pg_dump", [.. Of(database), "-F", form, "-f", path, database.Name]);
        return path;
    }

    private static string[] Of(TestDatabase database)
    {
        var superuser = new NpgsqlConnectionStringBuilder(database.Server.Superuser);
        return ["-h", superuser.Host!, "-p", superuser.Port.ToString(System.Globalization.CultureInfo.InvariantCulture), "-U", superuser.Username!];
    }

    private static async Task Run(TestDatabase database, string program, string[] arguments)
    {
        var start = new ProcessStartInfo(Path.Combine(Bin, program), arguments) { RedirectStandardError = true };
        if (new NpgsqlConnectionStringBuilder(database.Server.Superuser).Password is { } password) start.Environment["PGPASSWORD"] = password;
        using var process = Process.Start(start)!;
        var said = await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, said);
    }
}
