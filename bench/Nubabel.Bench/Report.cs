using System.Globalization;
using System.Text.Json;

namespace Nubabel.Bench;

/// <summary>One bench: what it measures, and the measuring, which ends within <see cref="Report.Longest"/>.</summary>
internal interface IBench
{
    string Name { get; }
    string What { get; }
    Task<Report> Run(CancellationToken ct);
}

/// <summary>What a bench has found: a table for people, the numbers for machines, and what is to be known of them.</summary>
internal sealed record Report(string[] Columns, IReadOnlyList<string[]> Rows, IReadOnlyDictionary<string, double> Numbers, params string[] Notes)
{
    /// <summary>A bench that takes longer is not run by anybody.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromSeconds(60);

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    public static string Number(double value, string format = "0.00") => value.ToString(format, CultureInfo.InvariantCulture);

    /// <summary>As Markdown, so that it can be pasted into docs/performance.md.</summary>
    public void Print(TextWriter to)
    {
        var widths = Columns.Select((column, i) => Rows.Select(r => r[i].Length).Append(column.Length).Max()).ToArray();
        string[] line = [.. widths.Select(w => new string('-', w))];
        foreach (var row in Rows.Prepend(line).Prepend(Columns)) to.WriteLine("| " + string.Join(" | ", row.Select((cell, i) => cell.PadRight(widths[i]))) + " |");
        if (Notes.Length > 0) to.WriteLine();
        foreach (var note in Notes) to.WriteLine(note);
    }

    /// <summary>Writes the numbers as JSON under the directory of run-time files, and says where.</summary>
    public string Save(string bench, IReadOnlyDictionary<string, string> machine)
    {
        var now = TimeProvider.System.GetUtcNow();
        var directory = Directory.CreateDirectory(Path.Combine(Environment.GetEnvironmentVariable("NUBABEL_DATA") ?? ".data", "bench"));
        var file = Path.Combine(directory.FullName, $"{bench}-{now:yyyyMMdd-HHmmss}.json");
        File.WriteAllText(file, JsonSerializer.Serialize(new { bench, at = now, machine, numbers = Numbers, notes = Notes }, Indented));
        return file;
    }
}
