using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>
/// Folds parked keys once more, from their documents, in their order. Each chunk is one transaction that holds the row lock of the checkpoint from before it
/// reads to its commit: no batch parks behind a key meanwhile, and one that had read the key as parked before is refused at its fence and folds again.
/// </summary>
internal sealed class Retry(NpgsqlDataSource daemon, EventTypes types)
{
    private const int MostKeys = 100;
    private const int MostEvents = 2_000;
    private const long MostBytes = 16 << 20;

    /// <summary>Stands at the first event of a key that has more than one chunk takes, until the next one.</summary>
    private const string GoesOn = "is being retried";

    /// <summary>Retries what the order says and was not retried under it yet, however often it is begun.</summary>
    public async Task Run(Projection projection, Order order, CancellationToken ct)
    {
        while (await Chunk(projection, order, ct))
        {
        }
    }

    /// <summary>False when nothing was left.</summary>
    private async Task<bool> Chunk(Projection projection, Order order, CancellationToken ct)
    {
        await using var connection = await daemon.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        if (!await Lock(connection, projection, order, ct)) return false;
        var parked = await Read(connection, projection, order, ct);
        if (parked.Count == 0) return false;
        var skips = (await Skips.Read(connection, [projection], ct))[projection.ProgressionName];
        var fold = projection.Again(parked, skips, order.Place);
        await using (var loads = new NpgsqlBatch(connection))
        {
            fold.AddLoads(loads);
            if (loads.BatchCommands.Count > 0)
            {
                await using var reader = await loads.ExecuteReaderAsync(ct);
                await fold.ReadLoads(reader, ct);
            }
        }
        fold.Apply();
        await UnitWrites.Run(connection, fold.AddChecks, ct);
        await UnitWrites.Write(connection, transaction, fold, ct);
        await UnitWrites.Run(connection, batch => batch.BatchCommands.Add(Continue(projection, [.. parked.Select(p => (p.Tenant, p.Key)).Distinct()])), ct);
        await transaction.CommitAsync(ct);
        return true;
    }

    /// <summary>False when the order has taken effect already, by another process, or the version has no checkpoint: then it has no table and no park yet.</summary>
    private static async Task<bool> Lock(NpgsqlConnection connection, Projection projection, Order order, CancellationToken ct)
    {
        // A process that is stopped in here must not keep the projection from the others for long.
        await UnitWrites.Run(connection, batch => batch.BatchCommands.Add(new NpgsqlBatchCommand("set local idle_in_transaction_session_timeout = '5s'")), ct);
        await using var take = new NpgsqlCommand("select true from events.mt_event_progression where name = $1 for update", connection);
        take.Add(projection.ProgressionName);
        if (await take.ExecuteScalarAsync(ct) is not true) return false;
        // A statement of its own: it sees what was committed while this one waited for the lock.
        await using var applied = new NpgsqlCommand("select exists (select from nubabel.orders_applied where progression = $1 and applied >= $2)", connection);
        applied.Add(projection.ProgressionName);
        applied.Add(order.Place);
        return await applied.ExecuteScalarAsync(ct) is false;
    }

    /// <summary>
    /// The next parked events: of the keys whose failed event this order has not tried yet and which waited when it was given, as many as one chunk takes.
    /// </summary>
    private async Task<List<ParkedEvent>> Read(NpgsqlConnection connection, Projection projection, Order order, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand($"""
            with keys as (
              select p.tenant_id, p.key, p.seq_id from nubabel.parked p
              where p.name = $1 and p.version = $2 and {Parking.IsFailed} and p.retried < $3 and (p.seq_id <= $4 or p.error = '{GoesOn}')
                and ($5::varchar is null or p.tenant_id = $5) and ($6::varchar is null or p.key = $6)
              order by p.seq_id limit {MostKeys})
            select {EventRow.Columns}, w.tenant_id, w.key
            from keys k join nubabel.parked w on w.name = $1 and w.version = $2 and w.tenant_id = k.tenant_id and w.key = k.key
            join events.mt_events e on e.seq_id = w.seq_id
            order by k.seq_id, w.seq_id limit {MostEvents}
            """, connection);
        command.Add(projection.Name);
        command.Add(projection.Version);
        command.Add(order.Place);
        command.Add(order.Position);
        command.Add(order.Tenant);
        command.Add(order.Key);
        var parked = new List<ParkedEvent>();
        var bytes = 0L;
        await using var reader = await command.ExecuteReaderAsync(ct);
        while (bytes <= MostBytes && await reader.ReadAsync(ct))
        {
            var read = EventRow.Read(reader, types, out var size);
            parked.Add(new ParkedEvent(reader.GetString(reader.FieldCount - 2), reader.GetString(reader.FieldCount - 1), read));
            bytes += size;
        }
        return parked;
    }

    /// <summary>A key of which only a part fitted into the chunk has no failed event any more: its next one takes that place, so that it is found.</summary>
    private static NpgsqlBatchCommand Continue(Projection projection, (string Tenant, string Key)[] keys)
    {
        var command = new NpgsqlBatchCommand($"""
            update nubabel.parked p set error = '{GoesOn}' from unnest($3::varchar[], $4::varchar[]) k (tenant_id, key)
            where p.name = $1 and p.version = $2 and p.tenant_id = k.tenant_id and p.key = k.key and not ({Parking.IsFailed})
              and p.seq_id = (select min(q.seq_id) from nubabel.parked q where q.name = $1 and q.version = $2 and q.tenant_id = k.tenant_id and q.key = k.key)
            """);
        command.Add(projection.Name);
        command.Add(projection.Version);
        command.AddArray(keys.Select(k => k.Tenant).ToArray(), NpgsqlDbType.Varchar);
        command.AddArray(keys.Select(k => k.Key).ToArray(), NpgsqlDbType.Varchar);
        return command;
    }
}
