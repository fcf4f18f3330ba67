using System.Diagnostics;

namespace Nubabel.Bench;

/// <summary>What a load came to.</summary>
/// <param name="P50">Milliseconds, as is <paramref name="P99"/>.</param>
/// <param name="Bytes">Managed bytes of this process for each; 0 where it was not this process that worked.</param>
/// <param name="Cpu">Cores that this process kept busy.</param>
/// <param name="PostgresCpu">Cores that PostgreSQL kept busy.</param>
internal sealed record Measured(double PerSecond, double? P50 = null, double? P99 = null, double? Bytes = null, double? Cpu = null, double? PostgresCpu = null, double? PeakMb = null)
{
    public (double Low, double High)? Spread { get; init; }

    /// <summary>The middle round by speed, with the spread of all.</summary>
    public static Measured Median(IReadOnlyCollection<Measured> rounds)
    {
        var sorted = rounds.OrderBy(r => r.PerSecond).ToArray();
        return sorted[sorted.Length / 2] with { Spread = sorted.Length > 1 ? (sorted[0].PerSecond, sorted[^1].PerSecond) : null, PeakMb = sorted.Max(r => r.PeakMb) };
    }
}

/// <summary>Callers that call again and again.</summary>
internal static class Load
{
    /// <summary>
    /// A program's first seconds of work. The runtime compiles again what is called often, for more than ten seconds, on a core of its own: where there are two, one answer in fifty took ten
    /// times as long then as later.
    /// </summary>
    public static readonly TimeSpan CompilerTime = TimeSpan.FromSeconds(20);

    /// <summary>As many callers as asked for, each in a closed loop: the next call begins when the last has ended.</summary>
    /// <param name="call">One call of caller <c>i</c>.</param>
    public static async Task<Measured> Run(int callers, TimeSpan time, Func<int, Task> call)
    {
        var postgres = await PostgresProcesses.Open();
        var (bytes, cpu, theirs, watch) = (GC.GetTotalAllocatedBytes(), Environment.CpuUsage.TotalTime, postgres.Cpu(), Stopwatch.StartNew());
        var taken = (await Task.WhenAll(Enumerable.Range(0, callers).Select(Caller))).SelectMany(t => t).Order().ToArray();
        var seconds = watch.Elapsed.TotalSeconds;
        if (taken.Length == 0) throw new InvalidOperationException("Not one call came to its end.");
        return new Measured(taken.Length / seconds, At(taken, 50), At(taken, 99), (GC.GetTotalAllocatedBytes() - bytes) / (double)taken.Length,
            (Environment.CpuUsage.TotalTime - cpu).TotalSeconds / seconds, (postgres.Cpu() - theirs).TotalSeconds / seconds, ProcessMemory.Peak());

        async Task<List<double>> Caller(int caller)
        {
            var answered = new List<double>(20_000);
            var until = Stopwatch.GetTimestamp() + (long)(time.TotalSeconds * Stopwatch.Frequency);
            await Task.Yield();
            while (Stopwatch.GetTimestamp() < until)
            {
                var begun = Stopwatch.GetTimestamp();
                await call(caller);
                answered.Add(Stopwatch.GetElapsedTime(begun).TotalMilliseconds);
            }
            return answered;
        }
    }

    /// <summary>Measures each in turn, and that several times, so that a slow moment of the machine meets all; the medians in the order given.</summary>
    public static async Task<IReadOnlyList<Measured>> InTurn(int rounds, params Func<Task<Measured>>[] each)
    {
        var measured = each.Select(_ => new List<Measured>()).ToArray();
        for (var round = 0; round < rounds; round++)
            for (var i = 0; i < each.Length; i++) measured[i].Add(await each[i]());
        return [.. measured.Select(Measured.Median)];
    }

    /// <summary>A percentile of what is sorted.</summary>
    public static double At(IReadOnlyList<double> sorted, int percent) => sorted.Count == 0 ? 0 : sorted[Math.Min(sorted.Count - 1, sorted.Count * percent / 100)];
}
