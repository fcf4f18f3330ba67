using Nubabel.Domain;
using Nubabel.Domain.Organizations;
using Nubabel.Store;

namespace Nubabel.Projections.Organizations;

/// <summary>An organization as operators see it. The members stand in the order in which <c>jsonb</c> keeps them.</summary>
/// <param name="Limits">Where its bounds differ from the platform's; null where none does.</param>
/// <param name="ClosesAt">When it is or was to be closed for good; null where nobody wants that.</param>
/// <param name="ClosesByOperator">Whether the platform wants that, and not an owner.</param>
public sealed record OrganizationRow(
    Id<Organization> Id, OrganizationName Name, Plan? Plan, Slug Slug, OrganizationLimits? Limits, OrganizationStatus Status, DateTimeOffset? ClosedAt, DateTimeOffset? ClosesAt,
    DateTimeOffset FoundedAt, DateTimeOffset? SuspendedAt, Reason? ClosureReason, bool? ClosesByOperator, Reason? SuspensionReason)
{
    /// <summary>As of a time: one whose closing time has come is closed, recorded or not.</summary>
    public OrganizationRow At(DateTimeOffset now) => Status != OrganizationStatus.Closed && ClosesAt <= now ? this with { Status = OrganizationStatus.Closed, ClosedAt = ClosesAt } : this;
}

/// <summary>All organizations. Its rows are the platform's, so that no organization sees another in it.</summary>
public sealed class OrganizationList : IDocument<OrganizationRow>
{
    /// <summary>Behind every text that begins with the same: no name holds it, since it is no character.</summary>
    private const string Last = "\U0010FFFF";

    public static string Name => "organizations";
    public static int Version => 1;

    public static IReadOnlyList<string> Types { get; } =
    [
        "organization_founded", "organization_renamed", "organization_suspended", "organization_reactivated", "organization_closure_scheduled", "organization_closure_cancelled",
        "organization_closed", "organization_plan_changed", "organization_limits_set",
    ];

    public static Columns<OrganizationRow> Columns { get; } = new Columns<OrganizationRow>()
        .Add("slug", row => row.Slug.Value)
        .Add("folded_name", row => Text.Fold(row.Name.Value))
        .Add("status", row => Word(row.Status))
        .Add("plan", row => row.Plan?.Value)
        .Add("closes_at", row => row.Status == OrganizationStatus.Closed ? null : row.ClosesAt)
        .Index("All organizations, and those whose slug begins with a text.", "slug bytewise")
        .Index("Those whose name begins with a text.", "folded_name bytewise", "key")
        .Index("The suspended ones, say.", "status", "slug bytewise")
        .Index("Those with a plan.", "plan", "slug bytewise")
        .Index("Those whose closure is due.", "closes_at");

    public static OrganizationRow? Evolve(OrganizationRow? row, Recorded e) => (row, e.Data) switch
    {
        (null, OrganizationFounded f) => new OrganizationRow(
            new Id<Organization>(e.StreamGuid), f.Name, null, f.Slug, null, OrganizationStatus.Active, null, null, e.At, null, null, null, null),
        (null, _) => null,
        (_, OrganizationRenamed r) => row with { Name = r.Name },
        (_, OrganizationSuspended s) => row with { Status = OrganizationStatus.Suspended, SuspendedAt = e.At, SuspensionReason = s.Reason },
        (_, OrganizationReactivated) => row with { Status = OrganizationStatus.Active, SuspendedAt = null, SuspensionReason = null },
        (_, OrganizationClosureScheduled c) => row with { ClosesAt = c.ClosesAt, ClosureReason = c.Reason, ClosesByOperator = c.ByOperator },
        (_, OrganizationClosureCancelled) => row with { ClosesAt = null, ClosureReason = null, ClosesByOperator = null },
        (_, OrganizationClosed) => row with { Status = OrganizationStatus.Closed, ClosedAt = e.At },
        (_, OrganizationPlanChanged c) => row with { Plan = c.Plan },
        (_, OrganizationLimitsSet s) => row with { Limits = s.Limits == OrganizationLimits.None ? null : s.Limits },
        _ => row,
    };

    /// <summary>What an operator looks for; null means any.</summary>
    /// <param name="Start">What the slug or the name begins with, upper and lower case being equal.</param>
    public sealed record Filter(string? Start = null, OrganizationStatus? Status = null, string? Plan = null);

