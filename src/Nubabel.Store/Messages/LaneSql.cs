using System.Text.Json;
using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>What a worker asks of the database. The statements are functions of the schema, where their plans are held to the indexes.</summary>
internal static class LaneSql
{
    /// <summary>SQLSTATE of a worker, message or lane that is not the caller's any more.</summary>
    public const string Lost = "NB006";

    /// <summary>All that the worker has is lost, and not one message or lane.</summary>
    public static bool IsWhole(PostgresException lost) => lost.MessageText == "the worker was given up";

    /// <summary>The statement may have been committed, or not.</summary>
    public static bool IsUnknown(Exception failure) =>
        failure is PostgresException p ? p.SqlState.StartsWith("57P", StringComparison.Ordinal) : failure is NpgsqlException or TimeoutException or IOException;

    /// <summary>Registers a worker; its number is the fencing token.</summary>
    public static async Task<long> Register(NpgsqlDataSource daemon, string node, QueueOptions queue, CancellationToken ct)
    {
        await using var command = daemon.CreateCommand("insert into nubabel.workers (node, queue, until) values ($1, $2, clock_timestamp() + $3) returning id");
        command.Add(node);
        command.Add(queue.Name);
        command.Add(queue.Lease);
        return (long)(await command.ExecuteScalarAsync(ct))!;
    }

    /// <summary>False when the worker was given up by another process.</summary>
    public static async Task<bool> Renew(NpgsqlDataSource daemon, long worker, TimeSpan lease, CancellationToken ct)
    {
        await using var command = daemon.CreateCommand("update nubabel.workers set seen = clock_timestamp(), until = clock_timestamp() + $2 where id = $1");
        command.Add(worker);
        command.Add(lease);
        return await command.ExecuteNonQueryAsync(ct) == 1;
    }

    /// <summary>Ends a worker in order: what it still has is free at once.</summary>
    public static async Task Retire(NpgsqlDataSource daemon, long worker, CancellationToken ct)
    {
        await using var batch = daemon.CreateBatch();
        var wait = new NpgsqlBatchCommand("select pg_advisory_xact_lock(hashtextextended('nubabel:worker:' || $1::bigint, 0))");
        wait.Add(worker);
        batch.BatchCommands.Add(wait);
        var end = new NpgsqlBatchCommand("select nubabel.give_up($1, false)");
        end.Add(worker);
        batch.BatchCommands.Add(end);
        await batch.ExecuteNonQueryAsync(ct);
    }

    /// <summary>Takes lanes and reads their first messages. Passed tells that one with something new is in somebody's hand.</summary>
    public static async Task<(List<Delivery> Messages, bool Passed)> Take(
        NpgsqlDataSource daemon, long worker, string queue, string after, int room, int share, string[] busy, int most, CancellationToken ct)
    {
        await using var command = daemon.CreateCommand("""
            select tenant_id, lane, seq, id, type, body, key, subject, actor, correlation_id, causation_id, headers, enqueued, attempt, losses from nubabel.take($1, $2, $3, $4, $5, $6, $7)
            """);
        command.Add(worker);
        command.Add(queue);
        command.Add(after);
        command.Add(room);
        command.Add(share);
        command.AddArray(busy, NpgsqlDbType.Varchar);
        command.Add(most);
        var messages = new List<Delivery>();
        var passed = false;
        await using var reader = await command.ExecuteReaderAsync(ct);
        while (await reader.ReadAsync(ct))
        {
            if (reader.GetInt64(2) == 0) passed = true;
            else messages.Add(Read(reader, queue));
        }
        return (messages, passed);
    }

    /// <summary>
    /// The fence: first of whatever a worker writes. Where the transaction takes several round trips, a process that is frozen between two of them would keep its
    /// worker from being given up, so PostgreSQL ends it after half a lease.
    /// </summary>
    public static NpgsqlBatchCommand Hold(long worker, TimeSpan lease)
    {
        var command = new NpgsqlBatchCommand("select nubabel.hold($1), set_config('idle_in_transaction_session_timeout', $2, true)");
        command.Add(worker);
        command.Add($"{Math.Clamp(lease.TotalMilliseconds / 2, 100, 10_000):0}");
        return command;
    }

