using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text.Json;
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
        return new RegisterFile(kind, "breaches", RegisterFile.Line(Columns), Row, stop => All(scope, stop));
    }

    private static async IAsyncEnumerable<ReadOnlyMemory<byte>> All(RequestScope scope, [EnumeratorCancellation] CancellationToken ct)
    {
        foreach (var id in await BreachList.Ids(scope.Reader, ct))
        {
            var breach = await scope.Journal.Load(id, ct);
            if (BreachView.Of(breach, scope.Journal.Now()) is not { } view) continue;
            var whole = new ExportedBreach(view, await BreachLetterList.Count(scope.Reader, id, ct), [.. (await breach.Events(ct)).Select(BreachesApi.ChangeOf)]);
            yield return await scope.Reader.Open(JsonSerializer.SerializeToUtf8Bytes(whole, StoredJson.Options), ct);
        }
    }

    private static string Row(JsonElement exported)
    {
        var (breach, letters) = (exported.GetProperty("breach"), exported.GetProperty("letters"));
        var reports = breach.GetProperty("reports").EnumerateArray().ToArray();
        return RegisterFile.Line(
        [
            .. Columns[..5].Select(name => RegisterFile.Text(breach, name)), RegisterFile.Text(breach, "clock", "deadline"), RegisterFile.Text(breach, "clock", "state"), RegisterFile.Text(breach, "occurredFrom"), RegisterFile.Text(breach, "occurredTo"),
            RegisterFile.Text(breach, "kinds"), RegisterFile.Text(breach, "source"), RegisterFile.Text(breach, "assessment", "risk"), RegisterFile.Text(breach, "assessment", "reason"),
            .. Columns[13..19].Select(name => RegisterFile.Text(breach, "assessment", name)),
            reports.Length.ToString(CultureInfo.InvariantCulture), reports is [var first, ..] ? RegisterFile.Text(first, "reportedAt") : "", RegisterFile.Text(breach, "clock", "wasLate"),
            string.Join("\n", reports.Select(r => RegisterFile.Text(r, "delayReason")).Where(t => t.Length > 0)),
            Sum(letters, "sent"), Sum(letters, "unreachable", "erased"), RegisterFile.Text(breach, "exemption"), RegisterFile.Text(breach, "undone"), RegisterFile.Text(breach, "closedAt"), RegisterFile.Text(breach, "closureReason"),
        ]);
    }

    private static string Sum(JsonElement letters, params string[] names) => letters.EnumerateArray().Sum(l => names.Sum(n => l.GetProperty(n).GetInt64())).ToString(CultureInfo.InvariantCulture);
}
