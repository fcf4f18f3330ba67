using System.Globalization;
using Nubabel.Domain;
using Nubabel.Domain.Users;
using Nubabel.Store;

namespace Nubabel.Projections.Members;

/// <summary>An account as the other members see it.</summary>
public sealed record MemberRow(Id<User> Id, Personal Name, Role Role, Personal Email, UserStatus Status, DateTimeOffset JoinedAt);

/// <summary>The accounts that are not removed, suspended ones included.</summary>
public sealed class MemberList : IDocument<MemberRow>
{
    public static string Name => "members";
    public static int Version => 1;

    public static IReadOnlyList<string> Types { get; } =
        ["user_registered", "user_renamed", "user_role_changed", "user_suspended", "user_reinstated", "user_left", "user_removed"];

    public static Columns<MemberRow> Columns { get; } = new Columns<MemberRow>()
        .Add("role", row => Word(row.Role))
        .Add("status", row => Word(row.Status))
        .Add("joined_at", row => row.JoinedAt)
        .Index("The organization's members, newest first.", "joined_at desc", "key desc")
        .Index("Those of a role.", "role", "joined_at desc", "key desc")
        .Index("Those of a status.", "status", "joined_at desc", "key desc");

    public static MemberRow? Evolve(MemberRow? row, Recorded e) => (row, e.Data) switch
    {
        (null, UserRegistered r) => new MemberRow(new Id<User>(e.StreamGuid), r.Name, r.Role, r.Email, UserStatus.Active, e.At),
        (null, _) => null,
        (_, UserRenamed r) => row with { Name = r.Name },
        (_, UserRoleChanged c) => row with { Role = c.Role },
        (_, UserSuspended) => row with { Status = UserStatus.Suspended },
        (_, UserReinstated) => row with { Status = UserStatus.Active },
        (_, UserLeft or UserRemoved) => null,
        _ => row,
    };

    /// <summary>The members of the tenant, newest first.</summary>
    /// <param name="role">Only these; null for all.</param>
    /// <param name="status">Only these; null for all.</param>
    /// <param name="after">The place of the last row of the page before: time and id.</param>
    public static async Task<Page> Of(Reader db, Role? role, UserStatus? status, IReadOnlyList<string>? after, int limit, CancellationToken ct)
    {
        var ofRole = role is { } r ? Sql.Of($"and role = {Word(r)}") : Sql.None;
        var ofStatus = status is { } s ? Sql.Of($"and status = {Word(s)}") : Sql.None;
        var rows = await db.Query($"""
            select doc, joined_at, key from read.members_v1
             where tenant_id = {db.Tenant} {ofRole} {ofStatus} {After(after)}
             order by joined_at desc, key desc limit {limit + 1}
            """, row => (Doc: row.GetFieldValue<byte[]>(0), At: row.GetDateTime(1), Key: row.GetString(2)), ct);
        var page = Page.Cut(rows, limit, row => row.Doc, row => [row.At.ToString("O", CultureInfo.InvariantCulture), row.Key]);
        return page with { Rows = await db.Open(page.Rows, ct) };
    }

    /// <summary>A condition of another read model's query: whether there is such a member, as far as this list has read.</summary>
    /// <param name="stream">The expression of the account's stream.</param>
    public static Sql Has(Reader db, Sql stream) => Sql.Of($"exists (select from read.members_v1 m where m.tenant_id = {db.Tenant} and m.key = {stream})");

    /// <summary>How many members the tenant has, as far as this list has read.</summary>
    public static async Task<long> Count(Reader db, CancellationToken ct) =>
        (await db.Query($"select count(*) from read.members_v1 where tenant_id = {db.Tenant}", row => row.GetInt64(0), ct))[0];

    private static string Word<T>(T value) where T : struct, Enum => System.Text.Json.JsonNamingPolicy.CamelCase.ConvertName(value.ToString());

    private static Sql After(IReadOnlyList<string>? place) => place is [var at, var key]
        ? Sql.Of($"and (joined_at, key) < ({DateTime.Parse(at, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind)}, {key})")
        : Sql.None;
}