    /// <summary>A page of organizations in the order of their slugs; of those that are looked for by a text, first the ones whose slug begins with it.</summary>
    public static async Task<Page> Search(Reader db, Filter filter, IReadOnlyList<string>? after, int limit, CancellationToken ct)
    {
        // A text that no name can hold begins none.
        if (Text.Clean(filter.Start ?? "") is not { } clean) return new Page([], null);
        var start = Text.Fold(clean);
        var rows = await db.Query(start.Length == 0 ? Listed(db, filter, after, limit + 1) : Found(db, start, filter, after, limit + 1),
            row => (Doc: row.GetFieldValue<byte[]>(0), Place: (string[])[row.GetString(1), row.GetString(2), row.GetString(3)]), ct);
        return Page.Cut(rows, limit, row => row.Doc, row => row.Place);
    }

    /// <summary>Organizations that are to be closed by now and are not yet, the longest due first.</summary>
    public static Task<IReadOnlyList<Id<Organization>>> Due(Reader db, DateTimeOffset now, int most, CancellationToken ct) => db.Query($"""
        select key from read.organizations_v1 where tenant_id = {db.Tenant} and closes_at <= {now.UtcDateTime} order by closes_at limit {most}
        """, row => new Id<Organization>(Guid.Parse(row.GetString(0).AsSpan("organization-".Length))), ct);

    /// <summary>The keys of all that is sealed in organizations that were closed.</summary>
    public static Sql KeysOfClosed(Due due) => Sql.Of($"""
        select k.tenant_id, k.subject as id, case when starts_with(k.subject, 'user-') then substr(k.subject, 6) end as person, c.closed_at as at
          from (select substr(o.key, 14) as tenant_id, (o.doc ->> 'closedAt')::timestamptz as closed_at from read.organizations_v1 o
                 where o.tenant_id = {Projection.PlatformTenant} and o.status = 'closed') c
          join nubabel.subject_keys k on k.tenant_id = c.tenant_id and k.wrapped is not null
         where {due.Is(new Name("c.tenant_id"), new Name("c.closed_at"))} {due.Part(new Name("k.subject"))}
        """);

    private static Sql Listed(Reader db, Filter filter, IReadOnlyList<string>? after, int most) => Sql.Of($"""
        select doc, 'slug', slug, key from read.organizations_v1
         where tenant_id = {db.Tenant} {Where(filter)} {AfterSlug(after)}
         order by slug collate "C" limit {most}
        """);

    // Compared by bytes, as an index can: a language's own order puts hyphens and cases where no beginning is a range. Either half reads no more of its
    // index than the page has rows, and behind the last slug the first half is left out.
    private static Sql Found(Reader db, string start, Filter filter, IReadOnlyList<string>? after, int most)
    {
        var slugs = after is ["name", ..] ? Sql.None : Sql.Of($"""
            (select doc, 'slug' part, slug word, key from read.organizations_v1
              where tenant_id = {db.Tenant} and slug collate "C" >= {start} and slug collate "C" < {start + Last} {Where(filter)} {AfterSlug(after)}
              order by slug collate "C" limit {most})
            union all
            """);
        return Sql.Of($"""
            select doc, part, word, key from (
              {slugs}
              (select doc, 'name' part, folded_name word, key from read.organizations_v1
                where tenant_id = {db.Tenant} and folded_name collate "C" >= {start} and folded_name collate "C" < {start + Last}
                  and not (slug collate "C" >= {start} and slug collate "C" < {start + Last}) {Where(filter)} {AfterName(after)}
                order by folded_name collate "C", key limit {most})) found
             order by part desc, word collate "C", key limit {most}
            """);
    }

    private static Sql AfterSlug(IReadOnlyList<string>? after) => after is ["slug", var slug, _] ? Sql.Of($"and slug collate \"C\" > {slug}") : Sql.None;

    private static Sql AfterName(IReadOnlyList<string>? after) =>
        after is ["name", var name, var key] ? Sql.Of($"and (folded_name collate \"C\", key) > ({name}, {key})") : Sql.None;

    private static Sql Where(Filter filter)
    {
        var status = filter.Status is { } s ? Sql.Of($"and status = {Word(s)}") : Sql.None;
        var plan = filter.Plan is { } p ? Sql.Of($"and plan = {p}") : Sql.None;
        return Sql.Of($"{status} {plan}");
    }

    private static string Word(OrganizationStatus status) => status.ToString().ToLowerInvariant();
}
