using System.Security.Cryptography;
using System.Text;
using Npgsql;

namespace Nubabel.Store;

/// <summary>What a read model's table holds, in a form in which two databases can be compared.</summary>
/// <param name="Position">The checkpoint that the rows stand at.</param>
/// <param name="Sha256">Over all rows with all columns, in the order of the key.</param>
public sealed record ReadModelSum(string Name, int Version, long Position, long Rows, string Sha256);

/// <summary>Sums up the tables of read models, each in one snapshot with its checkpoint, in bounded memory.</summary>
public static class ReadModelSums
{
    /// <param name="tenant">Only the rows of this tenant; null for all.</param>
    public static async Task<IReadOnlyList<ReadModelSum>> Of(NpgsqlDataSource daemon, ProjectionSet projections, string? tenant, CancellationToken ct)
    {
        var sums = new List<ReadModelSum>();
        foreach (var projection in projections.All) sums.Add(await Of(daemon, projection, tenant, ct));
        return sums;
    }

    private static async Task<ReadModelSum> Of(NpgsqlDataSource daemon, Projection projection, string? tenant, CancellationToken ct)
    {
        await using var connection = await daemon.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead, ct);
        // A time as text is the same everywhere only in one zone and style.
        await using (var set = new NpgsqlCommand("set local timezone = 'UTC'; set local datestyle = 'ISO, YMD'; set local statement_timeout = 0", connection)) await set.ExecuteNonQueryAsync(ct);
        long position;
        await using (var checkpoint = new NpgsqlCommand("select coalesce((select last_seq_id from events.mt_event_progression where name = $1), 0)", connection))
        {
            checkpoint.Add(projection.ProgressionName);
            position = (long)(await checkpoint.ExecuteScalarAsync(ct))!;
        }
        // By bytes, since databases differ in what they think comes first.
        var key = string.Join(", ", projection.Fixed.Columns.Take(projection.Fixed.Key).Select(c => c.Type == "character varying" ? $"t.{c.Name} collate \"C\"" : $"t.{c.Name}"));
        var own = tenant is null ? "" : $"where t.tenant_id = '{tenant.Replace("'", "''", StringComparison.Ordinal)}'";
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        long count = 0;
        await using (var rows = await connection.BeginBinaryExportAsync($"copy (select t::text from {projection.Table.Quoted} t {own} order by {key}) to stdout (format binary)", ct))
        {
            for (; await rows.StartRowAsync(ct) >= 0; count++)
            {
                hash.AppendData(Encoding.UTF8.GetBytes(await rows.ReadAsync<string>(ct)));
                hash.AppendData("\n"u8);
            }
        }
        return new ReadModelSum(projection.Name, projection.Version, position, count, Convert.ToHexStringLower(hash.GetHashAndReset()));
    }
}
