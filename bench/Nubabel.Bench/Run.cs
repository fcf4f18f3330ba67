using System.Diagnostics;

namespace Nubabel.Bench;

/// <summary>Runs benches one after another, prints what they find and writes it to one file.</summary>
internal sealed class Run(Machine machine, Options options)
{
    private readonly List<object> found = [];
    private readonly List<Row> rows = [];
    private int code;

    public async Task<int> Of(IReadOnlyList<IBench> benches)
    {
        foreach (var bench in benches) await One(bench);
        if (options.Markdown)
        {
            Console.WriteLine();
            Report.Of(rows, Quoted.Note).Print(Console.Out);
        }
        if (found.Count > 0) Console.WriteLine($"\n→ {Report.Save(benches.Count == 1 ? benches[0].Name : "all", options.Out, machine, found)}");
        return code;
    }

    private async Task One(IBench bench)
    {
        Console.WriteLine($"\n{bench.Name}: {bench.What}\n");
        using var bound = new CancellationTokenSource(bench.Longest);
        var watch = Stopwatch.StartNew();
        try
        {
            var report = await bench.Run(bound.Token);
            report.Print(Console.Out);
            found.Add(report.ToJson(bench.Name, watch.Elapsed));
            rows.AddRange(report.Measured);
            Console.WriteLine($"\n{watch.Elapsed.TotalSeconds:0} s");
        }
        catch (Exception) when (bound.IsCancellationRequested)
        {
            await Console.Error.WriteLineAsync($"{bench.Name} took longer than {bench.Longest.TotalSeconds:0} s and was ended.");
            code = 1;
        }
        catch (Exception failure)
        {
            // The others are still worth their time.
            await Console.Error.WriteLineAsync($"{bench.Name} failed: {failure}");
            code = 1;
        }
    }
}
