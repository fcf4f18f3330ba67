using System.Text.Json;
using Nubabel.Api.Flags;
using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Domain.DataExports;
using Nubabel.Domain.Users;
using Nubabel.Projections;
using Nubabel.Projections.Audit;
using Nubabel.Projections.DataExports;
using Nubabel.Store;

namespace Nubabel.Api.DataExports;

/// <summary>What stands above the data.</summary>
/// <param name="UserId">Whose data it is; null for a whole organization.</param>
/// <param name="Position">Everything is as the log was at this position.</param>
public sealed record ExportHead(ExportScope Scope, string OrganizationId, string? UserId, DateTimeOffset MadeAt, string Position)
{
    public const string Format = "nubabel-data-export";
    public const int Version = 1;
}

/// <summary>One export's data: where it stops is settled when it is opened, so that it can be read as often as it has forms.</summary>
public sealed class ExportContent
{
    /// <summary>How long it is waited until the audit trail has all that is written now.</summary>
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(2);

    private ExportContent(ExportHead head, long upTo, IReadOnlyList<HeldSection> sections) => (Head, UpTo, Sections) = (head, upTo, sections);

    public ExportHead Head { get; }
    public long UpTo { get; }
    public IReadOnlyList<HeldSection> Sections { get; }

    /// <param name="journal">Of the tenant.</param>
    /// <param name="person">Null for the whole organization.</param>
    public static async Task<ExportContent> Open(Node node, Store.Positions positions, Evaluation evaluation, Journal journal, Id<User>? person, CancellationToken ct)
    {
        var upTo = await Settled(node, positions, ct);
        var head = new ExportHead(person is null ? ExportScope.Organization : ExportScope.User, journal.Tenant, person?.ToString(), journal.Now(), Host.Positions.Format(node.Database.Shard, upTo));
        var sections = new HeldData(journal, node.Reader(journal.Tenant), person, upTo).Sections().ToList();
        // Before the trail, which is the longest.
        sections.Insert(sections.Count - 1, new HeldSection("flags", "Feature flags", ["key", "enabled", "reason"], ct => Flags(evaluation, Guid.Parse(journal.Tenant))));
        return new ExportContent(head, upTo, sections);
    }

    /// <summary>Up to where an export goes that begins now: waits until the trail has what is written, and where that takes too long, up to where the trail is.</summary>
    internal static async Task<long> Settled(Node node, Store.Positions positions, CancellationToken ct)
    {
        await using var command = node.Database.Api.CreateCommand("select last_value from events.mt_events_sequence");
        var written = (long)(await command.ExecuteScalarAsync(ct))!;
        // As far as it is, where it does not get there in time: the document says up to where.
        var (reached, have) = await positions.Reached(AuditTrail.Name, written, LongestWait, ct);
        return reached ? written : have;
    }

    /// <summary>Writes all of it as one JSON document, a few rows in memory at a time.</summary>
    /// <param name="wrote">Told of each row.</param>
    public async Task WriteJson(Stream stream, Action wrote, CancellationToken ct)
    {
        await using var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping, Indented = false });
        json.WriteStartObject();
        json.WriteString("format", ExportHead.Format);
        json.WriteNumber("version", ExportHead.Version);
        json.WriteString("scope", Head.Scope == ExportScope.User ? "user" : "organization");
        json.WriteString("organizationId", Head.OrganizationId);
        if (Head.UserId is { } user) json.WriteString("userId", user);
        json.WriteString("madeAt", Head.MadeAt.UtcDateTime);
        json.WriteString("position", Head.Position);
        foreach (var section in Sections)
        {
            json.WritePropertyName(section.Name);
            var any = false;
            if (!section.IsOne) json.WriteStartArray();
            await foreach (var row in section.Rows(ct))
            {
                json.WriteRawValue(row.Span, skipInputValidation: true);
                any = true;
                wrote();
                if (json.BytesPending > 32_768) await json.FlushAsync(ct);
            }
            if (!section.IsOne) json.WriteEndArray();
            else if (!any) json.WriteNullValue();
        }
        json.WriteEndObject();
        await json.FlushAsync(ct);
    }

    private static async IAsyncEnumerable<ReadOnlyMemory<byte>> Flags(Evaluation evaluation, Guid organization)
    {
        await Task.CompletedTask;
        foreach (var key in evaluation.Keys.Order(StringComparer.Ordinal))
        {
            var value = evaluation.Peek(key, organization);
            yield return JsonSerializer.SerializeToUtf8Bytes(new ExportedFlag(key, value.Enabled, value.Reason), Json.Options);
        }
    }
}
