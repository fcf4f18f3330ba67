using Nubabel.Api.Host;
using Nubabel.Projections;
using Nubabel.Projections.Audit;
using Nubabel.Store;

namespace Nubabel.Api.Audit;

/// <summary>
/// A page of the trail. A text is looked for in what is read of an entry, names and sealed values among it, so no index finds it: entries are opened and looked at, newest first, a bounded number
/// and for a bounded time. A page may so hold few entries, or none, and still have a next one, which goes on where this one stopped.
/// </summary>
internal static class TrailSearch
{
    /// <summary>At how many entries a request looks.</summary>
    public const int MostLookedAt = 5_000;

    private const int LookedAtOnce = 500;

    /// <summary>How long a request goes on looking.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(2);

    /// <param name="db">Tells whose values it opens: those of the page's entries, and of no other.</param>
    /// <param name="silent">The same tenant's, for what is only looked at.</param>
    public static async Task<Page> Page(Reader db, Reader silent, TrailQuery query, Paging page, TimeProvider time, CancellationToken ct)
    {
        if (!query.NeedsLook)
        {
            var all = await AuditTrail.Search(db, query.Filter, page.After, page.Limit, ct);
            return new Page(await Told(db, [.. all.Take(page.Limit)], ct), all.Count > page.Limit ? all[page.Limit - 1].Place : null);
        }
        var (found, after, began) = (new List<AuditTrail.Entry>(), page.After, time.GetTimestamp());
        for (var looked = 0; ;)
        {
            var entries = await AuditTrail.Search(silent, query.Filter, after, LookedAtOnce, ct);
            foreach (var (entry, isLast) in await Wanted(silent, query, entries, ct))
            {
                found.Add(entry);
                if (found.Count == page.Limit) return new Page(await Told(db, found, ct), isLast ? null : entry.Place);
            }
            if (entries.Count <= LookedAtOnce) return new Page(await Told(db, found, ct), null);
            (after, looked) = (entries[LookedAtOnce - 1].Place, looked + LookedAtOnce);
            if (looked >= MostLookedAt || time.GetElapsedTime(began) > Longest) return new Page(await Told(db, found, ct), after);
        }
    }

    /// <summary>Those that are asked for, and whether nothing is behind them.</summary>
    private static async Task<IEnumerable<(AuditTrail.Entry Entry, bool IsLast)>> Wanted(Reader silent, TrailQuery query, IReadOnlyList<AuditTrail.Entry> entries, CancellationToken ct)
    {
        var candidates = entries.Take(LookedAtOnce).Where(query.Wants).ToArray();
        var told = query.Text is null ? null : await ToldEntry.Tell(silent, candidates, AuditApi.Show, ct);
        return candidates.Where((_, i) => told is null || query.Wants(told[i])).Select(e => (e, entries.Count <= LookedAtOnce && e == entries[^1]));
    }

    private static async Task<IReadOnlyList<ReadOnlyMemory<byte>>> Told(Reader db, IReadOnlyList<AuditTrail.Entry> entries, CancellationToken ct) =>
        [.. (await ToldEntry.Tell(db, entries, AuditApi.Show, ct)).Select(e => e.Json)];
}
