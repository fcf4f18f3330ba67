using System.Diagnostics;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Commands;

/// <summary>The operator command line as a process of its own, on a database of the tests.</summary>
internal sealed class NubabelCommand : IDisposable
{
    private readonly Process process;
    private readonly Task<string> output, errors;

    private NubabelCommand(Process process) => (this.process, output, errors) = (process, process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());

    public static NubabelCommand Start(TestDatabase database, params string[] arguments) => Start(database, new Dictionary<string, string>(), arguments);

    /// <param name="environment">Settings of the test's own.</param>
    public static NubabelCommand Start(TestDatabase database, IReadOnlyDictionary<string, string> environment, params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "nubabel.dll"), .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = Path.GetTempPath(),
            Environment =
            {
                ["ConnectionStrings__Nubabel"] = database.ApiString,
                ["ConnectionStrings__NubabelDaemon"] = database.DaemonString,
                ["ConnectionStrings__NubabelOwner"] = database.OwnerString,
                ["Keys__Master"] = Convert.ToBase64String(Enumerable.Range(1, 32).Select(i => (byte)i).ToArray()),
                ["ASPNETCORE_ENVIRONMENT"] = "Development",
            },
        };
        foreach (var (name, value) in environment) start.Environment[name] = value;
        // Of the tests alone: the program refuses what is no setting of its own.
        start.Environment.Remove("NUBABEL_STRESS_SECONDS");
        return new NubabelCommand(Process.Start(start)!);
    }

    /// <summary>Runs it to its end.</summary>
    public static async Task<(int Code, string Output, string Errors)> Run(TestDatabase database, params string[] arguments)
    {
        using var command = Start(database, arguments);
        return await command.End();
    }

    public static async Task<(int Code, string Output, string Errors)> Run(TestDatabase database, IReadOnlyDictionary<string, string> environment, params string[] arguments)
    {
        using var command = Start(database, environment, arguments);
        return await command.End();
    }

    /// <summary>SIGKILL: nothing of it gets to run any more.</summary>
    public void Kill() => process.Kill();

    public async Task<(int Code, string Output, string Errors)> End()
    {
        await process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(120));
        return (process.ExitCode, await output, await errors);
    }

    public void Dispose()
    {
        if (!process.HasExited) process.Kill();
        process.Dispose();
    }
}
