using System.Globalization;
using Nubabel.Domain;
using Nubabel.Domain.Invitations;
using Nubabel.Domain.Users;
using Nubabel.Store;

namespace Nubabel.Projections.Invitations;

/// <summary>An open invitation as those see it who may invite.</summary>
/// <param name="Token">Filled in once, for the answer to whoever invites.</param>
/// <param name="InvitedBy">The actor.</param>
public sealed record InvitationRow(Id<Invitation> Id, Role Role, Personal Email, string? Token, DateTimeOffset ExpiresAt, DateTimeOffset InvitedAt, string InvitedBy);

/// <summary>The invitations that are neither accepted nor withdrawn; a list shows those that have not run out.</summary>
public sealed class InvitationList : IDocument<InvitationRow>
{
    public static string Name => "invitations";
    public static int Version => 1;
    public static IReadOnlyList<string> Types { get; } = ["invitation_issued", "invitation_withdrawn", "invitation_expired", "invitation_accepted"];

    public static Columns<InvitationRow> Columns { get; } = new Columns<InvitationRow>()
        .Add("expires_at", row => row.ExpiresAt)
        .Index("The organization's open invitations, the one that lasts longest first, which is the newest.", "expires_at desc", "key desc");

    public static InvitationRow? Evolve(InvitationRow? row, Recorded e) => (row, e.Data) switch
    {
        (null, InvitationIssued i) => new InvitationRow(new Id<Invitation>(e.StreamGuid), i.Role, i.Email, null, i.ExpiresAt, e.At, e.Actor ?? ""),
        (_, InvitationWithdrawn or InvitationExpired or InvitationAccepted) => null,
        _ => row,
    };

    /// <summary>The tenant's open invitations, newest first: all are good for the same time.</summary>
    /// <param name="after">The place of the last row of the page before: end and id.</param>
    public static async Task<Page> Open(Reader db, DateTimeOffset now, IReadOnlyList<string>? after, int limit, CancellationToken ct)
    {
        var rows = await db.Query($"""
            select doc, expires_at, key from read.invitations_v1
             where tenant_id = {db.Tenant} and expires_at > {now.UtcDateTime} {After(after)}
             order by expires_at desc, key desc limit {limit + 1}
            """, row => (Doc: row.GetFieldValue<byte[]>(0), At: row.GetDateTime(1), Key: row.GetString(2)), ct);
        var page = Page.Cut(rows, limit, row => row.Doc, row => [row.At.ToString("O", CultureInfo.InvariantCulture), row.Key]);
        return page with { Rows = await db.Open(page.Rows, ct) };
    }

    /// <summary>How many invitations of the tenant are open, as far as this list has read.</summary>
    public static async Task<long> Count(Reader db, DateTimeOffset now, CancellationToken ct) =>
        (await db.Query($"select count(*) from read.invitations_v1 where tenant_id = {db.Tenant} and expires_at > {now.UtcDateTime}", row => row.GetInt64(0), ct))[0];

    private static Sql After(IReadOnlyList<string>? place) => place is [var at, var key]
        ? Sql.Of($"and (expires_at, key) < ({DateTime.Parse(at, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind)}, {key})")
        : Sql.None;
}
