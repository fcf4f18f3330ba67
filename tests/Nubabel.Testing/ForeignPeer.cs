using System.Diagnostics;
using Xunit;

namespace Nubabel.Testing;

/// <summary>
/// A test that needs a program from npm. <c>./dev test</c> fetches it where node and npm are, and names the directory in <c>NUBABEL_TEST_FOREIGN</c>; elsewhere
/// the test is skipped, and the sum says so.
/// </summary>
public sealed class ForeignFactAttribute : FactAttribute
{
    public ForeignFactAttribute()
    {
        if (ForeignPeer.Folder is null) Skip = "There is no node with npm, or npm could not fetch the packages of tests/foreign.";
    }
}

/// <summary>A script of <c>tests/foreign</c> as a process that is talked to in lines.</summary>
public sealed class ForeignPeer : IAsyncDisposable
{
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(20);
    private readonly Process process;

    private ForeignPeer(Process process) => this.process = process;

    /// <summary>Where the scripts stand with their packages; null where they were not fetched.</summary>
    public static string? Folder => Environment.GetEnvironmentVariable("NUBABEL_TEST_FOREIGN") is { Length: > 0 } folder ? folder : null;

    public static ForeignPeer Start(string script)
    {
        var start = new ProcessStartInfo("node", [Path.Combine(Folder!, script)]) { RedirectStandardInput = true, RedirectStandardOutput = true };
        return new ForeignPeer(Process.Start(start)!);
    }

    /// <summary>The next line that it says.</summary>
    public async Task<string> Hear() => await process.StandardOutput.ReadLineAsync().WaitAsync(Longest) ?? throw new InvalidOperationException("The program has ended.");

    public async Task Say(string line)
    {
        await process.StandardInput.WriteLineAsync(line);
        await process.StandardInput.FlushAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (!process.HasExited) process.Kill();
        await process.WaitForExitAsync();
        process.Dispose();
    }
}
