using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json;
using Nubabel.Testing;

namespace Nubabel.Bench;

/// <summary>The server as an operator starts it, in a process of its own, on a database of its own.</summary>
internal sealed class ServerProcess : IAsyncDisposable
{
    private const string Password = "correct horse battery";
    private readonly Process process;
    private readonly TestDatabase database;
    private readonly string data;

    private ServerProcess(Process process, TestDatabase database, string data) => (this.process, this.database, this.data) = (process, database, data);

    public Uri Address { get; private set; } = null!;
    public int Id => process.Id;
    public TimeSpan Cpu => process.TotalProcessorTime;

    /// <param name="settings">Beyond what it needs to start, as they are called in the environment.</param>
    public static async Task<ServerProcess> Start(CancellationToken ct, params (string Name, string Value)[] settings)
    {
        var database = await TestDatabase.New();
        var data = Directory.CreateTempSubdirectory("nubabel-bench-").FullName;
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "nubabel.dll"), "serve"])
        {
            RedirectStandardOutput = true,
            WorkingDirectory = data,
            Environment =
            {
                ["ConnectionStrings__Nubabel"] = database.ApiString,
                ["ConnectionStrings__NubabelDaemon"] = database.DaemonString,
                ["ConnectionStrings__NubabelOwner"] = database.OwnerString,
                ["NUBABEL_DATA"] = data,
                ["ASPNETCORE_URLS"] = "http://127.0.0.1:0",
                ["ASPNETCORE_ENVIRONMENT"] = "Development",
            },
        };
        foreach (var (name, value) in settings) start.Environment[name] = value;
        var address = new TaskCompletionSource<Uri>(TaskCreationOptions.RunContinuationsAsynchronously);
        var process = new Process { StartInfo = start, EnableRaisingEvents = true };
        process.Exited += (_, _) => address.TrySetException(new InvalidOperationException("The server has ended."));
        // Its log goes through a pipe to here and is dropped; writing it is part of its work.
        process.OutputDataReceived += (_, line) =>
        {
            if (line.Data?.StartsWith("Address:", StringComparison.Ordinal) == true) address.TrySetResult(new Uri(line.Data["Address:".Length..].Trim()));
        };
        process.Start();
        process.BeginOutputReadLine();
        return new ServerProcess(process, database, data) { Address = await address.Task.WaitAsync(ct) };
    }

    /// <summary>A new organization; its owner's access token.</summary>
    public async Task<string> SignUp(string slug, CancellationToken ct)
    {
        using var client = new HttpClient { BaseAddress = Address };
        using var answer = await client.PostAsJsonAsync("/api/signup", new { organization = new { name = slug, slug }, email = $"ada@{slug}.example", password = Password, name = "Ada" }, ct);
        answer.EnsureSuccessStatusCode();
        return (await answer.Content.ReadFromJsonAsync<JsonElement>(ct)).GetProperty("access_token").GetString()!;
    }

    public async ValueTask DisposeAsync()
    {
        if (!process.HasExited) process.Kill();
        await process.WaitForExitAsync();
        process.Dispose();
        await database.DisposeAsync();
        Directory.Delete(data, recursive: true);
    }
}
