using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Nubabel.Bench;

/// <summary>
/// What a bench has found: a table for people, the numbers for machines, and what is to be known of them. A bench whose figures stand beside references makes it of rows
/// (<see cref="Of"/>); one with a table of its own gives that.
/// </summary>
internal sealed record Report(string[] Columns, IReadOnlyList<string[]> Rows, IReadOnlyDictionary<string, double> Numbers, params string[] Notes)
{
    /// <summary>Of a bench that says nothing else.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromSeconds(60);

    private static readonly JsonSerializerOptions Indented = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        IncludeFields = true,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>The columns of every bench that is made of rows, so that all of them make one table.</summary>
    private static readonly string[] Head = ["work", "callers", "measured", "beside", "aim", "met", "p50 ms", "p99 ms", "CPU, cores", "PostgreSQL's", "peak MB", "bytes each"];

    /// <summary>What was measured, where the bench says it in rows.</summary>
    public IReadOnlyList<Row> Measured { get; private init; } = [];

    public static Report Of(IReadOnlyList<Row> rows, params string[] notes) => new(Head, [.. rows.Select(Cells)], new Dictionary<string, double>(), notes) { Measured = rows };

    public static string Number(double value, string format = "0.00") => value.ToString(format, CultureInfo.InvariantCulture);

    /// <summary>As Markdown, so that it can be pasted into docs/performance.md. A column that nobody filled is left out.</summary>
    public void Print(TextWriter to)
    {
        var kept = Enumerable.Range(0, Columns.Length).Where(i => i == 0 || Rows.Any(r => r[i].Length > 0)).ToArray();
        string[] columns = [.. kept.Select(i => Columns[i])];
        string[][] rows = [.. Rows.Select(r => kept.Select(i => r[i]).ToArray())];
        var widths = columns.Select((column, i) => rows.Select(r => r[i].Length).Append(column.Length).Max()).ToArray();
        string[] line = [.. widths.Select(w => new string('-', w))];
        foreach (var row in rows.Prepend(line).Prepend(columns)) to.WriteLine("| " + string.Join(" | ", row.Select((cell, i) => cell.PadRight(widths[i]))) + " |");
        if (Notes.Length > 0) to.WriteLine();
        foreach (var note in Notes) to.WriteLine(note);
    }

    /// <summary>What goes to the file.</summary>
    public object ToJson(string bench, TimeSpan took) => new { bench, seconds = Math.Round(took.TotalSeconds, 1), rows = Measured, numbers = Numbers, notes = Notes };

    /// <summary>Writes one file for a run, and says where.</summary>
    public static string Save(string name, string? to, Machine machine, IReadOnlyList<object> benches)
    {
        var now = TimeProvider.System.GetUtcNow();
        var file = Path.GetFullPath(to ?? Path.Combine(Testing.Repository.At("artifacts", "bench"), $"{name}-{now:yyyyMMdd-HHmmss}.json"));
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(file, JsonSerializer.Serialize(new { at = now, commit = machine.Commit, machine = machine.Described, postgres = machine.Postgres, benches }, Indented));
        return file;
    }

    private static string[] Cells(Row r) =>
    [
        r.Work, r.Callers is { } callers ? $"{callers}" : "", $"{Grouped(r.Value)} {r.Unit}", string.Join("; ", r.Beside.Select(b => $"{b.Name} {Grouped(b.Value)}{(b.Quoted ? " (quoted)" : "")}: {Number(r.RatioTo(b))} ×")),
        string.Join(", ", r.Beside.Where(b => b.Times is not null).Select(b => $"≥ {Number(b.Times!.Value, "0.##")} × {b.Name}").Append(r.Aim?.Text).OfType<string>()),
        r.Met switch { true => "yes", false => "no", null => "" },
        Cell(r.P50), Cell(r.P99), Cores(r, r.Cpu), Cores(r, r.PostgresCpu), Cell(r.PeakMb, "0"), Cell(r.Bytes, "0"),
    ];

    /// <summary>Cores kept busy and, where something is counted per second, what that makes for each: that hardly depends on what else the machine does.</summary>
    private static string Cores(Row r, double? cores) => cores is not { } busy ? "" : r.Unit == "per s" ? $"{Number(busy)} ({Number(busy / r.Value * 1e6, "0")} µs each)" : Number(busy);

    private static string Cell(double? value, string format = "0.00") => value is { } number ? Number(number, format) : "";

    private static string Grouped(double value) => value.ToString(value >= 100 ? "#,0" : "0.00", CultureInfo.InvariantCulture);
}
