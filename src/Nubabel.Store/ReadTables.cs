using System.Security.Cryptography;
using System.Text;
using Npgsql;

namespace Nubabel.Store;

/// <summary>A read model's table in the database is not the one that its declaration describes.</summary>
public sealed class ReadTableDiffers(string message) : Exception(message);

/// <summary>
/// Makes the tables of the read models from their declarations: what is missing is created, what is there must be as declared. A table never
/// changes under its version; whoever changes the declaration raises the version.
/// </summary>
public static class ReadTables
{
    private const int LongestName = 63;

    /// <summary>
    /// Ordered by bytes and not by a language: the index then also finds texts by their beginning, by operators that row-level security lets near it.
    /// </summary>
    private const string Bytewise = "bytewise";

    /// <summary>Creates what is missing in one transaction. Runs as the owner.</summary>
    /// <param name="api">The login that reads under row-level security.</param>
    /// <param name="daemon">The login that projections write with.</param>
    /// <exception cref="ReadTableDiffers">A table of this version has other columns.</exception>
    public static async Task Ensure(NpgsqlDataSource owner, ProjectionSet projections, string api, string daemon, CancellationToken ct = default)
    {
        await using var connection = await owner.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        // Two migrations at once would both see a table missing, and grants on one table do not go side by side.
        await Run(connection, $"select pg_advisory_xact_lock({Migrations.Lock})", ct);
        foreach (var projection in projections.All) await Ensure(connection, projection, api, daemon, ct);
        await transaction.CommitAsync(ct);
    }

    private static async Task Ensure(NpgsqlConnection connection, Projection projection, string api, string daemon, CancellationToken ct)
    {
        var table = projection.Table.Quoted;
        var columns = Declared(projection);
        var existing = await Existing(connection, projection.Table.Value, ct);
        if (existing.Count == 0)
        {
            var key = string.Join(", ", projection.Fixed.Columns.Take(projection.Fixed.Key).Select(c => c.Name));
            await Run(connection, $"create table {table} ({string.Join(", ", columns.Select(c => $"\"{c.Name}\" {c.Type}"))}, primary key ({key}))", ct);
            await Run(connection, $"""
                alter table {table} enable row level security;
                alter table {table} force row level security;
                create policy tenant on {table}
                  using (tenant_id = current_setting('app.current_organization_id', true))
                  with check (tenant_id = current_setting('app.current_organization_id', true));
                """, ct);
        }
        else if (!existing.SequenceEqual(columns))
        {
            throw new ReadTableDiffers($"""
                {projection.Table.Value} has the columns ({Listed(existing)}) where version {projection.Version} of {projection.Name} declares ({Listed(columns)}): raise the version.
                """);
        }
        foreach (var index in projection.Indexes) await Ensure(connection, projection, index, ct);
        await Run(connection, $"grant select on {table} to {new Name(api).Quoted}; grant all on {table} to {new Name(daemon).Quoted}", ct);
    }

    private static async Task Ensure(NpgsqlConnection connection, Projection projection, Index index, CancellationToken ct)
    {
        var columns = index.Columns.Select(c => c.Split(' ', 2)).Select(c => (Name: c[0], Order: c.Length == 2 ? c[1] : "")).ToArray();
        foreach (var (name, order) in columns)
        {
            if (Declared(projection).All(c => c.Name != name) || order is not ("" or "desc" or "asc" or Bytewise))
                throw new InvalidOperationException($"{projection.Name} declares an index on {name} {order}, which its table cannot have.");
        }
        var indexName = IndexName(projection, columns);
        var keys = string.Join("", columns.Select(c => $", \"{c.Name}\" {(c.Order == Bytewise ? "collate \"C\"" : c.Order)}"));
        await Run(connection, $"""
            create index if not exists "{indexName}" on {projection.Table.Quoted} (tenant_id{keys});
            comment on index read."{indexName}" is '{index.Why.Replace("'", "''", StringComparison.Ordinal)}';
            """, ct);
    }

    /// <summary>The name says the columns, so that another index gets another name; what is too long for PostgreSQL ends in a hash.</summary>
    private static string IndexName(Projection projection, (string Name, string Order)[] columns)
    {
        var name = $"{projection.Name}_v{projection.Version}_{string.Join('_', columns.Select(c => c.Order is "desc" or Bytewise ? $"{c.Name}_{c.Order}" : c.Name))}";
        if (name.Length <= LongestName) return name;
        var hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(name)))[..8];
        return $"{name[..(LongestName - hash.Length - 1)]}_{hash}";
    }

    private static List<(string Name, string Type)> Declared(Projection projection) =>
    [
        .. projection.Fixed.Columns.Select(c => (c.Name, $"{c.Type} not null")),
        .. projection.Columns.Zip(projection.ColumnTypes, (c, t) => (c.Name, t.Nullable ? t.Sql : $"{t.Sql} not null")),
    ];

    private static async Task<List<(string Name, string Type)>> Existing(NpgsqlConnection connection, string table, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand("""
            select a.attname, format_type(a.atttypid, a.atttypmod) || case when a.attnotnull then ' not null' else '' end
            from pg_attribute a where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped order by a.attnum
            """, connection);
        command.Add(new Name(table).Quoted);
        await using var reader = await command.ExecuteReaderAsync(ct);
        var columns = new List<(string, string)>();
        while (await reader.ReadAsync(ct)) columns.Add((reader.GetString(0), reader.GetString(1)));
        return columns;
    }

    private static string Listed(IEnumerable<(string Name, string Type)> columns) => string.Join(", ", columns.Select(c => $"{c.Name} {c.Type}"));

    private static async Task Run(NpgsqlConnection connection, string sql, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(ct);
    }
}
