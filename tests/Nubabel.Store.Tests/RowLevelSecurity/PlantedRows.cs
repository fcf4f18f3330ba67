using System.Globalization;
using Npgsql;

namespace Nubabel.Store.Tests.RowLevelSecurity;

/// <summary>Puts a row of a tenant into every table that holds tenants' rows, whatever its columns are: a new table is covered by being there.</summary>
internal static class PlantedRows
{
    public static async Task Of(NpgsqlConnection superuser, params string[] tenants)
    {
        var unique = 0;
        foreach (var table in (await TenantTables.All(superuser)).Where(t => t.Kind is 'r' or 'p').OrderBy(t => t.Name != "mt_streams"))
        {
            var columns = await Required(superuser, table);
            foreach (var tenant in tenants)
            {
                var values = columns.Select(c => c.Name == "tenant_id" ? $"'{tenant}'" : Value(c.Type, ++unique));
                await using var insert = new NpgsqlCommand($"insert into {table.Quoted} ({string.Join(", ", columns.Select(c => $"\"{c.Name}\""))}) values ({string.Join(", ", values)})", superuser);
                await insert.ExecuteNonQueryAsync();
            }
        }
    }

    private static Task<List<(string Name, string Type)>> Required(NpgsqlConnection superuser, TenantTable table) => TenantTables.Query(superuser, $"""
        select attname::text, format_type(atttypid, null) from pg_attribute
         where attrelid = '{table.Quoted}'::regclass and attnum > 0 and not attisdropped and (attnotnull and not atthasdef or attname = 'tenant_id') order by attnum
        """, row => (row.GetString(0), row.GetString(1)));

    private static string Value(string type, int unique) => type switch
    {
        "character varying" or "text" => $"'planted-{unique.ToString(CultureInfo.InvariantCulture)}'",
        "bigint" or "integer" => (1_000_000 + unique).ToString(CultureInfo.InvariantCulture),
        "uuid" => "gen_random_uuid()",
        "jsonb" => "'{}'",
        "bytea" => "'\\x00'",
        "boolean" => "true",
        "date" => "current_date",
        "timestamp with time zone" => "now()",
        _ when type.EndsWith("[]", StringComparison.Ordinal) => "'{}'",
        _ => throw new InvalidOperationException($"Say what a planted {type} is."),
    };
}
