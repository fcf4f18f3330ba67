using System.Text;
using System.Text.Json;

namespace Nubabel.Api.Host;

/// <summary>Tables as text: CSV as RFC 4180 has it, and safe to open in a spreadsheet.</summary>
internal static class Csv
{
    public const string MediaType = "text/csv";
    public const string LineEnd = "\r\n";

    /// <summary>A line without its end.</summary>
    public static string Line(IEnumerable<string> cells) => string.Join(',', cells.Select(Cell));

    /// <summary>
    /// A cell. A spreadsheet takes what begins with one of a few signs for a formula, which may send the rest of the table away, so such a text gets an apostrophe
    /// in front. Many take a semicolon or a tab for the end of a cell, so one may begin behind those too.
    /// </summary>
    public static string Cell(string text)
    {
        var safe = new StringBuilder(text.Length + 1);
        for (var i = 0; i < text.Length; i++)
        {
            if (IsFormulaSign(text[i]) && (i == 0 || text[i - 1] is ';' or '\t' or '\r' or '\n')) safe.Append('\'');
            safe.Append(text[i]);
        }
        var cell = safe.ToString();
        return cell.AsSpan().IndexOfAny(",\"\r\n;") >= 0 || cell.StartsWith(' ') || cell.EndsWith(' ') ? $"\"{cell.Replace("\"", "\"\"", StringComparison.Ordinal)}\"" : cell;
    }

    /// <summary>The cells of a JSON object: its members in the order of the columns, what is no text as JSON, what is missing or null empty.</summary>
    public static string[] Cells(JsonElement row, IReadOnlyList<string> columns) => [.. columns.Select(c => row.TryGetProperty(c, out var value) ? ValueOf(value) : "")];

    private static bool IsFormulaSign(char c) => c is '=' or '+' or '-' or '@' or '|' or '%' or '\t' or '\r' or '\n' or '＝' or '＋' or '－' or '＠' or '｜' or '％';

    private static string ValueOf(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null or JsonValueKind.Undefined => "",
        JsonValueKind.String => value.GetString()!,
        _ => value.GetRawText(),
    };
}
