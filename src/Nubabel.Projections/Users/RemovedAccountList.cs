using Nubabel.Domain.Operators;
using Nubabel.Domain.Users;
using Nubabel.Store;

namespace Nubabel.Projections.Users;

/// <summary>An account that has come to its end.</summary>
public sealed record RemovedAccountRow(string Stream, DateTimeOffset RemovedAt);

/// <summary>The accounts that were left or removed, those of operators too: what retention erases when they have been so for long.</summary>
public sealed class RemovedAccountList : IDocument<RemovedAccountRow>
{
    public static string Name => "removed_accounts";
    public static int Version => 1;
    public static IReadOnlyList<string> Types { get; } = ["user_left", "user_removed", "operator_removed"];

    public static Columns<RemovedAccountRow> Columns { get; } = new Columns<RemovedAccountRow>()
        .Add("removed_at", row => row.RemovedAt)
        .Index("Those who have been gone for long.", "removed_at")
        .Index("The same in parts.", "key bytewise");

    public static RemovedAccountRow? Evolve(RemovedAccountRow? row, Recorded e) => (row, e.Data) switch
    {
        (null, UserLeft or UserRemoved or OperatorRemoved) => new RemovedAccountRow(e.Stream, e.At),
        _ => row,
    };

    /// <summary>Removed accounts of users whose keys there are: the others are erased.</summary>
    public static Sql Users(Due due) => Sql.Of($"""
        select r.tenant_id, r.key as id, substr(r.key, 6) as person, r.removed_at as at
          from read.removed_accounts_v1 r
         where (select k.wrapped is not null from nubabel.subject_keys k where k.tenant_id = r.tenant_id and k.subject = r.key) and starts_with(r.key, 'user-') and {due.Is(new Name("r.tenant_id"), new Name("r.removed_at"))} {due.Part(new Name("r.key"), "user-")}
        """);

    /// <summary>The same of operators.</summary>
    public static Sql Operators(Due due) => Sql.Of($"""
        select r.tenant_id, r.key as id, null::text as person, r.removed_at as at
          from read.removed_accounts_v1 r
         where (select k.wrapped is not null from nubabel.subject_keys k where k.tenant_id = r.tenant_id and k.subject = r.key) and starts_with(r.key, 'operator-') and {due.Is(new Name("r.tenant_id"), new Name("r.removed_at"))} {due.Part(new Name("r.key"), "operator-")}
        """);
}
