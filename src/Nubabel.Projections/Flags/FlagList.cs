using System.Text.Json;
using Nubabel.Domain;
using Nubabel.Domain.Flags;
using Nubabel.Store;

namespace Nubabel.Projections.Flags;

/// <summary>A flag as operators see it. The members stand in the order in which <c>jsonb</c> keeps them.</summary>
public sealed record FlagRow(
    FlagKey Key, IReadOnlyList<FlagRule> Rules, FlagStatus Status, bool Enabled, DateTimeOffset ChangedAt, DateTimeOffset CreatedAt,
    IReadOnlyList<FlagOverride> Overrides, DateTimeOffset? ArchivedAt, FlagDescription? Description)
{
    internal Flag State => new(Status, Key, Enabled, Description, Rules, Overrides);
}

/// <summary>One event of a flag, as its history shows it.</summary>
/// <param name="Change">What the event says.</param>
public sealed record FlagChange(long Version, DateTimeOffset At, string? Actor, string Action, JsonElement? Change, string? RequestId);

/// <summary>All flags, archived ones included.</summary>
public sealed class FlagList : IDocument<FlagRow>
{
    public static string Name => "flags";
    public static int Version => 1;

    public static IReadOnlyList<string> Types { get; } =
    [
        "flag_created", "flag_described", "flag_enabled", "flag_disabled", "flag_rule_added", "flag_rules_replaced", "flag_rule_removed", "flag_override_set",
        "flag_override_removed", "flag_archived",
    ];

    public static Columns<FlagRow> Columns { get; } = new Columns<FlagRow>()
        .Add("archived", row => row.Status == FlagStatus.Archived)
        .Index("The flags that are used, or those that are archived, by key.", "archived", "key");

    /// <summary>The aggregate's own fold, so that what operators see and what decisions are made on cannot differ.</summary>
    public static FlagRow? Evolve(FlagRow? row, Recorded e) => e.Data switch
    {
        FlagCreated when row is not null => row,
        Event<Flag> known when row is not null || known is FlagCreated => Row(Flag.Evolve(row?.State ?? Flag.Initial, known), row?.CreatedAt ?? e.At, e.At),
        _ => row,
    };

    /// <summary>Flags by key: those in use, or the archived ones.</summary>
    /// <param name="after">The place of the last row of the page before: its key.</param>
    public static async Task<Page> Of(Reader db, bool archived, IReadOnlyList<string>? after, int limit, CancellationToken ct)
    {
        var rows = await db.Query($"""
            select doc, key from read.flags_v1
             where tenant_id = {db.Tenant} and archived = {archived} {After(after)}
             order by key limit {limit + 1}
            """, row => (Doc: row.GetFieldValue<byte[]>(0), Key: row.GetString(1)), ct);
        return Page.Cut(rows, limit, row => row.Doc, row => [row.Key]);
    }

    /// <summary>
    /// For the evaluation that every node keeps in memory: all flags with the versions of their streams, as far as this list has read, and the position from
    /// which on to follow the log.
    /// </summary>
    public static async Task<(IReadOnlyList<(string Stream, long Version, FlagRow Row)> Flags, long Position)> All(PlatformReader db, CancellationToken ct)
    {
        // The position is read first: what the list gains meanwhile is then seen twice, not missed.
        var position = (await db.Query<long>([$"select nubabel.checkpoint('flags:All')"], row => row.GetInt64(0), ct))[0][0];
        var flags = await db.Query(
            [$"select key, version, doc from read.flags_v1 where tenant_id = {Projection.PlatformTenant}"],
            row => (row.GetString(0), row.GetInt64(1), StoredJson.Read<FlagRow>(row.GetFieldValue<byte[]>(2))), ct);
        return (flags[0], position);
    }

    private static FlagRow Row(Flag flag, DateTimeOffset created, DateTimeOffset changed) => new(
        flag.Key ?? throw new InvalidOperationException("A flag without a key."), flag.Rules, flag.Status, flag.Enabled, changed, created, flag.Overrides,
        flag.Status == FlagStatus.Archived ? changed : null, flag.Description);

    private static Sql After(IReadOnlyList<string>? place) => place is [var key] ? Sql.Of($"and key > {key}") : Sql.None;
}
