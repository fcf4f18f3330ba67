using System.Globalization;
using System.Text;
using System.Text.Json;
using Nubabel.Api.DataExports;
using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Domain;
using Nubabel.Domain.Breaches;
using Nubabel.Projections;
using Nubabel.Projections.Breaches;
using Nubabel.Store;

namespace Nubabel.Api.Breaches;

/// <summary>A breach with everything that became of it.</summary>
/// <param name="History">Every event, oldest first: facts, effects and what was done about it (Art. 33(5)).</param>
public sealed record ExportedBreach(BreachView Breach, IReadOnlyList<BreachLetterCounts> Letters, IReadOnlyList<BreachChange> History);

/// <summary>The register as a file, for the authority: one breach in memory at a time.</summary>
public static class BreachExport
{
    private static readonly string[] Columns =
    [
        "id", "status", "title", "description", "awareAt", "deadline", "clock", "occurredFrom", "occurredTo", "kinds", "source", "risk", "riskReason", "dataCategories", "peopleCategories", "approximatePeople",
        "approximateRecords", "consequences", "measures", "reports", "firstReportAt", "wasLate", "delayReason", "lettersSent", "lettersFailed", "exemption", "undone", "closedAt", "closureReason",
    ];

    public static void Map(IEndpointRouteBuilder app) =>
        app.MapGet("/api/admin/breaches/export", Export).WithTags("Breaches").Needs(BreachesApi.Read).Produces<IReadOnlyList<ExportedBreach>>().DisableRequestTimeout()
            .WithExample(response: $$"""[{"breach":{{BreachView.Example}},"letters":[],"history":[]}]""");

    private static async Task<IResult> Export(string? format, Freshness fresh, RequestScope scope, CancellationToken ct)
    {
        var kind = format ?? "json";
        if (kind is not ("json" or "ndjson" or "csv")) throw Problem.At(nameof(format), "query.invalid", "One of: json, ndjson, csv.");
        await fresh.Of(BreachList.Name, ct);
        await fresh.Of(BreachLetterList.Name, ct);
        return new Download(kind, scope);
    }

    /// <summary>The file as it is made. A failure on the way breaks the connection: half of it must not look whole.</summary>
    private sealed class Download(string format, RequestScope scope) : IResult
    {
        public async Task ExecuteAsync(HttpContext httpContext)
        {
            var (response, ct) = (httpContext.Response, httpContext.RequestAborted);
            response.ContentType = format switch { "csv" => "text/csv; charset=utf-8", "ndjson" => "application/x-ndjson", _ => "application/json" };
            response.Headers.CacheControl = "no-store";
            response.Headers.ContentDisposition = $"attachment; filename=\"breaches.{format}\"";
            if (Edge.IsHead(httpContext)) return;
            await Write("[", "", Line(Columns));
            var first = true;
            foreach (var id in await BreachList.Ids(scope.Reader, ct))
            {
                if (await Opened(id, ct) is not { } breach) continue;
                await Write(first ? "\n" : ",\n", "", "");
                await Write(Encoding.UTF8.GetString(breach.Span), Encoding.UTF8.GetString(breach.Span) + "\n", Row(breach));
                first = false;
            }
            await Write("\n]\n", "", "");

            Task Write(string json, string lines, string csv) => response.WriteAsync(format switch { "csv" => csv, "ndjson" => lines, _ => json }, ct);
        }

        private async Task<ReadOnlyMemory<byte>?> Opened(Id<Breach> id, CancellationToken ct)
        {
            var breach = await scope.Journal.Load(id, ct);
            if (BreachView.Of(breach, scope.Journal.Now()) is not { } view) return null;
            var whole = new ExportedBreach(view, await BreachLetterList.Count(scope.Reader, id, ct), [.. breach.History.Select(BreachesApi.ChangeOf)]);
            return await scope.Reader.Open(JsonSerializer.SerializeToUtf8Bytes(whole, StoredJson.Options), ct);
        }
    }

    private static string Row(ReadOnlyMemory<byte> json)
    {
        using var document = JsonDocument.Parse(json);
        var (breach, letters) = (document.RootElement.GetProperty("breach"), document.RootElement.GetProperty("letters"));
        var reports = breach.GetProperty("reports").EnumerateArray().ToArray();
        return Line(
        [
            .. Columns[..5].Select(name => Text(breach, name)), Text(breach, "clock", "deadline"), Text(breach, "clock", "state"), Text(breach, "occurredFrom"), Text(breach, "occurredTo"),
            Text(breach, "kinds"), Text(breach, "source"), Text(breach, "assessment", "risk"), Text(breach, "assessment", "reason"),
            .. Columns[13..19].Select(name => Text(breach, "assessment", name)),
            reports.Length.ToString(CultureInfo.InvariantCulture), reports is [var first, ..] ? Text(first, "reportedAt") : "", Text(breach, "clock", "wasLate"),
            string.Join("\n", reports.Select(r => Text(r, "delayReason")).Where(t => t.Length > 0)),
            Sum(letters, "sent"), Sum(letters, "unreachable", "erased"), Text(breach, "exemption"), Text(breach, "undone"), Text(breach, "closedAt"), Text(breach, "closureReason"),
        ]);
    }

    private static string Sum(JsonElement letters, params string[] names) => letters.EnumerateArray().Sum(l => names.Sum(n => l.GetProperty(n).GetInt64())).ToString(CultureInfo.InvariantCulture);

    private static string Text(JsonElement element, params string[] path)
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

    private static string Line(IEnumerable<string> cells) => string.Join(',', cells.Select(Csv.Cell)) + "\r\n";
}
