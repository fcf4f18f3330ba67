namespace Nubabel.Bench;

/// <summary>
/// A quiet organization's requests alone, and beside another that sends 20 times what its limit lets in. The real server in its own process, real sockets,
/// real PostgreSQL; the load comes from this process, on the same cores, so both are paced.
/// </summary>
internal sealed class NoisyBench : IBench
{
    private const int Limit = 100;
    private const int Times = 20;
    private const int Quiet = 100;
    private const int Rounds = 20;
    private const string Path = "/api/devices";
    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(2);
    // Between rounds A's allowance grows by what a pause lets grow, and that comes in at once: work like anybody's, and not the noise.
    private static readonly TimeSpan Ahead = TimeSpan.FromSeconds(0.3);

    // Short, so that what else the machine does meets both alike.
    private static readonly TimeSpan Round = TimeSpan.FromSeconds(1);

    public string Name => "noisy";
    public string What => $"{Quiet} requests a second of B, alone and while A sends {Limit * Times} a second against a limit of {Limit}; up to {Rounds} rounds of {Round.TotalSeconds} s each, in turn";

    public async Task<Report> Run(CancellationToken ct)
    {
        var started = TimeProvider.System.GetTimestamp();
        // One user may here spend what an organization may, or A would need twenty of them to reach its limit. B stays below its own.
        await using var server = await ServerProcess.Start(ct,
            ("Limits__UserRequestsPerMinute", "60000"), ("Limits__UserBurst", "60000"), ("Limits__OrganizationRequestsPerMinute", $"{Limit * 60}"));
        await using var a = new PacedCalls(server.Address, Path, await server.SignUp("noisy", ct), Limit * Times, 32);
        await using var b = new PacedCalls(server.Address, Path, await server.SignUp("quiet", ct), Quiet, 16);
        await a.Connect(ct);
        await b.Connect(ct);
        await b.Run(WarmUp, ct);
        var begin = a.Run(WarmUp, ct);
        var beginning = await b.Run(WarmUp, ct);
        await begin;

        var (alone, beside, noise) = (new List<PacedCalls.Answered>(), new List<PacedCalls.Answered>(), new List<PacedCalls.Answered>());
        var cpu = (Alone: TimeSpan.Zero, Beside: TimeSpan.Zero);
        // Fewer where the machine is so busy that the start took long.
        for (var i = 0; i < Rounds && TimeProvider.System.GetElapsedTime(started) < Report.Longest - Round * 4; i++)
        {
            var before = server.Cpu;
            alone.Add(await b.Run(Round, ct));
            var between = server.Cpu;
            cpu.Alone += between - before;
            var noisy = a.Run(Round + Ahead, ct);
            await Task.Delay(Ahead, ct);
            beside.Add(await b.Run(Round, ct));
            noise.Add(await noisy);
            cpu.Beside += server.Cpu - between;
        }
        return Told(alone, beside, beginning, noise, cpu);
    }

    private static Report Told(List<PacedCalls.Answered> alone, List<PacedCalls.Answered> beside, PacedCalls.Answered beginning, List<PacedCalls.Answered> noise, (TimeSpan Alone, TimeSpan Beside) cpu)
    {
        var refused = noise.Sum(r => r.Statuses.GetValueOrDefault(429));
        var (quietP50, quietP99) = (Percentile(alone, 50), Percentile(alone, 99));
        var (noisyP50, noisyP99) = (Percentile(beside, 50), Percentile(beside, 99));
        var (total, noisyTotal) = (alone.Count * Round.TotalSeconds, noise.Count * (Round + Ahead).TotalSeconds);
        return new Report(
            ["B", "requests", "not 200", "p50 ms", "p99 ms", "median of the rounds' p99", "server's CPU"],
            [Row("alone", alone, cpu.Alone / total), Row("beside A", beside, cpu.Beside / noisyTotal), ["ratio", "", "", Report.Number(noisyP50 / quietP50), Report.Number(noisyP99 / quietP99), Report.Number(Rounds99(beside) / Rounds99(alone)), ""],
                Row("as A begins", [beginning], null)],
            new Dictionary<string, double>
            {
                ["alone/p50_ms"] = quietP50,
                ["alone/p99_ms"] = quietP99,
                ["beside/p50_ms"] = noisyP50,
                ["beside/p99_ms"] = noisyP99,
                ["p99_ratio"] = noisyP99 / quietP99,
                ["median_round_p99_ratio"] = Rounds99(beside) / Rounds99(alone),
                ["a/refused_per_second"] = refused / noisyTotal,
                ["beginning/p99_ms"] = Percentile([beginning], 99),
                ["a/missed"] = noise.Sum(r => r.Missed),
            },
            $"A: {Report.Number(noise.Sum(r => r.Milliseconds.Count) / noisyTotal, "0")} requests a second, of which {Report.Number(refused / noisyTotal, "0")} got 429 (p50 {Report.Number(Percentile(noise, 50))} ms, p99 {Report.Number(Percentile(noise, 99))} ms); {noise.Sum(r => r.Missed)} were not sent in time.",
            $"As A begins: its burst of 1,500 requests is let in within a second, which is work like any other; {WarmUp.TotalSeconds:0} s.");

        string[] Row(string name, List<PacedCalls.Answered> results, TimeSpan? spent) =>
        [
            name, $"{results.Sum(r => r.Milliseconds.Count)}", $"{results.Sum(r => r.Statuses.Where(s => s.Key != 200).Sum(s => s.Value))}",
            Report.Number(Percentile(results, 50)), Report.Number(Percentile(results, 99)), Report.Number(Rounds99(results)),
            spent is { } cpuTime ? $"{Report.Number(100 * cpuTime.TotalSeconds, "0")} %" : "",
        ];
    }

    private static double Rounds99(List<PacedCalls.Answered> results) => results.Select(r => Percentile([r], 99)).Order().ElementAt(results.Count / 2);

    private static double Percentile(IEnumerable<PacedCalls.Answered> results, int percent)
    {
        double[] sorted = [.. results.SelectMany(r => r.Milliseconds).Order()];
        return sorted.Length == 0 ? 0 : sorted[Math.Min(sorted.Length - 1, sorted.Length * percent / 100)];
    }
}
