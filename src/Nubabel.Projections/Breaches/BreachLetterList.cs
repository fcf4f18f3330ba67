using System.Text.Json;
using Nubabel.Domain;
using Nubabel.Domain.Breaches;
using Nubabel.Domain.Users;
using Nubabel.Store;

namespace Nubabel.Projections.Breaches;

/// <summary>A letter to somebody whom a breach affects. It names the person by id only.</summary>
/// <param name="Fault">Why the person could not be reached.</param>
public sealed record BreachLetterRow(
    Id<BreachLetter> Id, Id<Breach> BreachId, string OrganizationId, Id<User> UserId, BreachAudience Audience, int Number, BreachLetterState State, LetterFault? Fault, DateTimeOffset OrderedAt,
    DateTimeOffset? EndedAt);

/// <summary>How the letters of one wording stand.</summary>
/// <param name="Waiting">On their way.</param>
/// <param name="Erased">People who are passed over: nothing leads to them any more.</param>
/// <param name="Unreachable">People without an address at which anything arrives.</param>
public sealed record BreachLetterCounts(BreachAudience Audience, int Number, long Waiting, long Sent, long Erased, long Unreachable);

/// <summary>The letters of all breaches to people of all organizations. Its rows are the platform's, so that no organization sees another in it.</summary>
public sealed class BreachLetterList : IDocument<BreachLetterRow>
{
    public static string Name => "breach_letters";
    public static int Version => 1;
    public static IReadOnlyList<string> Types { get; } = ["breach_letter_ordered", "breach_letter_sent", "breach_letter_failed"];

    public static Columns<BreachLetterRow> Columns { get; } = new Columns<BreachLetterRow>()
        .Add("breach", row => row.BreachId.Value)
        .Add("audience", row => Word(row.Audience))
        .Add("number", row => row.Number)
        .Add("state", row => Word(row.State))
        .Add("fault", row => row.Fault is { } fault ? Word(fault) : null)
        .Index("The letters of a breach.", "breach", "key")
        .Index("Those in a state, the failed ones above all.", "breach", "state", "key");

    public static BreachLetterRow? Evolve(BreachLetterRow? row, Recorded e) => (row, e.Data) switch
    {
        (null, BreachLetterOrdered o) => new BreachLetterRow(new Id<BreachLetter>(e.StreamGuid), o.Breach, e.Tenant, o.User, o.Audience, o.Number, BreachLetterState.Ordered, null, e.At, null),
        (null, _) => null,
        (_, BreachLetterSent) => row with { State = BreachLetterState.Sent, Fault = null, EndedAt = e.At },
        (_, BreachLetterFailed f) => row with { State = BreachLetterState.Failed, Fault = f.Fault, EndedAt = e.At },
        _ => row,
    };

    /// <summary>What an operator looks for; null means any.</summary>
    public sealed record Filter(BreachAudience? Audience = null, BreachLetterState? State = null);

    /// <summary>The letters of a breach.</summary>
    /// <param name="after">The place of the last row of the page before: its key.</param>
    public static async Task<Page> Of(Reader db, Id<Breach> breach, Filter filter, IReadOnlyList<string>? after, int limit, CancellationToken ct)
    {
        var toAudience = filter.Audience is { } audience ? Sql.Of($"and audience = {Word(audience)}") : Sql.None;
        var inState = filter.State is { } state ? Sql.Of($"and state = {Word(state)}") : Sql.None;
        var behind = after is [var key] ? Sql.Of($"and key > {key}") : Sql.None;
        var rows = await db.Query($"""
            select doc, key from read.breach_letters_v1
             where tenant_id = {db.Tenant} and breach = {breach.Value} {toAudience} {inState} {behind}
             order by key limit {limit + 1}
            """, row => (Doc: row.GetFieldValue<byte[]>(0), Key: row.GetString(1)), ct);
        // As the other answers write it, whatever the order of jsonb.
        return Page.Cut(rows, limit, row => JsonSerializer.SerializeToUtf8Bytes(StoredJson.Read<BreachLetterRow>(row.Doc), StoredJson.Options), row => [row.Key]);
    }

    /// <summary>How the letters of a breach stand, wording by wording.</summary>
    public static Task<IReadOnlyList<BreachLetterCounts>> Count(Reader db, Id<Breach> breach, CancellationToken ct) => db.Query($"""
        select audience, number, count(*) filter (where state = 'ordered'), count(*) filter (where state = 'sent'), count(*) filter (where fault = 'erased'),
               count(*) filter (where state = 'failed' and fault <> 'erased')
          from read.breach_letters_v1 where tenant_id = {db.Tenant} and breach = {breach.Value} group by audience, number order by audience desc, number
        """, row => new BreachLetterCounts(
            row.GetString(0) == Word(BreachAudience.People) ? BreachAudience.People : BreachAudience.Tenants, row.GetInt32(1), row.GetInt64(2), row.GetInt64(3), row.GetInt64(4), row.GetInt64(5)), ct);

    private static string Word<T>(T value) where T : struct, Enum => JsonNamingPolicy.CamelCase.ConvertName(value.ToString());
}
