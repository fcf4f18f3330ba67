using System.Diagnostics;
using System.Globalization;
using Npgsql;
using NpgsqlTypes;
using Nubabel.Testing;

namespace Nubabel.Bench;

/// <summary>
/// How a batch of a projection reaches its table: as arrays in one statement, or by COPY. Documents are half new and half there already, as in a batch that has
/// to be an upsert; COPY then needs a staging table. Every way is one transaction with a checkpoint, as the daemon writes.
/// </summary>
internal sealed class WritesBench : IBench
{
    private static readonly int[] Sizes = [1, 50, 500, 5_000, 20_000];
    private static readonly TimeSpan Each = TimeSpan.FromSeconds(1.5);

    private const string Tables = """
        create table read.bench (tenant_id varchar not null, key varchar not null, version bigint not null, position bigint not null, doc jsonb not null,
          owner uuid, name varchar not null, status varchar not null, primary key (tenant_id, key));
        create index on read.bench (tenant_id, owner, position desc);
        create index on read.bench (tenant_id, status, position desc);
        create unlogged table read.bench_staging (like read.bench);
        create table read.bench_checkpoint (name varchar primary key, last bigint);
        insert into read.bench_checkpoint values ('bench', 0);
        """;

    private const string Columns = "tenant_id, key, version, position, doc, owner, name, status";
    private const string Arrays = $"insert into read.bench ({Columns}) select * from unnest($1::varchar[], $2::varchar[], $3::bigint[], $4::bigint[], $5::jsonb[], $6::uuid[], $7::varchar[], $8::varchar[])";
    private const string Upsert = " on conflict (tenant_id, key) do update set version = excluded.version, position = excluded.position, doc = excluded.doc, owner = excluded.owner, name = excluded.name, status = excluded.status";

    public string Name => "writes";
    public string What => "how a projection's batch reaches its table: arrays or COPY";

    public async Task<Report> Run(CancellationToken ct)
    {
        await using var database = await TestDatabase.New();
        await using var owner = NpgsqlDataSource.Create(database.OwnerString + ";Max Auto Prepare=20;Auto Prepare Min Usages=2");
        await using (var tables = owner.CreateCommand(Tables)) await tables.ExecuteNonQueryAsync(ct);
        var (rows, numbers) = (new List<string[]>(), new Dictionary<string, double>());
        foreach (var size in Sizes)
        {
            var documents = await Measure(owner, size, half: true, (c, r) => ByArrays(c, r, Upsert, ct), ct);
            var staged = await Measure(owner, size, half: true, (c, r) => ByStaging(c, r, ct), ct);
            var arrays = await Measure(owner, size, half: false, (c, r) => ByArrays(c, r, "", ct), ct);
            var copied = await Measure(owner, size, half: false, (c, r) => ByCopy(c, r, "read.bench", ct), ct);
            rows.Add([size.ToString(CultureInfo.InvariantCulture), .. new[] { documents, staged, arrays, copied }.SelectMany(m => new[] { Report.Number(size / m, "0"), Report.Number(m * 1000) })]);
            foreach (var (way, m) in new[] { ("documents_arrays", documents), ("documents_staging", staged), ("rows_arrays", arrays), ("rows_copy", copied) }) numbers[$"{way}/{size}/ms"] = m * 1000;
        }
        return new Report(["rows a batch", "documents, arrays: rows/s", "ms", "documents, COPY to staging: rows/s", "ms", "rows, arrays: rows/s", "ms", "rows, COPY: rows/s", "ms"], rows, numbers,
            "The median batch of 1.5 s each. Documents: half of a batch is new, half replaces a row; rows: all new. Three indexes, 200 bytes of JSON.");
    }

    private sealed record Row(string Key, long Position);

