using Npgsql;

namespace Nubabel.Store;

/// <summary>
/// One process's work on one rebuild, from wherever the last one left it: load the table beside from the log, make its indexes, follow the log until it has
/// reached what readers see, and put it into the live table's place. The live table is fed by its daemon all the while.
/// </summary>
internal sealed class RebuildRun(RebuildRecord record, Projection live, EventTypes types, NpgsqlDataSource daemon, NpgsqlDataSource bulk, RebuildOptions options, Meter meter)
{
    private const int PageSize = 5_000;

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(300);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(3);

    private readonly Beside beside = new(live);
    private readonly HighWater highWater = new(daemon);
    private readonly PageFeed feed = new(daemon, types);
    private Runner runner = null!;

    /// <exception cref="RebuildTakenOver">It is no longer this process's.</exception>
    public async Task<RebuildState> Run(CancellationToken ct)
    {
        while (true)
        {
            if (record.Phase == Phases.Wait) await Begin(careful: false, ct);
            try
            {
                if (record.Phase == Phases.Load) await Load(ct);
                if (record.Phase == Phases.Index) await Index(ct);
            }
            catch (ValueRefused)
            {
                // The daemon parks the key whose value PostgreSQL refuses, and so does this.
                await Begin(careful: true, ct);
            }
            runner = new Runner(beside.Projection);
            runner.LeaseIs(true);
            if (await Publish(ct) is { } ended) return ended;
            await Begin(record.IsCareful, ct);
        }
    }

    /// <summary>The table beside is made in the transaction that says so: whoever goes on never meets half of it.</summary>
    private async Task Begin(bool careful, CancellationToken ct)
    {
        var mark = await highWater.Advance(ct);
        var skips = (await Skips.Read(daemon, [live], ct))[live.ProgressionName];
        await InTransaction(async connection =>
        {
            await record.Begun(connection, mark, skips.Count, careful, ct);
            await beside.Create(connection, ct);
            if (!careful) return;
            // Page by page it meets the indexes as the daemon does, so that a value that one of them refuses is found.
            while (await beside.Index(connection, ct)) { }
            await beside.Checkpoint(connection, 0, ct);
        }, ct);
        await Step("begun");
    }

    private async Task Load(CancellationToken ct)
    {
        var skips = (await Skips.Read(daemon, [live], ct))[live.ProgressionName];
        var context = new BulkContext(bulk, record, meter, skips, options.Workers, options.Memory);
        var (position, _) = await beside.Projection.Bulk(types).Run(context, ct);
        await InTransaction(async connection =>
        {
            await record.Enter(connection, Phases.Index, ct);
            await beside.Checkpoint(connection, position, ct);
        }, ct);
        await Step("loaded");
    }

    /// <summary>Behind the load, an index takes a fraction of what it costs row by row. Each is committed by itself.</summary>
    private async Task Index(CancellationToken ct)
    {
        try
        {
            var more = true;
            while (more)
            {
                await InTransaction(async connection =>
                {
                    await record.Enter(connection, Phases.Index, ct);
                    more = await beside.Index(connection, ct);
                    if (!more) await record.Loaded(connection, ct);
                }, ct);
                await Step("indexed");
            }
        }
        catch (PostgresException refused) when (refused.SqlState[..2] is "22" or "23" or "54")
        {
            throw new ValueRefused(refused);
        }
    }

    /// <summary>How it ended; null when it is to begin anew.</summary>
    private async Task<RebuildState?> Publish(CancellationToken ct)
    {
        var pause = FirstPause;
        while (true)
        {
            await Feed(await highWater.Advance(ct), ct);
            await Step("caught up");
            var (ended, waits) = await TrySwap(ct);
            if (ended is { } state) return state;
            if (waits is null) return null;
            await using (var connection = await bulk.OpenConnectionAsync(ct)) await record.Waits(connection, waits, ct);
            await Step("waiting");
            await Task.Delay(pause * (0.5 + Random.Shared.NextDouble() / 2), ct);
            pause = pause * 1.5 < LongestPause ? pause * 1.5 : LongestPause;
        }
    }

