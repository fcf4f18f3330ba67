using System.Text;
using System.Text.Json;
using Nubabel.Api.Host;
using Nubabel.Projections.ProcessingRecords;
using Nubabel.Store;

namespace Nubabel.Api.ProcessingRecords;

/// <summary>The records as a file, archived ones included: what is shown to the authority when it asks (Art. 30(4)). A page is in memory at a time.</summary>
internal static class ProcessingRecordExport
{
    private const int AtOnce = 100;

    private static readonly string[] Columns =
    [
        "id", "status", "revision", "name", "role", "onBehalfOf", "lawfulBasis", "purposes", "peopleCategories", "dataCategories", "recipients", "transfers", "retention", "retentionCategory",
        "securityMeasures", "contact", "createdAt", "changedAt", "archivedAt",
    ];

    public static async Task<IResult> Answer(string? format, Freshness fresh, Reader db, CancellationToken ct)
    {
        var kind = format ?? "json";
        if (kind is not ("json" or "ndjson" or "csv")) throw Problem.At(nameof(format), "query.invalid", "One of: json, ndjson, csv.");
        await fresh.Of(ProcessingRecordList.Name, ct);
        return new RegisterFile(kind, "processing-records", RegisterFile.Line(Columns), Row, stop => All(db, stop));
    }

    private static async IAsyncEnumerable<ReadOnlyMemory<byte>> All(Reader db, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken ct)
    {
        foreach (var archived in new[] { false, true })
            for (IReadOnlyList<string>? after = null; ;)
            {
                var page = await ProcessingRecordList.Of(db, archived, ProcessingRecordView.Of, after, AtOnce, ct);
                foreach (var row in page.Rows) yield return row;
                if (page.Next is null) break;
                after = page.Next;
            }
    }

    private static string Row(JsonElement record) => RegisterFile.Line(Columns.Select(name => name switch
    {
        "retention" => RegisterFile.Text(record, "retention", "text"),
        "retentionCategory" => RegisterFile.Text(record, "retention", "category"),
        "transfers" => string.Join("; ", record.GetProperty("transfers").EnumerateArray()
            .Select(t => new StringBuilder(RegisterFile.Text(t, "country")).Append(": ").Append(RegisterFile.Text(t, "recipient")).Append(" (").Append(RegisterFile.Text(t, "safeguards")).Append(')'))),
        _ => RegisterFile.Text(record, name),
    }));
}
