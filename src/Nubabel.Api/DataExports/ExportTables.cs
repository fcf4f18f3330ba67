using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using Nubabel.Api.Host;
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
        await using var text = new StreamWriter(stream, new UTF8Encoding(false), 16_384, leaveOpen: true) { NewLine = Csv.LineEnd };
        await text.WriteLineAsync(Csv.Line(section.Columns));
        await foreach (var row in section.Rows(ct))
        {
            var cells = CellsOf(section, row);
            await text.WriteLineAsync(Csv.Line(cells).AsMemory(), ct);
            rows++;
            wrote();
            if (last.Count == MostShown) last.Dequeue();
            last.Enqueue([.. cells.Select(c => c.Length <= LongestCell ? c : c[..LongestCell] + "…")]);
        }
        await text.FlushAsync(ct);
        return new ExportGlance(section, rows, [.. last]);
    }

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
            th, td { border: 1px solid #ccc; padding: .25rem .5rem; text-align: left; vertical-align: top; max-width: 30rem; overflow-wrap: break-word; }
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
        return Csv.Cells(json.RootElement, section.Columns);
    }

    private static string Text(string text) => WebUtility.HtmlEncode(text);
}
