using Nubabel.Api.Host;
using Nubabel.Api.Reads;
using Nubabel.Domain.Messages;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Messages;

/// <summary>Dead letters as a file: a letter a line, the oldest first. It is written while it is read, so its length does not matter to the server.</summary>
internal static class LetterExport
{
    public const string MediaType = "application/x-ndjson";

    /// <summary>What was given out, to whom and why it ended where it did stands in the audit trail, also when the reader goes away.</summary>
    public static async Task Stream(
        HttpContext http, RequestScope scope, Node node, Settings settings, LetterActs acts, ReadRecord reads, CancellationToken ct,
        string? tenant = null, string? queue = null, string? type = null, string? cause = null, string? state = null, string? from = null, string? to = null, string? personal = null)
    {
        var opens = LetterViews.Opens(personal, scope.Caller);
        var filter = LetterViews.FilterOf(tenant, queue, type, cause, from, to, state);
        var (journal, id) = (scope.Journal, scope.Ids.New<LetterSweep>());
        await acts.Export(id, filter, opens, journal, ct);
        http.Response.ContentType = MediaType;
        http.Response.Headers.CacheControl = "no-store";
        var written = 0L;
        try
        {
            await foreach (var letter in acts.Letters.All(filter, ct))
            {
                var line = await LetterViews.Render(letter, opens ? scope.ReaderOf(letter.Tenant) : null, node, settings, ct);
                // The organizations hear of it, too, and before it leaves.
                if (scope.Shown.IsFull) await reads.Tell(http, ct);
                await http.Response.Body.WriteAsync(line, ct);
                await http.Response.Body.WriteAsync("\n"u8.ToArray(), ct);
                written++;
            }
        }
        finally
        {
            await reads.Tell(http, CancellationToken.None);
            await journal.Handle(id, new EndSweep(written), CancellationToken.None);
        }
    }
}
