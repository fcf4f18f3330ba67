using System.Runtime.CompilerServices;

namespace Nubabel.Store;

/// <summary>The part of the unit of work that reads streams of any length.</summary>
public sealed partial class Journal
{
    private const int WalkedAtOnce = 200;

    /// <summary>
    /// A stream's events in order, some at a time: memory is bounded however long the stream is. One whose data cannot be read comes without it.
    /// </summary>
    public async IAsyncEnumerable<Recorded> Walk(string stream, Until until, [EnumeratorCancellation] CancellationToken ct)
    {
        for (var from = 1L; ;)
        {
            var page = await Again.Ask(() => ReadStream.Page(database.Api, types, tenant, stream, from, WalkedAtOnce, ct));
            foreach (var e in page)
            {
                if (!until.Reaches(e)) yield break;
                yield return e;
            }
            if (page.Count < WalkedAtOnce) yield break;
            from = page[^1].Version + 1;
        }
    }
}