    /// <summary>
    /// One try, in one transaction: the row of the rebuild, the checkpoints that readers go by, the table, in this order. What is still missing is folded while the
    /// live projection waits, so that no position goes back.
    /// </summary>
    /// <returns>How it ended, or what it waits for; neither when it must begin anew.</returns>
    private async Task<(RebuildState? Ended, string? Waits)> TrySwap(CancellationToken ct)
    {
        await using var connection = await bulk.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        try
        {
            await Execute(connection, $"set local lock_timeout = {(int)options.StandsInLine.TotalMilliseconds}", ct);
            await record.Enter(connection, Phases.Publish, ct);
            var seen = await beside.StopLive(connection, ct);
            if (runner.Checkpoint < seen) await Feed(Math.Min(seen, await highWater.Prove(ct)), ct);
            if (runner.Checkpoint < seen) return await Behind(connection, transaction, seen, ct);
            // An operator has had it pass over an event meanwhile: what was folded before knows nothing of it.
            if ((await Skips.Read(daemon, [live], ct))[live.ProgressionName].Count != record.Skipped) return (null, null);
            var (parked, isNew) = await beside.ParkedKeys(connection, runner.Checkpoint, ct);
            await record.Parked(connection, parked, ct);
            if (isNew > 0 && !record.IsForced)
            {
                await record.End(connection, RebuildState.Held, $"{isNew} keys are parked in it that are not in what readers see. Force it, or give it up.", ct);
                await transaction.CommitAsync(ct);
                return (RebuildState.Held, null);
            }
            if (!record.IsVersion && await beside.OldSnapshots(connection, ct) is { } old) return (null, $"waits for transactions that began before it was loaded: {old}");
            if (!await beside.Swap(connection, runner.Checkpoint, ct)) return (null, await Reindex(connection, transaction, ct));
            await record.Exchanged(connection, runner.Checkpoint, ct);
            await record.End(connection, RebuildState.Published, null, ct);
            await Step("swapped");
            await transaction.CommitAsync(ct);
            return (RebuildState.Published, null);
        }
        catch (PostgresException busy) when (busy.SqlState is PostgresErrorCodes.LockNotAvailable or PostgresErrorCodes.DeadlockDetected)
        {
            return (null, "waits for readers of the table");
        }
    }

    /// <summary>A projection that stopped before what readers have seen will not get there; one that is merely behind will.</summary>
    private async Task<(RebuildState?, string?)> Behind(NpgsqlConnection connection, NpgsqlTransaction transaction, long seen, CancellationToken ct)
    {
        if (runner.StoppedBy is not { } stopped) return (null, $"stands at {runner.Checkpoint} where readers have seen {seen}");
        await record.End(connection, RebuildState.Failed, $"Stopped by {stopped}; readers have seen position {seen}.", ct);
        await transaction.CommitAsync(ct);
        return (RebuildState.Failed, null);
    }

    private async Task<string> Reindex(NpgsqlConnection connection, NpgsqlTransaction transaction, CancellationToken ct)
    {
        await transaction.RollbackAsync(ct);
        while (await beside.Index(connection, ct)) { }
        return "an index has been added to the table";
    }

    /// <summary>Follows the log as the daemon does, into the table beside.</summary>
    private async Task Feed(long to, CancellationToken ct)
    {
        if (!runner.CheckpointIsKnown) await feed.LoadCheckpoints([runner], ct);
        while (runner.CheckpointIsKnown && runner.Checkpoint < to && runner.StoppedBy is null)
        {
            meter.Add(await feed.Next([runner], to, PageSize, ct));
            if (record.IsCareful) meter.At((double)runner.Checkpoint / Math.Max(1, record.Mark));
            await Step("fed");
        }
        // The fence on the checkpoint beside: another process goes on with it.
        if (!runner.CheckpointIsKnown) throw runner.Error is { } error && !runner.DropsLease ? new InvalidOperationException(error) : new RebuildTakenOver();
    }

    private Task Step(string what) => options.Step(what);

    private async Task InTransaction(Func<NpgsqlConnection, Task> work, CancellationToken ct)
    {
        await using var connection = await bulk.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        await work(connection);
        await transaction.CommitAsync(ct);
    }

    private static async Task Execute(NpgsqlConnection connection, string sql, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(ct);
    }
}
