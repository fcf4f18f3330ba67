using System.Globalization;
using Nubabel.Domain;
using Nubabel.Domain.Flags;
using Nubabel.Domain.Organizations;
using Nubabel.Store;

namespace Nubabel.Projections.Flags;

/// <summary>How often a flag was evaluated, over all nodes and by value.</summary>
/// <param name="From">The first day, UTC.</param>
/// <param name="To">The last day, included.</param>
/// <param name="LastEvaluatedAt">Also before the first day; null where the flag was not evaluated in <see cref="FlagCounts.DaysKept"/> days.</param>
/// <param name="Days">Those with evaluations, in order.</param>
/// <param name="Organizations">Those that asked most, most first.</param>
/// <param name="IsComplete">Whether every organization that asked is among them.</param>
public sealed record FlagEvaluations(
    FlagKey Key, DateOnly From, DateOnly To, long Enabled, long Disabled, DateTimeOffset? LastEvaluatedAt, IReadOnlyList<DayCount> Days, IReadOnlyList<OrganizationCount> Organizations,
    bool IsComplete);

/// <summary>How often on one day.</summary>
public sealed record DayCount(DateOnly Day, long Enabled, long Disabled);

/// <summary>How often one organization got which value.</summary>
public sealed record OrganizationCount(Id<Organization> OrganizationId, long Enabled, long Disabled, DateTimeOffset LastEvaluatedAt);

/// <summary>What a node adds to the counts of one flag.</summary>
/// <param name="Tenant">The organization; the platform for those that found no room.</param>
public sealed record Evaluated(string Flag, string Tenant, long Enabled, long Disabled);

/// <summary>
/// The counts of evaluations in the database. They are kept beside the log: nothing is decided on them, and an event for each evaluation would be a log of
/// little else. So they cannot be rebuilt.
/// </summary>
public static class FlagCounts
{
    /// <summary>How long a day is remembered.</summary>
    public const int DaysKept = 400;

    /// <summary>Organizations that are shown of a flag.</summary>
    public const int MostShown = 100;

    private const int RowsAtOnce = 1_000, DeletedAtOnce = 5_000;

    /// <summary>Adds what a node has counted since it last did, all of it or nothing. Each flag and tenant stands among the rows once.</summary>
    public static async Task Add(PlatformWriter db, IReadOnlyList<Evaluated> rows, DateTimeOffset at, CancellationToken ct)
    {
        if (rows.Count == 0) return;
        var day = DateOnly.FromDateTime(at.UtcDateTime);
        // One order for all nodes, so that two of them never wait for each other.
        var ordered = rows.OrderBy(r => r.Flag, StringComparer.Ordinal).ThenBy(r => r.Tenant, StringComparer.Ordinal).Chunk(RowsAtOnce);
        await db.Run([.. ordered.Select(r => Sql.Of($"""
            insert into nubabel.flag_counts as c (flag, tenant_id, day, enabled, disabled, last)
            select u.flag, u.tenant, {day}, u.enabled, u.disabled, {at.UtcDateTime}
              from unnest({r.Select(e => e.Flag).ToArray()}, {r.Select(e => e.Tenant).ToArray()}, {r.Select(e => e.Enabled).ToArray()}, {r.Select(e => e.Disabled).ToArray()}) u (flag, tenant, enabled, disabled)
            on conflict (flag, day, tenant_id) do update
               set enabled = c.enabled + excluded.enabled, disabled = c.disabled + excluded.disabled, last = greatest(c.last, excluded.last)
            """))], ct);
    }

    /// <summary>Deletes the days that are no longer remembered.</summary>
    public static async Task Forget(PlatformWriter db, DateTimeOffset now, CancellationToken ct)
    {
        var first = DateOnly.FromDateTime(now.UtcDateTime).AddDays(-DaysKept);
        while (await db.Run([$"delete from nubabel.flag_counts where ctid = any (array(select ctid from nubabel.flag_counts where day < {first} limit {DeletedAtOnce}))"], ct) > 0) { }
    }

    /// <summary>What all nodes together have counted of a flag.</summary>
    /// <param name="only">One organization's evaluations; null for everybody's.</param>
    public static async Task<FlagEvaluations> Of(PlatformReader db, FlagKey key, Id<Organization>? only, DateOnly from, DateOnly to, CancellationToken ct)
    {
        var whose = only is { } one ? Sql.Of($"and tenant_id = {one.ToString()}") : Sql.None;
        var found = await db.Query(
            [
                $"""
                select to_char(day, 'YYYY-MM-DD'), sum(enabled)::bigint, sum(disabled)::bigint, max(last) from nubabel.flag_counts
                 where flag = {key.Value} and day between {from} and {to} {whose} group by day order by day
                """,
                // One more than is shown, and the platform's row beside them.
                $"""
                select tenant_id, sum(enabled)::bigint, sum(disabled)::bigint, max(last) from nubabel.flag_counts
                 where flag = {key.Value} and day between {from} and {to} {whose} group by tenant_id order by sum(enabled + disabled) desc, tenant_id limit {MostShown + 2}
                """,
                $"""
                select tenant_id, enabled, disabled, last from nubabel.flag_counts
                 where flag = {key.Value} and day = (select max(day) from nubabel.flag_counts where flag = {key.Value} {whose}) {whose} order by last desc limit 1
                """,
                $"""
                select tenant_id, enabled, disabled, last from nubabel.flag_counts
                 where flag = {key.Value} and tenant_id = {Projection.PlatformTenant} and day between {from} and {to} {whose} limit 1
                """,
            ],
            row => (Name: row.GetString(0), Enabled: row.GetInt64(1), Disabled: row.GetInt64(2), Last: new DateTimeOffset(row.GetDateTime(3), TimeSpan.Zero)), ct);
        var organizations = found[1].Where(o => o.Name != Projection.PlatformTenant).ToArray();
        return new FlagEvaluations(
            key, from, to, found[0].Sum(d => d.Enabled), found[0].Sum(d => d.Disabled), found[2].Count == 0 ? null : found[2][0].Last,
            [.. found[0].Select(d => new DayCount(DateOnly.ParseExact(d.Name, "yyyy-MM-dd", CultureInfo.InvariantCulture), d.Enabled, d.Disabled))],
            [.. organizations.Take(MostShown).Select(o => new OrganizationCount(Id<Organization>.Parse(o.Name), o.Enabled, o.Disabled, o.Last))],
            organizations.Length <= MostShown && found[3].Count == 0);
    }
}
