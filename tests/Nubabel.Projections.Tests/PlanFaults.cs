using System.Text.Json;

namespace Nubabel.Projections.Tests;

/// <summary>What is wrong with an executed plan, as auto_explain prints it: a scan that grows with the tenant or the database instead of the answer.</summary>
internal static class PlanFaults
{
    /// <param name="most">
    /// As many rows as a scan may touch that only names the tenant: those of one page, read in the index's order, and a few that a filter on a common
    /// value drops on the way.
    /// </param>
    public static IEnumerable<string> In(JsonElement explained, int most)
    {
        var faults = new List<string>();
        Walk(explained.GetProperty("Plan"), most, faults);
        return faults;
    }

    private static void Walk(JsonElement node, int most, List<string> faults)
    {
        var kind = node.GetProperty("Node Type").GetString()!;
        var on = Text(node, "Relation Name") ?? Text(node, "Index Name");
        if (kind == "Seq Scan") faults.Add($"Seq Scan on {on}");
        if (kind is "Index Scan" or "Index Only Scan" or "Bitmap Index Scan")
        {
            var condition = Text(node, "Index Cond") ?? "";
            var rows = (Number(node, "Actual Rows") + Number(node, "Rows Removed by Filter")) * Math.Max(1, Number(node, "Actual Loops"));
            if (!NamesMore(condition) && rows > most) faults.Add($"{kind} on {on} over the whole tenant: {rows} rows for {condition}, filter {Text(node, "Filter")}");
        }
        if (node.TryGetProperty("Plans", out var inner))
            foreach (var child in inner.EnumerateArray()) Walk(child, most, faults);
    }

    /// <summary>Whether the condition has a column beside the tenant.</summary>
    private static bool NamesMore(string condition) =>
        System.Text.RegularExpressions.Regex.Matches(condition, @"\(?\(?(?:\w+\.)?(\w+)(?:\)?::\w+)?\s*(?:=|<|>|<=|>=)\s").Any(m => m.Groups[1].Value is not "tenant_id")
        || condition.Contains("ROW(", StringComparison.Ordinal);

    private static string? Text(JsonElement node, string name) => node.TryGetProperty(name, out var value) ? value.GetString() : null;
    private static double Number(JsonElement node, string name) => node.TryGetProperty(name, out var value) ? value.GetDouble() : 0;
}
