using System.Globalization;

namespace Nubabel.Bench;

/// <summary>What the command line asks for. A bench that takes options takes them in its constructor; each has a default that ends within a minute.</summary>
/// <param name="Names">The benches; none means all.</param>
/// <param name="Seconds">How long each figure is measured, once; null for the bench's own.</param>
/// <param name="Rounds">How often each figure is measured; the median counts.</param>
/// <param name="Events">How many events the benches over a large log write.</param>
/// <param name="Out">Where the JSON goes; null for a new file under <c>artifacts/bench</c>.</param>
/// <param name="Markdown">The table of all benches as docs/performance.md has it, behind the tables of each.</param>
/// <param name="List">Only says which benches there are.</param>
internal sealed record Options(IReadOnlyList<string> Names, double? Seconds, int? Rounds, long? Events, string? Out, bool Markdown, bool List)
{
    private const string Form = "a number above 0";

    public TimeSpan Each(double seconds) => TimeSpan.FromSeconds(Seconds ?? seconds);

    /// <exception cref="FormatException">With the line to show.</exception>
    public static Options Read(IReadOnlyList<string> arguments)
    {
        var (names, read) = (new List<string>(), new Options([], null, null, null, null, false, false));
        for (var i = 0; i < arguments.Count; i++)
        {
            switch (arguments[i])
            {
                case "--seconds": read = read with { Seconds = Number(i++) }; break;
                case "--rounds": read = read with { Rounds = (int)Number(i++) }; break;
                case "--events": read = read with { Events = (long)Number(i++) }; break;
                case "--out": read = read with { Out = Value(i++) }; break;
                case "--markdown": read = read with { Markdown = true }; break;
                case "--list": read = read with { List = true }; break;
                case "all": break;
                case ['-', ..] unknown: throw new FormatException($"There is no option {unknown}.");
                case var name: names.Add(name); break;
            }
        }
        return read with { Names = names };

        string Value(int i) => i + 1 < arguments.Count ? arguments[i + 1] : throw new FormatException($"{arguments[i]} needs a value.");

        double Number(int i) => double.TryParse(Value(i), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number) && number > 0
            ? number
            : throw new FormatException($"{arguments[i]} needs {Form}.");
    }
}
