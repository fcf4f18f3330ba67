using System.Runtime;
using Nubabel.Bench;

Options options;
try
{
    options = Options.Read(args);
}
catch (FormatException e)
{
    await Console.Error.WriteLineAsync(e.Message);
    return 2;
}

// One line for each; a bench is one file.
IBench[] all =
[
    new AppendBench(options), new CommandBench(options), new HttpBench(options), new VisibleBench(options), new GapBench(options), new RebuildBench(), new MemoryBench(options), new MessagesBench(options), new WritesBench(), new FlagsBench(),
    new NoisyBench(),
];

if (options.List)
{
    foreach (var bench in all) Console.WriteLine($"  {bench.Name,-10} {bench.What}");
    return 0;
}
if (options.Names.FirstOrDefault(name => all.All(b => b.Name != name)) is { } unknown)
{
    await Console.Error.WriteLineAsync($"There is no bench {unknown}. There are {string.Join(", ", all.Select(b => b.Name))}, and all.");
    return 2;
}
GCSettings.LatencyMode = GCLatencyMode.SustainedLowLatency;
var machine = await Machine.Describe();
foreach (var (name, value) in machine.Described) Console.WriteLine($"{name,-12} {value}");
return await new Run(machine, options).Of(options.Names.Count == 0 ? all : [.. all.Where(b => options.Names.Contains(b.Name))]);
