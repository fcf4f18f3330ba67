using Npgsql;

namespace Nubabel.Store.Tests.RowLevelSecurity;

/// <summary>A relation with a column <c>tenant_id</c>, in whatever schema.</summary>
/// <param name="Kind">As in <c>pg_class.relkind</c>: r table, p partitioned table, v view, m materialized view, f foreign table.</param>
internal sealed record TenantTable(string Schema, string Name, char Kind)
{
    public string Quoted => $"\"{Schema}\".\"{Name}\"";

    public override string ToString() => $"{Schema}.{Name}";
}

/// <summary>Reads from the catalogue what holds tenants' rows, and what is wrong with its protection.</summary>
internal static class TenantTables
{
    private const string Setting = "app.current_organization_id";

    /// <summary>Every relation with tenants' rows; partitions count by themselves, since they can be read by themselves.</summary>
    public static Task<List<TenantTable>> All(NpgsqlConnection superuser) => Query(superuser, """
        select n.nspname, c.relname, c.relkind
          from pg_class c
          join pg_namespace n on n.oid = c.relnamespace
          join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
         where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname not in ('pg_catalog', 'information_schema')
         order by 1, 2
        """, row => new TenantTable(row.GetString(0), row.GetString(1), row.GetChar(2)));

    /// <summary>One line for each fault, beginning with the name of the table.</summary>
    public static async Task<List<string>> Faults(NpgsqlConnection superuser)
    {
        var faults = new List<string>();
        foreach (var table in await All(superuser))
        {
            faults.AddRange((await FaultsOf(superuser, table)).Select(fault => $"{table}: {fault}"));
        }
        return faults;
    }

    private static async Task<IEnumerable<string>> FaultsOf(NpgsqlConnection superuser, TenantTable table)
    {
        // Neither can have row-level security at all.
        if (table.Kind is 'm' or 'f') return ["cannot be protected"];
        if (table.Kind == 'v')
        {
            var asCaller = await Query(superuser,
                $"select coalesce('security_invoker=true' = any(reloptions), false) from pg_class where oid = '{table.Quoted}'::regclass", row => row.GetBoolean(0));
            return asCaller.Single() ? [] : ["reads with its owner's rights"];
        }
        var flags = (await Query(superuser, $"select relrowsecurity, relforcerowsecurity from pg_class where oid = '{table.Quoted}'::regclass",
            row => (Enabled: row.GetBoolean(0), Forced: row.GetBoolean(1)))).Single();
        var policies = await Query(superuser, $"""
            select polname::text, polcmd, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid) from pg_policy where polrelid = '{table.Quoted}'::regclass
            """, row => (Name: row.GetString(0), Command: row.GetChar(1), Using: Text(row, 2), Check: Text(row, 3)));
        var faults = new List<string>();
        if (!flags.Enabled) faults.Add("row-level security is not enabled");
        if (!flags.Forced) faults.Add("row-level security is not forced upon the owner");
        if (policies.Count == 0) faults.Add("has no policy");
        foreach (var policy in policies)
        {
            // Policies are joined by or: one that does not ask for the tenant opens the table, whatever the others say.
            if (policy.Command != '*') faults.Add($"policy {policy.Name} is not for all commands");
            if (!policy.Using.Contains(Setting, StringComparison.Ordinal)) faults.Add($"policy {policy.Name} has no USING that names {Setting}");
            if (!policy.Check.Contains(Setting, StringComparison.Ordinal)) faults.Add($"policy {policy.Name} has no WITH CHECK that names {Setting}");
        }
        return faults;
    }

    public static async Task<List<T>> Query<T>(NpgsqlConnection connection, string sql, Func<NpgsqlDataReader, T> map)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await using var reader = await command.ExecuteReaderAsync();
        var rows = new List<T>();
        while (await reader.ReadAsync()) rows.Add(map(reader));
        return rows;
    }

    private static string Text(NpgsqlDataReader row, int column) => row.IsDBNull(column) ? "" : row.GetString(column);
}