    /// <summary>The median time of a batch in seconds.</summary>
    private static async Task<double> Measure(NpgsqlDataSource owner, int size, bool half, Func<NpgsqlConnection, Row[], Task> write, CancellationToken ct)
    {
        await using (var empty = owner.CreateCommand("truncate read.bench")) await empty.ExecuteNonQueryAsync(ct);
        var times = new List<double>();
        var next = 0L;
        var began = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(began) < Each || times.Count < 5)
        {
            var rows = Enumerable.Range(0, size).Select(i => half && i % 2 == 0 && next > size ? next - size + i : next + i).Select(i => new Row($"device-019a2b3c-4d5e-7f60-8123-{i:x12}", i)).ToArray();
            next += size;
            var start = Stopwatch.GetTimestamp();
            await using var connection = await owner.OpenConnectionAsync(ct);
            await write(connection, rows);
            times.Add(Stopwatch.GetElapsedTime(start).TotalSeconds);
        }
        return times.Order().ElementAt(times.Count / 2);
    }

    private static async Task ByArrays(NpgsqlConnection connection, Row[] rows, string conflict, CancellationToken ct)
    {
        await using var batch = new NpgsqlBatch(connection);
        batch.BatchCommands.Add(new NpgsqlBatchCommand("update read.bench_checkpoint set last = last + 1 where name = 'bench'"));
        var insert = new NpgsqlBatchCommand(Arrays + conflict);
        Add(rows.Select(_ => Tenant).ToArray(), NpgsqlDbType.Varchar);
        Add(rows.Select(r => r.Key).ToArray(), NpgsqlDbType.Varchar);
        Add(rows.Select(_ => 1L).ToArray(), NpgsqlDbType.Bigint);
        Add(rows.Select(r => r.Position).ToArray(), NpgsqlDbType.Bigint);
        Add(rows.Select(Json).ToArray(), NpgsqlDbType.Jsonb);
        Add(rows.Select(_ => Guid.Empty).ToArray(), NpgsqlDbType.Uuid);
        Add(rows.Select(r => r.Key).ToArray(), NpgsqlDbType.Varchar);
        Add(rows.Select(_ => "active").ToArray(), NpgsqlDbType.Varchar);
        batch.BatchCommands.Add(insert);
        await batch.ExecuteNonQueryAsync(ct);

        void Add(Array values, NpgsqlDbType type) => insert.Parameters.Add(new NpgsqlParameter { Value = values, NpgsqlDbType = NpgsqlDbType.Array | type });
    }

    private static async Task ByCopy(NpgsqlConnection connection, Row[] rows, string table, CancellationToken ct, string? after = null)
    {
        await using var transaction = await connection.BeginTransactionAsync(ct);
        await using (var fence = new NpgsqlCommand("update read.bench_checkpoint set last = last + 1 where name = 'bench'", connection)) await fence.ExecuteNonQueryAsync(ct);
        await using (var copy = await connection.BeginBinaryImportAsync($"copy {table} ({Columns}) from stdin (format binary)", ct))
        {
            foreach (var row in rows)
            {
                await copy.StartRowAsync(ct);
                await copy.WriteAsync(Tenant, NpgsqlDbType.Varchar, ct);
                await copy.WriteAsync(row.Key, NpgsqlDbType.Varchar, ct);
                await copy.WriteAsync(1L, NpgsqlDbType.Bigint, ct);
                await copy.WriteAsync(row.Position, NpgsqlDbType.Bigint, ct);
                await copy.WriteAsync(Json(row), NpgsqlDbType.Jsonb, ct);
                await copy.WriteAsync(Guid.Empty, NpgsqlDbType.Uuid, ct);
                await copy.WriteAsync(row.Key, NpgsqlDbType.Varchar, ct);
                await copy.WriteAsync("active", NpgsqlDbType.Varchar, ct);
            }
            await copy.CompleteAsync(ct);
        }
        if (after is not null)
        {
            await using var merge = new NpgsqlCommand(after, connection);
            await merge.ExecuteNonQueryAsync(ct);
        }
        await transaction.CommitAsync(ct);
    }

    private static Task ByStaging(NpgsqlConnection connection, Row[] rows, CancellationToken ct) =>
        ByCopy(connection, rows, "read.bench_staging", ct, $"with taken as (delete from read.bench_staging returning *) insert into read.bench ({Columns}) select {Columns} from taken{Upsert}");

    private const string Tenant = "019a0000-0000-7000-8000-000000000001";

    private static string Json(Row row) =>
        $$"""{"id":"{{row.Key}}","name":"{{row.Key}}","type":"mobile","status":"active","owner":"019a2b3c-4d5e-7f60-8123-456789abcdef","createdAt":"2026-11-21T08:20:11.004210Z"}""";
}
