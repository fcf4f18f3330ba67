using Nubabel.Domain;
using Nubabel.Domain.ProcessingRecords;
using Nubabel.Store;

namespace Nubabel.Projections.ProcessingRecords;

/// <summary>A record of processing activities as it is read.</summary>
/// <param name="Revision">How often it was written, from 1 on.</param>
public sealed record ProcessingRecordRow(
    Id<ProcessingRecord> Id, ProcessingDescription Description, ProcessingRecordStatus Status, int Revision, DateTimeOffset CreatedAt, DateTimeOffset ChangedAt, DateTimeOffset? ArchivedAt);

/// <summary>The records of an organization, or of the platform.</summary>
public sealed class ProcessingRecordList : IDocument<ProcessingRecordRow>
{
    public static string Name => "processing_records";
    public static int Version => 1;

    public static IReadOnlyList<string> Types { get; } = ["processing_record_created", "processing_record_revised", "processing_record_archived", "processing_record_restored"];

    public static Columns<ProcessingRecordRow> Columns { get; } = new Columns<ProcessingRecordRow>()
        .Add("archived", row => row.Status == ProcessingRecordStatus.Archived)
        .Add("folded_name", row => Text.Fold(row.Description.Name.Value))
        .Index("The records that count, or those that are archived, by name.", "archived", "folded_name bytewise", "key");

    public static ProcessingRecordRow? Evolve(ProcessingRecordRow? row, Recorded e) => (row, e.Data) switch
    {
        (null, ProcessingRecordCreated c) => new ProcessingRecordRow(new Id<ProcessingRecord>(e.StreamGuid), c.Description, ProcessingRecordStatus.Active, 1, e.At, e.At, null),
        (null, _) => null,
        (_, ProcessingRecordRevised r) => row with { Description = r.Description, Revision = row.Revision + 1, ChangedAt = e.At },
        (_, ProcessingRecordArchived) => row with { Status = ProcessingRecordStatus.Archived, ChangedAt = e.At, ArchivedAt = e.At },
        (_, ProcessingRecordRestored) => row with { Status = ProcessingRecordStatus.Active, ChangedAt = e.At, ArchivedAt = null },
        _ => row,
    };

    /// <summary>Records by name: those that count, or the archived ones.</summary>
    /// <param name="show">What a reader sees of one.</param>
    /// <param name="after">The place of the last row of the page before: name and key.</param>
    public static async Task<Page> Of(Reader db, bool archived, Func<ProcessingRecordRow, object> show, IReadOnlyList<string>? after, int limit, CancellationToken ct)
    {
        var rows = await db.Query($"""
            select doc, folded_name, key from read.processing_records_v1
             where tenant_id = {db.Tenant} and archived = {archived} {After(after)}
             order by folded_name collate "C", key limit {limit + 1}
            """, row => (Row: StoredJson.Read<ProcessingRecordRow>(row.GetFieldValue<byte[]>(0)), Name: row.GetString(1), Key: row.GetString(2)), ct);
        return await Page.Open(db, rows, limit, row => show(row.Row), row => [row.Name, row.Key], ct);
    }

    /// <summary>The records that are archived, whose contacts can still be read. One that was restored a moment ago is not among them, however far the list is.</summary>
    public static Sql Archived(Due due) => Sql.Of($"""
        select r.tenant_id, r.key as id, null::text as person, (r.doc ->> 'archivedAt')::timestamptz as at
          from read.processing_records_v1 r join nubabel.subject_keys k on k.tenant_id = r.tenant_id and k.subject = r.key and k.wrapped is not null
         where r.archived and {due.Is(new Name("r.tenant_id"), Sql.Of($"(r.doc ->> 'archivedAt')::timestamptz"))}
           and (select e.type from events.mt_events e where e.tenant_id = r.tenant_id and e.stream_id = r.key order by e.version desc limit 1) = 'processing_record_archived' {due.Part(new Name("r.key"))}
        """);

    private static Sql After(IReadOnlyList<string>? place) => place is [var name, var key] ? Sql.Of($"and (folded_name collate \"C\", key) > ({name}, {key})") : Sql.None;
}
