using System.Globalization;
using System.Text.Json;
using Nubabel.Domain;
using Nubabel.Domain.Consents;
using Nubabel.Domain.Users;
using Nubabel.Projections.Members;
using Nubabel.Store;

namespace Nubabel.Projections.Consents;

/// <summary>What one person has last decided on one purpose. The members stand in the order in which <c>jsonb</c> keeps them.</summary>
/// <param name="State"><c>given</c> or <c>withdrawn</c>; whether what was given is outdated stands in no event of the person's and is found out when it is shown.</param>
/// <param name="TextVersion">The text that was agreed to last; null where none was.</param>
public sealed record ConsentRow(
    ConsentState State, Id<User> UserId, ConsentChannel? Channel, DateTimeOffset? GivenAt, PurposeKey Purpose, string? TextHash, DateTimeOffset ChangedAt, int? TextVersion, DateTimeOffset? WithdrawnAt);

/// <summary>How many people stand how to a purpose, members of the organization only.</summary>
/// <param name="Undecided">The members who have not decided.</param>
public sealed record ConsentCounts(PurposeKey Purpose, int TextVersion, long Given, long Outdated, long Withdrawn, long Undecided);

/// <summary>Who has decided what, person by person and purpose by purpose.</summary>
public sealed class ConsentList : IDocument<ConsentRow>
{
    public static string Name => "consents";
    public static int Version => 1;
    public static IReadOnlyList<string> Types { get; } = ["consent_given", "consent_withdrawn"];

    public static Columns<ConsentRow> Columns { get; } = new Columns<ConsentRow>()
        .Add("user_id", row => row.UserId.Value)
        .Add("purpose", row => row.Purpose.Value)
        .Add("given", row => row.State == ConsentState.Given)
        .Add("text_version", row => row.TextVersion)
        .Add("changed_at", row => row.ChangedAt)
        .Index("What was decided last, newest first.", "changed_at desc", "key desc")
        .Index("Who has decided on a purpose.", "purpose", "changed_at desc", "key desc")
        .Index("What a person has decided.", "user_id", "changed_at desc", "key desc");

    /// <summary>A person's stream holds all purposes; each of them is a row.</summary>
    public static string? Key(Recorded e) => PurposeOf(e) is { } purpose ? $"{e.Stream}/{purpose}" : null;

    /// <summary>The purpose that an event of a person's stream decides on.</summary>
    internal static PurposeKey? PurposeOf(Recorded e) => e.Data switch
    {
        ConsentGiven g => g.Purpose,
        ConsentWithdrawn w => w.Purpose,
        _ => null,
    };

    public static ConsentRow? Evolve(ConsentRow? row, Recorded e) => e.Data switch
    {
        ConsentGiven g => new ConsentRow(ConsentState.Given, new Id<User>(e.StreamGuid), g.Channel, e.At, g.Purpose, g.TextHash, e.At, g.TextVersion, null),
        ConsentWithdrawn w when row is not null => row with { State = ConsentState.Withdrawn, Channel = w.Channel, ChangedAt = e.At, WithdrawnAt = e.At },
        ConsentWithdrawn w => new ConsentRow(ConsentState.Withdrawn, new Id<User>(e.StreamGuid), w.Channel, null, w.Purpose, null, e.At, null, e.At),
        _ => row,
    };

    /// <summary>What an admin looks for; null means any.</summary>
    /// <param name="Former">Those who are no members any more, and not those who are.</param>
    public sealed record Filter(PurposeKey? Purpose = null, ConsentState? State = null, Id<User>? User = null, bool Former = false);

    /// <summary>Decisions, newest first.</summary>
    /// <param name="purposes">All purposes: which of the decisions are outdated depends on their texts.</param>
    /// <param name="after">The place of the last row of the page before: time and key.</param>
    public static async Task<Page> Of(Reader db, Filter filter, IReadOnlyList<PurposeGlance> purposes, IReadOnlyList<string>? after, int limit, CancellationToken ct)
    {
        var ofPurpose = filter.Purpose is { } purpose ? Sql.Of($"and c.purpose = {purpose.Value}") : Sql.None;
        var ofUser = filter.User is { } user ? Sql.Of($"and c.user_id = {user.Value}") : Sql.None;
        var isMember = MemberList.Has(db, Sql.Of($"'user-' || c.user_id"));
        var rows = await db.Query($"""
            select c.doc, c.changed_at, c.key, c.given and c.text_version < t.version
              from read.consents_v1 c {Texts(purposes)}
             where c.tenant_id = {db.Tenant} {ofPurpose} {ofUser} {InState(filter.State)} and {isMember} <> {filter.Former} {After(after)}
             order by c.changed_at desc, c.key desc limit {limit + 1}
            """, row => (Row: StoredJson.Read<ConsentRow>(row.GetFieldValue<byte[]>(0)), At: row.GetDateTime(1), Key: row.GetString(2), IsOutdated: row.GetBoolean(3)), ct);
        return Page.Cut(
            rows, limit, row => JsonSerializer.SerializeToUtf8Bytes(row.IsOutdated ? row.Row with { State = ConsentState.Outdated } : row.Row, StoredJson.Options),
            row => [row.At.ToString("O", CultureInfo.InvariantCulture), row.Key]);
    }

    /// <summary>How the members stand to a purpose.</summary>
    public static async Task<ConsentCounts> Count(Reader db, PurposeKey purpose, int textVersion, CancellationToken ct)
    {
        var members = await MemberList.Count(db, ct);
        var counts = await db.Query($"""
            select count(*) filter (where c.given and c.text_version >= {textVersion}), count(*) filter (where c.given and c.text_version < {textVersion}), count(*) filter (where not c.given)
              from read.consents_v1 c
             where c.tenant_id = {db.Tenant} and c.purpose = {purpose.Value} and {MemberList.Has(db, Sql.Of($"'user-' || c.user_id"))}
            """, row => (Given: row.GetInt64(0), Outdated: row.GetInt64(1), Withdrawn: row.GetInt64(2)), ct);
        var (given, outdated, withdrawn) = counts[0];
        return new ConsentCounts(purpose, textVersion, given, outdated, withdrawn, Math.Max(0, members - given - outdated - withdrawn));
    }

    private static Sql Texts(IReadOnlyList<PurposeGlance> purposes) =>
        Sql.Of($"join unnest({purposes.Select(p => p.Key).ToArray()}, {purposes.Select(p => p.TextVersion).ToArray()}) t (purpose, version) on t.purpose = c.purpose");

    private static Sql InState(ConsentState? state) => state switch
    {
        ConsentState.Given => Sql.Of($"and c.given and c.text_version >= t.version"),
        ConsentState.Outdated => Sql.Of($"and c.given and c.text_version < t.version"),
        ConsentState.Withdrawn => Sql.Of($"and not c.given"),
        _ => Sql.None,
    };

    private static Sql After(IReadOnlyList<string>? place) => place is [var at, var key]
        ? Sql.Of($"and (c.changed_at, c.key) < ({DateTime.Parse(at, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind)}, {key})")
        : Sql.None;
}