    /// <summary>These messages are done, and these lanes are let go.</summary>
    public static NpgsqlBatchCommand Complete(long worker, string queue, IReadOnlyList<(string Tenant, string Lane, long Seq, int Attempt)> done, IReadOnlyList<(string Tenant, string Lane, bool More)> free)
    {
        var command = new NpgsqlBatchCommand("select nubabel.complete($1, $2, $3, $4, $5, $6, $7, $8, $9)");
        command.Add(worker);
        command.Add(queue);
        command.AddArray(done.Select(d => d.Tenant).ToArray(), NpgsqlDbType.Varchar);
        command.AddArray(done.Select(d => d.Lane).ToArray(), NpgsqlDbType.Varchar);
        command.AddArray(done.Select(d => d.Seq).ToArray(), NpgsqlDbType.Bigint);
        command.AddArray(done.Select(d => d.Attempt).ToArray(), NpgsqlDbType.Integer);
        command.AddArray(free.Select(f => f.Tenant).ToArray(), NpgsqlDbType.Varchar);
        command.AddArray(free.Select(f => f.Lane).ToArray(), NpgsqlDbType.Varchar);
        command.AddArray(free.Select(f => f.More).ToArray(), NpgsqlDbType.Boolean);
        return command;
    }

    /// <summary>An attempt failed; with <paramref name="dead"/> it was the last, and what follows from that is enqueued with it.</summary>
    public static async Task Fail(
        NpgsqlDataSource daemon, long worker, Delivery message, string lane, string failure, TimeSpan pause, bool dead, bool park, NpgsqlBatchCommand? enqueue, CancellationToken ct)
    {
        await using var batch = daemon.CreateBatch();
        var command = new NpgsqlBatchCommand("select nubabel.fail($1, $2, $3, $4, $5, $6, $7::jsonb, $8, $9, $10)");
        command.Add(worker);
        command.Add(message.Queue);
        command.Add(message.Tenant);
        command.Add(lane);
        command.Add(message.Seq);
        command.Add(message.Attempt - 1);
        command.Add(failure);
        command.Add(pause);
        command.Add(dead);
        command.Add(park);
        batch.BatchCommands.Add(command);
        if (enqueue is not null) batch.BatchCommands.Add(enqueue);
        await batch.ExecuteNonQueryAsync(ct);
    }

    /// <summary>The message keeps its place and waits, and its lane with it; no attempt is counted.</summary>
    public static async Task PutOff(NpgsqlDataSource daemon, long worker, Delivery message, string lane, TimeSpan pause, CancellationToken ct)
    {
        await using var command = daemon.CreateCommand("select nubabel.put_off($1, $2, $3, $4, $5, $6, $7)");
        command.Add(worker);
        command.Add(message.Queue);
        command.Add(message.Tenant);
        command.Add(lane);
        command.Add(message.Seq);
        command.Add(message.Attempt - 1);
        command.Add(pause);
        await command.ExecuteNonQueryAsync(ct);
    }

    /// <summary>Messages leave the lane that they share, each for one of its own; the lane is free.</summary>
    public static async Task Detach(NpgsqlDataSource daemon, long worker, string queue, string tenant, string lane, long[] seqs, CancellationToken ct)
    {
        await using var command = daemon.CreateCommand("select nubabel.detach($1, $2, $3, $4, $5)");
        command.Add(worker);
        command.Add(queue);
        command.Add(tenant);
        command.Add(lane);
        command.AddArray(seqs, NpgsqlDbType.Bigint);
        await command.ExecuteNonQueryAsync(ct);
    }

    private static Delivery Read(NpgsqlDataReader row, string queue) => new(
        row.GetGuid(3), queue, row.GetString(0), row.GetString(1), row.GetInt64(2), row.GetString(4), row.GetFieldValue<byte[]>(5), Text(row, 6), Text(row, 7),
        row.GetString(8), Text(row, 9), Text(row, 10), Headers(Text(row, 11)), new DateTimeOffset(row.GetDateTime(12), TimeSpan.Zero), row.GetInt32(13) + 1, row.GetInt32(14));

    private static string? Text(NpgsqlDataReader row, int column) => row.IsDBNull(column) ? null : row.GetString(column);

    private static readonly IReadOnlyDictionary<string, string> None = new Dictionary<string, string>();

    internal static IReadOnlyDictionary<string, string> Headers(string? json) =>
        json is null ? None : JsonSerializer.Deserialize<Dictionary<string, string>>(json) ?? None;
}
