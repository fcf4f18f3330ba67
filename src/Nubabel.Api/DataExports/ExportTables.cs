using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using Nubabel.Domain.DataExports;
using Nubabel.Projections.DataExports;

namespace Nubabel.Api.DataExports;

/// <summary>The last rows of a section, shortened, for the readable page.</summary>
internal sealed record ExportGlance(HeldSection Section, long Rows, IReadOnlyList<string[]> Last);

/// <summary>The data as tables: CSV for programs, and a page for people.</summary>
internal static class ExportTables
{
    /// <summary>Rows that the page shows of a section; all are in the CSV.</summary>
    public const int MostShown = 100;

    private const int LongestCell = 160;

    /// <summary>Writes a section as CSV (RFC 4180, UTF-8, a line of names first).</summary>
    public static async Task<ExportGlance> WriteCsv(Stream stream, HeldSection section, Action wrote, CancellationToken ct)
    {
        var (rows, last) = (0L, new Queue<string[]>());
        // An encoder without a byte order mark; flushed by the writer as its buffer fills.
        await using var text = new StreamWriter(stream, new UTF8Encoding(false), 16_384, leaveOpen: true) { NewLine = "\r\n" };
        await text.WriteLineAsync(string.Join(',', section.Columns.Select(Cell)));
        await foreach (var row in section.Rows(ct))
        {
            var cells = CellsOf(section, row);
            await text.WriteLineAsync(string.Join(',', cells.Select(Cell)).AsMemory(), ct);
            rows++;
            wrote();
            if (last.Count == MostShown) last.Dequeue();
            last.Enqueue([.. cells.Select(c => c.Length <= LongestCell ? c : c[..LongestCell] + "…")]);
        }
        await text.FlushAsync(ct);
        return new ExportGlance(section, rows, [.. last]);
    }

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

    private static bool IsFormulaSign(char c) => c is '=' or '+' or '-' or '@' or '\t' or '\r' or '\n' or '＝' or '＋' or '－' or '＠';

    /// <summary>Writes the page: no script, nothing from elsewhere, and every text escaped.</summary>
    public static async Task WriteHtml(Stream stream, ExportHead head, IReadOnlyList<ExportGlance> glances, CancellationToken ct)
    {
        await using var html = new StreamWriter(stream, new UTF8Encoding(false), 16_384, leaveOpen: true) { NewLine = "\n" };
        var title = head.Scope == ExportScope.User ? "What is held on you" : "What is held in your organization";
        await html.WriteAsync($$"""
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
            <title>{{title}}</title>
            <style>
            body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #222; }
            section { overflow-x: auto; }
            table { border-collapse: collapse; font-size: 13px; }
            th, td { border: 1px solid #ccc; padding: .25rem .5rem; text-align: left; vertical-align: top; max-width: 30rem; overflow-wrap: anywhere; }
            th { background: #f3f3f3; }
            </style>
            </head>
            <body>
            <h1>{{title}}</h1>
            <p>As of {{Text(head.MadeAt.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss 'UTC'", CultureInfo.InvariantCulture))}}, position {{Text(head.Position)}}. Organization {{Text(head.OrganizationId)}}{{(head.UserId is { } user ? ", user " + Text(user) : "")}}.</p>
            <p>The same as one document: <a href="data.json">data.json</a>. As tables: the CSV files. <a href="manifest.json">manifest.json</a> has the SHA-256 of each file.</p>

            """.AsMemory(), ct);
        foreach (var glance in glances)
        {
            var shown = glance.Rows > glance.Last.Count ? $"The last {glance.Last.Count} of {glance.Rows}; all are in " : $"{glance.Rows} in ";
            await html.WriteAsync($"<section>\n<h2>{Text(glance.Section.Title)}</h2>\n<p>{shown}<a href=\"{Text(glance.Section.Name)}.csv\">{Text(glance.Section.Name)}.csv</a>.</p>\n".AsMemory(), ct);
            if (glance.Last.Count > 0)
            {
                await html.WriteAsync($"<table>\n<tr>{string.Concat(glance.Section.Columns.Select(c => $"<th>{Text(c)}</th>"))}</tr>\n".AsMemory(), ct);
                foreach (var row in glance.Last) await html.WriteAsync($"<tr>{string.Concat(row.Select(c => $"<td>{Text(c)}</td>"))}</tr>\n".AsMemory(), ct);
                await html.WriteAsync("</table>\n".AsMemory(), ct);
            }
            await html.WriteAsync("</section>\n".AsMemory(), ct);
        }
        await html.WriteAsync("</body>\n</html>\n".AsMemory(), ct);
        await html.FlushAsync(ct);
    }

    private static string[] CellsOf(HeldSection section, ReadOnlyMemory<byte> row)
    {
        using var json = JsonDocument.Parse(row, new JsonDocumentOptions { MaxDepth = 1_000 });
        return [.. section.Columns.Select(c => json.RootElement.TryGetProperty(c, out var value) ? ValueOf(value) : "")];
    }

    private static string ValueOf(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null or JsonValueKind.Undefined => "",
        JsonValueKind.String => value.GetString()!,
        _ => value.GetRawText(),
    };

    private static string Text(string text) => WebUtility.HtmlEncode(text);
}
