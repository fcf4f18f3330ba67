using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>How the audit chain is kept.</summary>
public sealed record ChainOptions
{
    /// <summary>Which installation the checkpoints speak for.</summary>
    public string Issuer { get; init; } = "nubabel";

    /// <summary>How often it is looked for new events.</summary>
    public TimeSpan Every { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>So many entries without a checkpoint get one.</summary>
    public int Entries { get; init; } = 1_000;

    /// <summary>So old an entry without a checkpoint gets one.</summary>
    public TimeSpan Age { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Told of each checkpoint behind its commit: what keeps them outside of the database.</summary>
    public Action<string>? Published { get; init; }
}

/// <summary>
/// Keeps the audit chain of every tenant: reads the log in its order up to the high-water mark, digests each event as it is stored, and signs where the chain stands.
/// One node at a time does it, under a lock; if two ever believed they had it, the checkpoint's fence would refuse one of them. A page and what is signed of it are one
/// transaction, so the chain has each event once, wherever a process dies.
/// </summary>
public sealed class ChainKeeper : IAsyncDisposable
{
    /// <summary>The row of its place in <c>mt_event_progression</c>.</summary>
    public const string ProgressionName = "AuditChain";

    private const long Lock = 5642170;
    private const int MostSignedAtOnce = 500;

    private readonly NpgsqlDataSource daemon;
    private readonly ChainKeys keys;
    private readonly ChainOptions options;
    private readonly LogPages pages;
    private readonly Loop loop;

    public ChainKeeper(NpgsqlDataSource daemon, ChainKeys keys, ChainOptions? options = null, ILogger? log = null)
    {
        (this.daemon, this.keys, this.options) = (daemon, keys, options ?? new ChainOptions());
        pages = new LogPages(daemon, null);
        loop = new Loop("audit chain", Round, log ?? NullLogger.Instance);
    }

    /// <summary>What is wrong with it; null when nothing is.</summary>
    public string? Fault => loop.LastError ?? (loop.IsAlive ? null : "the loop audit chain has ended");

    public void Start() => loop.Start();

    public Task Stop() => loop.Stop();

    public ValueTask DisposeAsync() => loop.DisposeAsync();

    /// <summary>Chains what there is and signs what is due. True when there is more to chain at once.</summary>
    internal async Task<bool> Keep(CancellationToken ct)
    {
        await using var connection = await daemon.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        var (mine, at, mark) = await Place(connection, ct);
        if (!mine) return false;
        var to = at;
        IReadOnlyList<LoggedEvent> events = [];
        if (at < mark) (events, to) = await pages.Next(at, mark, ct);
        var statements = await Due(connection, ct);
        if (to > at) statements.AddRange(await Write(connection, events, at, to, ct));
        await transaction.CommitAsync(ct);
        foreach (var statement in statements) options.Published?.Invoke(statement);
        return to < mark;
    }

    /// <summary>
    /// Makes the chain anew from the log as it is now. What was signed stays, and tells whether the log is still what it was: a chain that does not meet its
    /// checkpoints is not mended by this, but found by the next verification.
    /// </summary>
    public static async Task Rebuild(NpgsqlDataSource daemon, CancellationToken ct)
    {
        await using var batch = daemon.CreateBatch();
        batch.BatchCommands.Add(new NpgsqlBatchCommand($"select pg_advisory_xact_lock({Lock})"));
        batch.BatchCommands.Add(new NpgsqlBatchCommand("delete from nubabel.audit_chain"));
        batch.BatchCommands.Add(new NpgsqlBatchCommand("delete from nubabel.audit_heads"));
        batch.BatchCommands.Add(new NpgsqlBatchCommand($"update events.mt_event_progression set last_seq_id = 0 where name = '{ProgressionName}'"));
        await batch.ExecuteNonQueryAsync(ct);
    }

    private async Task Round(CancellationToken ct)
    {
        if (!await Keep(ct)) await Task.Delay(options.Every, ct);
    }

    private static async Task<(bool Mine, long At, long Mark)> Place(NpgsqlConnection connection, CancellationToken ct)
    {
        await using (var take = new NpgsqlCommand($"select pg_try_advisory_xact_lock({Lock})", connection))
            if (await take.ExecuteScalarAsync(ct) is not true) return default;
        // Statements of their own: they see what was committed by whoever had the lock before.
        await using var batch = new NpgsqlBatch(connection);
        batch.BatchCommands.Add(new NpgsqlBatchCommand($"insert into events.mt_event_progression (name, last_seq_id) values ('{ProgressionName}', 0) on conflict do nothing"));
        batch.BatchCommands.Add(new NpgsqlBatchCommand($"""
            select (select last_seq_id from events.mt_event_progression where name = '{ProgressionName}'),
                   coalesce((select last_seq_id from events.mt_event_progression where name = '{HighWater.ProgressionName}'), 0)
            """));
        await using var reader = await batch.ExecuteReaderAsync(ct);
        await reader.ReadAsync(ct);
        return (true, reader.GetInt64(0), reader.GetInt64(1));
    }

    /// <summary>Signs the chains whose first unsigned entry is old.</summary>
    private async Task<List<string>> Due(NpgsqlConnection connection, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand($"""
            select tenant_id, entries, position, link, signed, clock_timestamp() from nubabel.audit_heads
            where entries > signed and since <= clock_timestamp() - $1 order by since limit {MostSignedAtOnce}
            """, connection);
        command.Add(options.Age);
        var due = new List<ChainHead>();
        var now = DateTimeOffset.UnixEpoch;
        await using (var reader = await command.ExecuteReaderAsync(ct))
        {
            while (await reader.ReadAsync(ct))
            {
                due.Add(new ChainHead(reader.GetString(0), reader.GetInt64(1), reader.GetInt64(2), reader.GetFieldValue<byte[]>(3), reader.GetInt64(4)));
                now = reader.GetFieldValue<DateTimeOffset>(5);
            }
        }
        if (due.Count == 0) return [];
        var signed = due.Select(head => head.Signed(options.Issuer, now)).ToArray();
        return await Sign(connection, signed, now, ct);
    }

    private async Task<List<string>> Write(NpgsqlConnection connection, IReadOnlyList<LoggedEvent> events, long at, long to, CancellationToken ct)
    {
        await using var batch = new NpgsqlBatch(connection);
        var fence = new NpgsqlBatchCommand("select nubabel.fence($1, $2, $3)");
        fence.Add(ProgressionName);
        fence.Add(at);
        fence.Add(to);
        batch.BatchCommands.Add(fence);
        // A placeholder for a number that was never used may be written behind the mark, so it is no entry whenever it is met.
        var byTenant = events.Where(e => e.Type != EventPages.Tombstone).GroupBy(e => e.Tenant).ToArray();
        var (heads, now) = await ChainHead.Read(connection, [.. byTenant.Select(g => g.Key)], ct);
        var signed = new List<Checkpoint>();
        foreach (var own in byTenant)
        {
            var link = new ChainPage(heads[own.Key], [.. own]);
            signed.AddRange(link.Checkpoints(options.Issuer, options.Entries, now));
            link.AddWrites(batch);
        }
        await batch.ExecuteNonQueryAsync(ct);
        return await Sign(connection, signed, now, ct);
    }

    private async Task<List<string>> Sign(NpgsqlConnection connection, IReadOnlyList<Checkpoint> checkpoints, DateTimeOffset now, CancellationToken ct)
    {
        if (checkpoints.Count == 0) return [];
        var (kid, key) = await keys.Signing(ct);
        using var _ = key;
        var statements = checkpoints.Select(c => c.Sign(key, kid)).ToList();
        await using var batch = new NpgsqlBatch(connection);
        // One that is there says what was true once, and stays: a chain that was made anew signs only what nobody has signed.
        var add = new NpgsqlBatchCommand("""
            insert into nubabel.audit_checkpoints (tenant_id, entries, position, created, statement)
            select t, n, p, $4, s from unnest($1::varchar[], $2::bigint[], $3::bigint[], $5::varchar[]) c (t, n, p, s) on conflict do nothing
            """);
        add.AddArray(checkpoints.Select(c => c.Tenant).ToArray(), NpgsqlDbType.Varchar);
        add.AddArray(checkpoints.Select(c => c.Entries).ToArray(), NpgsqlDbType.Bigint);
        add.AddArray(checkpoints.Select(c => c.Position).ToArray(), NpgsqlDbType.Bigint);
        add.Add(now.UtcDateTime);
        add.AddArray(statements.ToArray(), NpgsqlDbType.Varchar);
        batch.BatchCommands.Add(add);
        var covered = new NpgsqlBatchCommand("""
            update nubabel.audit_heads h set signed = greatest(h.signed, c.n), since = clock_timestamp()
            from (select t, max(n) n from unnest($1::varchar[], $2::bigint[]) c (t, n) group by t) c where h.tenant_id = c.t
            """);
        covered.AddArray(checkpoints.Select(c => c.Tenant).ToArray(), NpgsqlDbType.Varchar);
        covered.AddArray(checkpoints.Select(c => c.Entries).ToArray(), NpgsqlDbType.Bigint);
        batch.BatchCommands.Add(covered);
        await batch.ExecuteNonQueryAsync(ct);
        return statements;
    }
}
