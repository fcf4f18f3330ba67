using System.Text;
using System.Text.Json;
using Nubabel.Api.DataExports;
using Nubabel.Api.Host;
using Nubabel.Api.Reads;
using Nubabel.Projections.Audit;
using Nubabel.Store;

namespace Nubabel.Api.Audit;

/// <summary>In which form the trail is taken away.</summary>
internal enum TrailForm { Csv, Ndjson }

/// <summary>What an export needs of the process.</summary>
internal sealed record TrailExports(Node Node, Store.Positions Positions, ReadRecord Reads)
{
    private readonly OneAtATime place = new("audit.export_busy", "The last export of the trail is still being read.");

    /// <summary>
    /// Settles up to where the export goes, records it, and answers it. It waits up to 2 s for the trail to have what is written now; whatever is written from then on is not in it.
    /// </summary>
    public async Task<IResult> Answer(HttpContext http, RequestScope scope, Freshness fresh, string tenant, TrailQuery query, TrailForm form, CancellationToken ct)
    {
        place.Enter(http, scope.Caller.Id);
        await fresh.Of(AuditTrail.Name, ct);
        var upTo = await ExportContent.Settled(Node, Positions, ct);
        if (!Edge.IsHead(http)) await Reads.Export(http, scope, tenant, upTo, query.Told, ct);
        // A reader that tells nobody: the export's own event has told, and the subjects of a whole trail are too many to keep.
        return new TrailExport(Node.Reader(tenant), query with { Filter = query.Filter with { UpTo = upTo } }, form);
    }
}

/// <summary>
/// The trail as a file, newest first as the list has it: written while it is read, a page in memory at a time, the personal values of a page opened with one key query. A failure on the way breaks
/// the connection, so that half of it does not look whole.
/// </summary>
internal sealed class TrailExport(Reader db, TrailQuery query, TrailForm form) : IResult
{
    public const string NdjsonType = "application/x-ndjson";

    /// <summary>The columns of the CSV, in their order.</summary>
    public static IReadOnlyList<string> Columns { get; } =
        ["at", "actor", "actorName", "action", "object", "objectName", "outcome", "summary", "reason", "ip", "userAgent", "requestId", "traceId", "before", "after", "position", "id"];

    public static string Ending(TrailForm form) => form == TrailForm.Csv ? "csv" : "ndjson";

    public static string TypeOf(TrailForm form) => form == TrailForm.Csv ? Csv.MediaType : NdjsonType;

    /// <summary>About so much is in memory, in bytes.</summary>
    private const int PageBytes = 1 << 20;

    private const int MostAtOnce = 500, FewestAtOnce = 10;

    public async Task ExecuteAsync(HttpContext httpContext)
    {
        var (response, ct) = (httpContext.Response, httpContext.RequestAborted);
        response.ContentType = form == TrailForm.Csv ? Csv.MediaType + "; charset=utf-8; header=present" : NdjsonType;
        response.Headers.CacheControl = "no-store";
        response.Headers.ContentDisposition = $"attachment; filename=\"nubabel-audit.{Ending(form)}\"";
        if (Edge.IsHead(httpContext)) return;
        if (form == TrailForm.Csv) await response.Body.WriteAsync(Encoding.UTF8.GetBytes(Csv.Line(Columns) + Csv.LineEnd), ct);
        var limit = MostAtOnce / 5;
        for (IReadOnlyList<string>? after = null; ;)
        {
            var entries = await AuditTrail.Search(db, query.Filter, after, limit, ct);
            var page = await ToldEntry.Tell(db, [.. entries.Take(limit).Where(query.Wants)], AuditApi.Show, ct);
            using var lines = new MemoryStream();
            foreach (var entry in page.Where(query.Wants)) Write(lines, entry);
            // As slow as the client reads; no connection to the database is held meanwhile.
            await response.Body.WriteAsync(lines.GetBuffer().AsMemory(0, (int)lines.Length), ct);
            if (entries.Count <= limit) return;
            after = entries[limit - 1].Place;
            // The next page is as long as this one says that entries are short.
            limit = (int)Math.Clamp(PageBytes / Math.Max(1, page.Sum(e => (long)e.Json.Length) / Math.Max(1, page.Count)), FewestAtOnce, MostAtOnce);
        }
    }

    private void Write(MemoryStream lines, ToldEntry entry)
    {
        if (form == TrailForm.Ndjson)
        {
            lines.Write(entry.Json.Span);
            lines.WriteByte((byte)'\n');
            return;
        }
        using var json = JsonDocument.Parse(entry.Json, new JsonDocumentOptions { MaxDepth = 1_000 });
        lines.Write(Encoding.UTF8.GetBytes(Csv.Line(Csv.Cells(json.RootElement, Columns)) + Csv.LineEnd));
    }
}
