using Nubabel.Testing;

namespace Nubabel.Api.Tests.Commands;

/// <summary>The operator command line as a process of its own, on a database of the tests.</summary>
internal sealed class NubabelCommand : IAsyncDisposable
{
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(120);
    private readonly Child process;
    private readonly Task<string> output;

    private NubabelCommand(Child process)
    {
        (this.process, output) = (process, process.Rest());
        process.Hush();
    }

    public static string Program { get; } = Path.Combine(AppContext.BaseDirectory, "nubabel.dll");

    /// <summary>What every process of ours needs to know of the database.</summary>
    public static IReadOnlyDictionary<string, string> Settings(TestDatabase database) => new Dictionary<string, string>
    {
        ["ConnectionStrings__Nubabel"] = database.ApiString,
        ["ConnectionStrings__NubabelDaemon"] = database.DaemonString,
        ["ConnectionStrings__NubabelOwner"] = database.OwnerString,
        ["Keys__Master"] = Convert.ToBase64String(Enumerable.Range(1, 32).Select(i => (byte)i).ToArray()),
        ["ASPNETCORE_ENVIRONMENT"] = "Development",
    };

    public static NubabelCommand Start(TestDatabase database, params string[] arguments) => Start(database, new Dictionary<string, string>(), arguments);

    /// <param name="environment">Settings of the test's own.</param>
    public static NubabelCommand Start(TestDatabase database, IReadOnlyDictionary<string, string> environment, params string[] arguments)
    {
        var settings = new Dictionary<string, string>(Settings(database));
        foreach (var (name, value) in environment) settings[name] = value;
        return new NubabelCommand(Child.Start(Program, arguments, settings));
    }

    /// <summary>Runs it to its end.</summary>
    public static Task<(int Code, string Output, string Errors)> Run(TestDatabase database, params string[] arguments) => Run(database, new Dictionary<string, string>(), arguments);

    public static async Task<(int Code, string Output, string Errors)> Run(TestDatabase database, IReadOnlyDictionary<string, string> environment, params string[] arguments)
    {
        await using var command = Start(database, environment, arguments);
        return await command.End();
    }

    /// <summary>SIGKILL: nothing of it gets to run any more.</summary>
    public Task Kill() => process.Kill();

    public async Task<(int Code, string Output, string Errors)> End() => (await process.Ended(Longest), await output, await process.Errors);

    public ValueTask DisposeAsync() => process.DisposeAsync();
}
