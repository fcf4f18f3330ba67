using System.Globalization;
using Nubabel.Domain;
using Nubabel.Domain.DataExports;
using Nubabel.Domain.Users;
using Nubabel.Store;

namespace Nubabel.Projections.DataExports;

/// <summary>A bundle as its owner sees it. The members stand in the order in which <c>jsonb</c> keeps them.</summary>
/// <param name="Bytes">The size of the file.</param>
public sealed record DataExportRow(
    Id<DataExport> Id, long Bytes, Id<User> Owner, ExportScope Scope, DateTimeOffset MadeAt, string Sha256, long Downloads, DateTimeOffset ExpiresAt);

/// <summary>The bundles whose files were made and not deleted; a list shows those that have not expired.</summary>
public sealed class DataExportList : IDocument<DataExportRow>
{
    public static string Name => "data_exports";
    public static int Version => 1;
    public static IReadOnlyList<string> Types { get; } = ["data_export_made", "data_export_downloaded", "data_export_deleted"];

    public static Columns<DataExportRow> Columns { get; } = new Columns<DataExportRow>()
        .Add("owner", row => row.Owner.Value)
        .Add("scope", row => Word(row.Scope))
        .Add("expires_at", row => row.ExpiresAt)
        .Index("An owner's bundles of a scope, the one that lasts longest first, which is the newest.", "owner", "scope", "expires_at desc", "key desc");

    public static DataExportRow? Evolve(DataExportRow? row, Recorded e) => (row, e.Data) switch
    {
        (null, DataExportMade m) => new DataExportRow(new Id<DataExport>(e.StreamGuid), m.Bytes, m.Owner, m.Scope, e.At, m.Sha256, 0, m.ExpiresAt),
        (null, _) => null,
        (_, DataExportDownloaded) => row with { Downloads = row.Downloads + 1 },
        (_, DataExportDeleted) => null,
        _ => row,
    };

    /// <summary>The owner's bundles that can still be had, newest first: all last for the same time.</summary>
    public static async Task<Page> Of(Reader db, Id<User> owner, ExportScope scope, DateTimeOffset now, IReadOnlyList<string>? after, int limit, CancellationToken ct)
    {
        var rows = await db.Query($"""
            select doc, expires_at, key from read.data_exports_v1 e
             where tenant_id = {db.Tenant} and owner = {owner.Value} and scope = {Word(scope)} and expires_at > {now.UtcDateTime} {After(after)}
               and exists (select from nubabel.sealed_files f where f.tenant_id = e.tenant_id and f.file = substr(e.key, {Kind.Length + 1})::uuid)
             order by expires_at desc, key desc limit {limit + 1}
            """, row => (Doc: row.GetFieldValue<byte[]>(0), At: row.GetDateTime(1), Key: row.GetString(2)), ct);
        return Page.Cut(rows, limit, row => row.Doc, row => [row.At.ToString("O", CultureInfo.InvariantCulture), row.Key]);
    }

    // What an erasure has taken is no more to be had: the event that made it stays, its file does not.
    private const string Kind = "data-export-";

    private static string Word(ExportScope scope) => scope.ToString().ToLowerInvariant();

    private static Sql After(IReadOnlyList<string>? place) => place is [var at, var key]
        ? Sql.Of($"and (expires_at, key) < ({DateTime.Parse(at, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind)}, {key})")
        : Sql.None;
}
