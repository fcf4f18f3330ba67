using System.Diagnostics;
using System.Runtime.InteropServices;
using Npgsql;
using Nubabel.Testing;

namespace Nubabel.Bench;

/// <summary>Where the numbers come from: without that they say nothing.</summary>
/// <param name="Commit">Of the working tree, with <c>+</c> where it was changed.</param>
/// <param name="Described">For people.</param>
/// <param name="Postgres">Every setting that is not the server's own default, and those that decide.</param>
internal sealed record Machine(string Commit, IReadOnlyDictionary<string, string> Described, IReadOnlyDictionary<string, string> Postgres)
{
    private static readonly string[] Deciding = ["fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_connections", "wal_level", "jit", "work_mem", "max_wal_size", "random_page_cost", "checkpoint_timeout"];

    public static async Task<Machine> Describe()
    {
        var commit = await Commits();
        var postgres = await Settings();
        return new Machine(commit, new Dictionary<string, string>
        {
            ["cpu"] = $"{Line("/proc/cpuinfo", "model name")} × {Environment.ProcessorCount}",
            ["memory"] = Line("/proc/meminfo", "MemTotal"),
            ["system"] = $"{RuntimeInformation.OSDescription}, {RuntimeInformation.FrameworkDescription}",
            ["load before"] = (await File.ReadAllTextAsync("/proc/loadavg")).Split(' ')[0],
            ["commit"] = commit,
            ["postgresql"] = $"{postgres["server_version"]}; {string.Join(", ", Deciding.Take(5).Select(s => $"{s} {postgres[s]}"))}",
        }, postgres);
    }

    private static async Task<IReadOnlyDictionary<string, string>> Settings()
    {
        await using var server = NpgsqlDataSource.Create((await TestServer.Shared).Superuser);
        // Where files lie says nothing about speed, and may name a person.
        await using var command = server.CreateCommand("""
            select name, current_setting(name) from pg_settings
             where name = any($1) or name = 'server_version' or (source not in ('default', 'client', 'override', 'session') and category not like 'File Locations%' and name not in ('port', 'listen_addresses', 'unix_socket_directories'))
             order by name
            """);
        command.Parameters.Add(new NpgsqlParameter { Value = Deciding });
        await using var row = await command.ExecuteReaderAsync();
        var settings = new Dictionary<string, string>();
        while (await row.ReadAsync()) settings[row.GetString(0)] = row.GetString(1);
        return settings;
    }

    private static async Task<string> Commits()
    {
        try
        {
            var head = await Git("rev-parse", "--short=12", "HEAD");
            return (await Git("status", "--porcelain", "--untracked-files=no")).Length > 0 ? head + "+" : head;
        }
        catch (Exception e) when (e is InvalidOperationException or System.ComponentModel.Win32Exception)
        {
            return "unknown";
        }
    }

    private static async Task<string> Git(params string[] arguments)
    {
        using var git = Process.Start(new ProcessStartInfo("git", arguments) { WorkingDirectory = Repository.Root, RedirectStandardOutput = true, RedirectStandardError = true })!;
        var (output, _) = (git.StandardOutput.ReadToEndAsync(), git.StandardError.ReadToEndAsync());
        await git.WaitForExitAsync();
        return git.ExitCode == 0 ? (await output).Trim() : throw new InvalidOperationException("git does not know this tree.");
    }

    private static string Line(string file, string name) =>
        File.ReadLines(file).FirstOrDefault(l => l.StartsWith(name, StringComparison.Ordinal))?.Split(':')[1].Trim() ?? "unknown";
}
