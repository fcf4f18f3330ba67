using Nubabel.Domain.Retention;
using Nubabel.Store;

namespace Nubabel.Projections.Retention;

/// <summary>A period that somebody has set.</summary>
public sealed record RetentionPolicyRow(int Days, string Category);

/// <summary>The periods that organizations have set, and under the platform's tenant its own: what the daily look through all organizations begins with.</summary>
public sealed class RetentionPolicyList : IDocument<RetentionPolicyRow>
{
    public static string Name => "retention_policies";
    public static int Version => 1;
    public static IReadOnlyList<string> Types { get; } = ["retention_policy_set", "retention_policy_cleared"];

    public static Columns<RetentionPolicyRow> Columns { get; } = new Columns<RetentionPolicyRow>()
        .Add("category", row => row.Category)
        .Add("days", row => (long)row.Days);

    public static RetentionPolicyRow? Evolve(RetentionPolicyRow? row, Recorded e) => e.Data switch
    {
        RetentionPolicySet s => new RetentionPolicyRow(s.Days, e.Stream[(RetentionPolicy.Kind.Length + 1)..]),
        RetentionPolicyCleared => null,
        _ => row,
    };

    /// <summary>A period, and whose it is.</summary>
    public sealed record Entry(string Tenant, string Category, int Days);

    /// <summary>All of them.</summary>
    public static async Task<IReadOnlyList<Entry>> All(PlatformReader db, CancellationToken ct) =>
        (await db.Query([Sql.Of($"select tenant_id, category, days from read.retention_policies_v1")], row => new Entry(row.GetString(0), row.GetString(1), (int)row.GetInt64(2)), ct))[0];
}
