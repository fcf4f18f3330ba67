using System.Text.Json;
using Nubabel.Store;

namespace Nubabel.Projections;

/// <summary>A page of rows as JSON texts, straight from the table.</summary>
/// <param name="Rows">Each a whole JSON object.</param>
/// <param name="Next">What the next page starts after, in the terms of the query's order; null on the last page.</param>
public sealed record Page(IReadOnlyList<ReadOnlyMemory<byte>> Rows, IReadOnlyList<string>? Next)
{
    /// <summary>Cuts a page from rows of which one more than wanted was asked for: the extra one only says that there is more.</summary>
    public static Page Cut<T>(IReadOnlyList<T> rows, int limit, Func<T, ReadOnlyMemory<byte>> json, Func<T, IReadOnlyList<string>> place) =>
        new([.. rows.Take(limit).Select(json)], rows.Count > limit ? place(rows[limit - 1]) : null);

    /// <summary>The same from rows that are made into another shape on the way and hold personal values.</summary>
    public static async Task<Page> Open<T>(Reader db, IReadOnlyList<T> rows, int limit, Func<T, object> show, Func<T, IReadOnlyList<string>> place, CancellationToken ct)
    {
        var page = Cut(rows, limit, row => JsonSerializer.SerializeToUtf8Bytes(show(row), StoredJson.Options), place);
        return page with { Rows = await db.Open(page.Rows, ct) };
    }
}
