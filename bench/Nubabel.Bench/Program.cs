using System.Runtime;
using Nubabel.Bench;

// One line for each; a bench is one file.
IBench[] all = [new AppendBench(), new FlagsBench(), new NoisyBench(), new RebuildBench(), new WritesBench()];

var wanted = args.Length == 0 ? all : [.. all.Where(b => args.Contains(b.Name))];
if (wanted.Length < Math.Max(1, args.Length))
{
    Console.Error.WriteLine($"There are the benches {string.Join(", ", all.Select(b => b.Name))}.");
    return 2;
}
GCSettings.LatencyMode = GCLatencyMode.SustainedLowLatency;
var machine = await Machine.Describe();
foreach (var (name, value) in machine) Console.WriteLine($"{name,-22} {value}");
var code = 0;
foreach (var bench in wanted)
{
    Console.WriteLine($"\n{bench.Name}: {bench.What}\n");
    using var bound = new CancellationTokenSource(Report.Longest);
    try
    {
        var report = await bench.Run(bound.Token);
        report.Print(Console.Out);
        Console.WriteLine($"\n→ {report.Save(bench.Name, machine)}");
    }
    catch (OperationCanceledException) when (bound.IsCancellationRequested)
    {
        Console.Error.WriteLine($"{bench.Name} took longer than {Report.Longest.TotalSeconds:0} s and was ended.");
        code = 1;
    }
}
return code;
