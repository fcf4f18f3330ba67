using Npgsql;

namespace Nubabel.Store;

/// <summary>How far a rebuild is.</summary>
/// <param name="Position">Everything up to here is folded.</param>
/// <param name="Mark">Where it ends.</param>
/// <param name="Events">How many events it has read.</param>
public sealed record RebuildProgress(long Position, long Mark, long Events);

/// <summary>How a rebuild ended: where, with how many parked keys, and by which event it was stopped, if it was.</summary>
public sealed record RebuildResult(long Position, long Events, long ParkedKeys, string? StoppedBy);

/// <summary>A rebuild could not begin or go on; nothing is lost, since whoever runs the projection goes on from its checkpoint.</summary>
public sealed class RebuildRefused(string message) : Exception(message);

/// <summary>
/// Empties a read model and folds the whole log into it again, up to the mark. Readers see it grow meanwhile. It stands in line for the
/// lease, which a running daemon gives up at its next heartbeat and takes again afterwards.
/// </summary>
public static class Rebuild
{
    private const int PageSize = 5_000;
    private static readonly TimeSpan LeaseWait = TimeSpan.FromSeconds(10);

    /// <param name="daemon">The daemon login's data source.</param>
    /// <param name="connectionString">The same login's connection string, for the lease.</param>
    /// <param name="name">The read model's name.</param>
    /// <param name="progress">Told after each batch.</param>
    /// <exception cref="RebuildRefused">Somebody keeps the lease, or took the projection over.</exception>
    public static async Task<RebuildResult> Run(NpgsqlDataSource daemon, string connectionString, ProjectionSet projections, string name,
        Action<RebuildProgress> progress, CancellationToken ct)
    {
        var projection = projections.Find(name) is { StartsNow: false } found ? found : throw new RebuildRefused($"No read model is named {name}.");
        await using var direct = DirectConnections.To(connectionString, $"nubabel rebuild of {name}");
        await using var lease = await direct.OpenConnectionAsync(ct);
        await TakeLease(lease, daemon, projections, projection, ct);

        await Empty(daemon, projection, ct);
        var runner = new Runner(projection);
        runner.LeaseIs(true);
        var feed = new PageFeed(daemon, projections.Types);
        await feed.LoadCheckpoints([runner], ct);
        var mark = await new HighWater(daemon).Advance(ct);
        var events = 0L;
        while (runner.Checkpoint < mark && runner.StoppedBy is null)
        {
            events += await feed.Next([runner], mark, PageSize, ct);
            if (!runner.CheckpointIsKnown) throw new RebuildRefused($"The rebuild of {name} was cut off: {runner.Error}.");
            progress(new RebuildProgress(runner.Checkpoint, mark, events));
        }
        var status = (await DaemonStatus.Read(daemon, projections, ct)).Projections.First(p => p.Name == name);
        return new RebuildResult(runner.Checkpoint, events, status.ParkedKeys, runner.StoppedBy);
    }

    private static async Task TakeLease(NpgsqlConnection lease, NpgsqlDataSource daemon, ProjectionSet projections, Projection projection, CancellationToken ct)
    {
        await using var wait = new NpgsqlCommand($"set lock_timeout = {(long)LeaseWait.TotalMilliseconds}", lease);
        await wait.ExecuteNonQueryAsync(ct);
        await using var command = new NpgsqlCommand($"select pg_advisory_lock({Leases.Key("$1::varchar")})", lease);
        command.CommandTimeout = (int)LeaseWait.TotalSeconds + 5;
        command.Add(projection.ProgressionName);
        try
        {
            await command.ExecuteNonQueryAsync(ct);
        }
        catch (PostgresException timeout) when (timeout.SqlState == PostgresErrorCodes.LockNotAvailable)
        {
            var owner = (await DaemonStatus.Read(daemon, projections, ct)).Projections.First(p => p.Name == projection.Name).Owner;
            throw new RebuildRefused($"{projection.Name} is held by {owner ?? "somebody who has just gone"}, which does not give it up.");
        }
    }

    /// <summary>
    /// Everything of the projection goes in one transaction. The checkpoint goes first: its row lock lets a batch under way finish before the
    /// table is emptied, and fences the ones after.
    /// </summary>
    private static async Task Empty(NpgsqlDataSource daemon, Projection projection, CancellationToken ct)
    {
        await using var connection = await daemon.OpenConnectionAsync(ct);
        await using var batch = new NpgsqlBatch(connection);
        var checkpoint = new NpgsqlBatchCommand("""
            insert into events.mt_event_progression (name, last_seq_id) values ($1, 0)
            on conflict (name) do update set last_seq_id = 0, last_updated = transaction_timestamp()
            """);
        checkpoint.Add(projection.ProgressionName);
        batch.BatchCommands.Add(checkpoint);
        batch.BatchCommands.Add(new NpgsqlBatchCommand($"truncate {projection.Table.Quoted}"));
        var parked = new NpgsqlBatchCommand("delete from nubabel.parked where name = $1 and version = $2");
        parked.Add(projection.Name);
        parked.Add(projection.Version);
        batch.BatchCommands.Add(parked);
        await batch.ExecuteNonQueryAsync(ct);
    }
}
