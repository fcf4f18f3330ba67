using System.Text.Json;
using Nubabel.Domain;
using Nubabel.Domain.Consents;
using Nubabel.Store;

namespace Nubabel.Projections.Consents;

/// <summary>A purpose as an organization's admins see it. The members stand in the order in which <c>jsonb</c> keeps them.</summary>
/// <param name="TextVersion">Of the text, which everybody is asked about again when it changes.</param>
/// <param name="TextHash">SHA-256 of the title, an empty line and the text.</param>
/// <param name="Required">The product cannot do without: it asks before it goes on.</param>
public sealed record PurposeRow(
    PurposeKey Key, Prose Text, Phrase Title, PurposeStatus Status, bool Required, string TextHash, DateTimeOffset? RetiredAt, DateTimeOffset DeclaredAt, LawfulBasis LawfulBasis,
    DateTimeOffset? RewrittenAt, int TextVersion);

/// <summary>One event of a purpose, as its history shows it.</summary>
public sealed record PurposeChange(long Version, DateTimeOffset At, string? Actor, string Action, JsonElement? Change, string? RequestId);

/// <summary>A purpose as far as decisions on it are looked at.</summary>
public sealed record PurposeGlance(string Key, int TextVersion);

/// <summary>What an organization uses personal data for, retired purposes included.</summary>
public sealed class PurposeList : IDocument<PurposeRow>
{
    public static string Name => "purposes";
    public static int Version => 1;
    public static IReadOnlyList<string> Types { get; } = ["purpose_declared", "purpose_rewritten", "purpose_requirement_set", "purpose_retired"];

    public static Columns<PurposeRow> Columns { get; } = new Columns<PurposeRow>()
        .Add("retired", row => row.Status == PurposeStatus.Retired)
        .Add("text_version", row => row.TextVersion)
        .Index("The purposes that count, or those that are retired, by key.", "retired", "key");

    public static PurposeRow? Evolve(PurposeRow? row, Recorded e) => (row, e.Data) switch
    {
        (null, PurposeDeclared d) => new PurposeRow(d.Key, d.Text, d.Title, PurposeStatus.Active, d.Required, HashOf(1, d.Title, d.Text, d.LawfulBasis), null, e.At, d.LawfulBasis, null, 1),
        (null, _) => null,
        (_, PurposeRewritten r) => row with
        {
            Title = r.Title,
            Text = r.Text,
            LawfulBasis = r.LawfulBasis,
            TextVersion = r.TextVersion,
            TextHash = HashOf(r.TextVersion, r.Title, r.Text, r.LawfulBasis),
            RewrittenAt = e.At,
        },
        (_, PurposeRequirementSet r) => row with { Required = r.Required },
        (_, PurposeRetired) => row with { Status = PurposeStatus.Retired, RetiredAt = e.At },
        _ => row,
    };

    /// <summary>Purposes by key: those that count, or the retired ones.</summary>
    /// <param name="after">The place of the last row of the page before: its key.</param>
    public static async Task<Page> Of(Reader db, bool retired, IReadOnlyList<string>? after, int limit, CancellationToken ct)
    {
        var rows = await db.Query($"""
            select doc, key from read.purposes_v1
             where tenant_id = {db.Tenant} and retired = {retired} {After(after)}
             order by key limit {limit + 1}
            """, row => (Doc: row.GetFieldValue<byte[]>(0), Key: row.GetString(1)), ct);
        return Page.Cut(rows, limit, row => row.Doc, row => [row.Key]);
    }

    /// <summary>What one person is shown: every purpose that counts, and the retired ones that the person has decided on.</summary>
    /// <param name="decided">The keys of these.</param>
    /// <param name="show">What a purpose looks like to the person.</param>
    public static async Task<Page> For(Reader db, IEnumerable<string> decided, Func<PurposeRow, object> show, IReadOnlyList<string>? after, int limit, CancellationToken ct)
    {
        string[] streams = [.. decided.Select(key => Streams.Named<Purpose>(key).Value)];
        var rows = await db.Query($"""
            select doc, key from read.purposes_v1
             where tenant_id = {db.Tenant} and (not retired or key = any({streams})) {After(after)}
             order by key limit {limit + 1}
            """, row => (Doc: row.GetFieldValue<byte[]>(0), Key: row.GetString(1)), ct);
        return Page.Cut(rows, limit, row => JsonSerializer.SerializeToUtf8Bytes(show(StoredJson.Read<PurposeRow>(row.Doc)), StoredJson.Options), row => [row.Key]);
    }

    /// <summary>All purposes with the versions of their texts, retired ones included.</summary>
    public static Task<IReadOnlyList<PurposeGlance>> All(Reader db, CancellationToken ct) => db.Query(
        $"select key, text_version from read.purposes_v1 where tenant_id = {db.Tenant} order by key",
        row => new PurposeGlance(row.GetString(0)[(Purpose.Kind.Length + 1)..], row.GetInt32(1)), ct);

    private static string HashOf(int version, Phrase title, Prose text, LawfulBasis basis) => new PurposeText(version, title, text, basis).Hash;

    private static Sql After(IReadOnlyList<string>? place) => place is [var key] ? Sql.Of($"and key > {key}") : Sql.None;
}
