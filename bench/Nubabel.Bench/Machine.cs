using System.Runtime.InteropServices;
using Npgsql;
using Nubabel.Testing;

namespace Nubabel.Bench;

/// <summary>Where the numbers come from: without that they say nothing.</summary>
internal static class Machine
{
    private static readonly string[] Settings = ["fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_connections"];

    public static async Task<IReadOnlyDictionary<string, string>> Describe()
    {
        var described = new Dictionary<string, string>
        {
            ["cpu"] = $"{Line("/proc/cpuinfo", "model name")} × {Environment.ProcessorCount}",
            ["memory"] = Line("/proc/meminfo", "MemTotal"),
            ["system"] = $"{RuntimeInformation.OSDescription}, {RuntimeInformation.FrameworkDescription}",
            ["load before"] = (await File.ReadAllTextAsync("/proc/loadavg")).Split(' ')[0],
        };
        await using var server = NpgsqlDataSource.Create((await TestServer.Shared).Superuser);
        await using var command = server.CreateCommand("select name, current_setting(name) from pg_settings where name = any($1) or name = 'server_version' order by name = 'server_version' desc, name");
        command.Parameters.Add(new NpgsqlParameter { Value = Settings });
        await using var row = await command.ExecuteReaderAsync();
        while (await row.ReadAsync()) described["postgres " + row.GetString(0)] = row.GetString(1);
        return described;
    }

    private static string Line(string file, string name) =>
        File.ReadLines(file).FirstOrDefault(l => l.StartsWith(name, StringComparison.Ordinal))?.Split(':')[1].Trim() ?? "unknown";
}
