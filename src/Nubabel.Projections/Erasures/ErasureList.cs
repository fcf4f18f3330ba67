using System.Globalization;
using Nubabel.Domain;
using Nubabel.Domain.Erasures;
using Nubabel.Domain.Organizations;
using Nubabel.Domain.Users;
using Nubabel.Store;

namespace Nubabel.Projections.Erasures;

/// <summary>An erasure as operators see it. The members stand in the order in which <c>jsonb</c> keeps them.</summary>
/// <param name="Id">The account's.</param>
public sealed record ErasureRow(Id<User> Id, ErasureWish Wish, ErasureStatus State, Erased? Erased, DateTimeOffset? CompletedAt, DateTimeOffset RequestedAt, Id<Organization> OrganizationId);

/// <summary>The erasures of all organizations, for operators. Its rows are the platform's.</summary>
public sealed class ErasureList : IDocument<ErasureRow>
{
    public static string Name => "erasures";
    public static int Version => 1;
    public static IReadOnlyList<string> Types { get; } = ["erasure_requested", "erasure_completed"];

    public static Columns<ErasureRow> Columns { get; } = new Columns<ErasureRow>()
        .Add("owner", row => row.OrganizationId.Value)
        .Add("state", row => Word(row.State))
        .Add("requested_at", row => row.RequestedAt)
        .Index("All erasures, newest first.", "requested_at desc", "key desc")
        .Index("An organization's.", "owner", "requested_at desc", "key desc")
        .Index("Those that are under way above all.", "state", "requested_at desc", "key desc");

    public static ErasureRow? Evolve(ErasureRow? row, Recorded e) => (row, e.Data) switch
    {
        // A foreign writer's tenant may be anything.
        (null, ErasureRequested r) => Id<Organization>.TryParse(e.Tenant, null, out var organization) ? new ErasureRow(r.Account, r.Wish, ErasureStatus.Requested, null, null, e.At, organization) : null,
        ({ }, ErasureCompleted c) => row with { State = ErasureStatus.Completed, Erased = c.Counts, CompletedAt = e.At },
        _ => row,
    };

    /// <summary>A page, newest first.</summary>
    public static async Task<Page> Search(PlatformReader db, Id<Organization>? organization, ErasureStatus? state, IReadOnlyList<string>? after, int limit, CancellationToken ct)
    {
        var whose = organization is { } id ? Sql.Of($"and owner = {id.Value}") : Sql.None;
        var which = state is { } s ? Sql.Of($"and state = {Word(s)}") : Sql.None;
        var rows = (await db.Query([Sql.Of($"""
            select doc, requested_at, key from read.erasures_v1 where tenant_id = {Projection.PlatformTenant} {whose} {which} {After(after)}
             order by requested_at desc, key desc limit {limit + 1}
            """)], row => (Doc: row.GetFieldValue<byte[]>(0), At: row.GetDateTime(1), Key: row.GetString(2)), ct))[0];
        return Page.Cut(rows, limit, row => row.Doc, row => [row.At.ToString("O", CultureInfo.InvariantCulture), row.Key]);
    }

    private static string Word(ErasureStatus state) => state.ToString().ToLowerInvariant();

    private static Sql After(IReadOnlyList<string>? place) => place is [var at, var key]
        ? Sql.Of($"and (requested_at, key) < ({DateTime.Parse(at, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind)}, {key})")
        : Sql.None;
}
