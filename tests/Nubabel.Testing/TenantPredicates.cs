using System.Collections.Concurrent;
using System.Text.RegularExpressions;

namespace Nubabel.Testing;

/// <summary>
/// Takes the application's own tenant predicates out of every statement that goes through: <c>tenant_id = $1</c> becomes true. What then
/// still keeps tenants apart is row-level security alone.
/// </summary>
public sealed partial class TenantPredicates
{
    private readonly ConcurrentDictionary<string, byte> seen = new();

    /// <summary>The statements from which a predicate was taken, as the application wrote them.</summary>
    public IReadOnlyCollection<string> Removed => [.. seen.Keys];

    public string Remove(string sql)
    {
        var without = Predicate().Replace(sql, "($0 or true)");
        if (without != sql) seen.TryAdd(sql, 0);
        return without;
    }

    [GeneratedRegex(@"(?<![\w.])(\w+\.)?tenant_id\s*=\s*(\$\d+|(\w+\.)?tenant_id)(?!\w)")]
    private static partial Regex Predicate();
}
