using System.Diagnostics;

namespace Nubabel.Testing;

/// <summary>
/// A program of this build as a process of its own: to be talked to in lines, and killed, stopped and told to end as an operating system does it. Whoever has
/// heard enough of it lets it talk (<see cref="Drain"/>), or it would stand still before a full pipe.
/// </summary>
public sealed class Child : IAsyncDisposable
{
    /// <summary>How long a line may be in coming: it starts on a machine full of others.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(60);

    private readonly Process process;
    private readonly Task<string> errors;
    private int isGone;

    private Child(Process process) => (this.process, errors) = (process, process.StandardError.ReadToEndAsync());

    /// <summary>Its process id.</summary>
    public int Id => process.Id;

    /// <param name="assembly">The program's file.</param>
    /// <param name="environment">What it has beside this process's.</param>
    public static Child Start(string assembly, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment = null, string? folder = null)
    {
        var start = new ProcessStartInfo("dotnet", [assembly, .. arguments])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = folder ?? Path.GetTempPath(),
        };
        // Of the tests alone: our programs refuse what is no setting of theirs.
        start.Environment.Remove("NUBABEL_STRESS_SECONDS");
        // It lives for seconds.
        start.Environment["DOTNET_TieredPGO"] = "0";
        foreach (var (name, value) in environment ?? new Dictionary<string, string>()) start.Environment[name] = value;
        return new Child(Process.Start(start)!);
    }

    /// <summary>The next line that it says.</summary>
    public async Task<string> Line() =>
        await process.StandardOutput.ReadLineAsync().WaitAsync(Longest) ?? throw new InvalidOperationException($"The process has ended: {await errors}");

    /// <summary>Waits for the line that begins so, and returns the rest of it.</summary>
    public async Task<string> Line(string beginning)
    {
        var before = new List<string>();
        while (true)
        {
            var line = await process.StandardOutput.ReadLineAsync().WaitAsync(Longest);
            if (line is null) throw new InvalidOperationException($"The process has ended: {string.Join('\n', before)}\n{await errors}");
            if (line.StartsWith(beginning, StringComparison.Ordinal)) return line[beginning.Length..];
            before.Add(line);
        }
    }

    /// <summary>One line to it, one line back.</summary>
    public async Task<string> Ask(string line)
    {
        await process.StandardInput.WriteLineAsync(line);
        await process.StandardInput.FlushAsync();
        return await Line();
    }

    /// <summary>Nobody will say anything to it.</summary>
    public void Hush() => process.StandardInput.Close();

    /// <summary>All that it has still to say.</summary>
    public Task<string> Rest() => process.StandardOutput.ReadToEndAsync();

    /// <summary>What it says from here on is heard by nobody.</summary>
    public void Drain() => _ = process.StandardOutput.BaseStream.CopyToAsync(Stream.Null);

    /// <summary>What it has complained of, once it has ended.</summary>
    public Task<string> Errors => errors;

    /// <summary>SIGKILL: nothing is closed, nothing is said.</summary>
    public async Task Kill()
    {
        process.Kill();
        await process.WaitForExitAsync();
    }

    /// <summary>TERM: as a supervisor stops it. STOP: it stands still wherever it is. CONT: it goes on as if nothing had happened.</summary>
    public async Task Send(string signal)
    {
        using var kill = Process.Start("sh", ["-c", $"kill -{signal} {process.Id}"]);
        await kill.WaitForExitAsync();
        if (kill.ExitCode != 0) throw new InvalidOperationException($"The process got no {signal}.");
    }

    /// <summary>Waits for its end, and returns how it ended.</summary>
    public async Task<int> Ended(TimeSpan within)
    {
        await process.WaitForExitAsync().WaitAsync(within);
        return process.ExitCode;
    }

    /// <summary>Also after it has been disposed of: whoever replaces it and whoever cleans up may both do it.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref isGone, 1) == 1) return;
        if (!process.HasExited) await Kill();
        process.Dispose();
    }
}
