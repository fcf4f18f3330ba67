using System.Text;
using System.Text.Json;
using Nubabel.Api.Host;

namespace Nubabel.Api;

/// <summary>A register as a file, as it is made: JSON, a JSON text a line, or CSV. A failure on the way breaks the connection: half of it must not look whole.</summary>
/// <param name="format"><c>json</c>, <c>ndjson</c> or <c>csv</c>.</param>
/// <param name="head">The first line of the CSV.</param>
/// <param name="row">A line of the CSV.</param>
/// <param name="entries">JSON objects, read when they are asked for.</param>
internal sealed class RegisterFile(string format, string name, string head, Func<JsonElement, string> row, Func<CancellationToken, IAsyncEnumerable<ReadOnlyMemory<byte>>> entries) : IResult
{
    public async Task ExecuteAsync(HttpContext httpContext)
    {
        var (response, ct, isFirst) = (httpContext.Response, httpContext.RequestAborted, true);
        response.ContentType = format switch { "csv" => "text/csv; charset=utf-8", "ndjson" => "application/x-ndjson", _ => "application/json" };
        response.Headers.CacheControl = "no-store";
        response.Headers.ContentDisposition = $"attachment; filename=\"{name}.{format}\"";
        if (Edge.IsHead(httpContext)) return;
        if (format != "ndjson") await response.WriteAsync(format == "csv" ? head : "[", ct);
        await foreach (var entry in entries(ct))
        {
            await response.WriteAsync(format switch { "csv" => Rendered(entry), "ndjson" => Encoding.UTF8.GetString(entry.Span) + "\n", _ => (isFirst ? "\n" : ",\n") + Encoding.UTF8.GetString(entry.Span) }, ct);
            isFirst = false;
        }
        if (format == "json") await response.WriteAsync("\n]\n", ct);
    }

    /// <summary>What stands at a path, as one cell; empty where there is nothing.</summary>
    public static string Text(JsonElement element, params string[] path)
    {
        foreach (var name in path)
            if (element.ValueKind != JsonValueKind.Object || !element.TryGetProperty(name, out element)) return "";
        return element.ValueKind switch
        {
            JsonValueKind.Null => "",
            JsonValueKind.String => element.GetString()!,
            JsonValueKind.Array => string.Join("; ", element.EnumerateArray().Select(item => item.ToString())),
            _ => element.GetRawText(),
        };
    }

    public static string Line(IEnumerable<string> cells) => string.Join(',', cells.Select(Csv.Cell)) + "\r\n";

    private string Rendered(ReadOnlyMemory<byte> entry)
    {
        using var document = JsonDocument.Parse(entry);
        return row(document.RootElement);
    }
}
