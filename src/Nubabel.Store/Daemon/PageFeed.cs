using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>
/// Brings projections that stand at the same place one page further: the page is read once, folded for each, and written for all of them in
/// one implicit transaction whose first statement holds the fences. What goes wrong for one is then done again for each alone.
/// </summary>
internal sealed class PageFeed(NpgsqlDataSource daemon, EventTypes types)
{
    /// <summary>SQLSTATE of <c>nubabel.fences</c>.</summary>
    private const string FenceState = "NB003";

    /// <summary>Raised where the page was folded on what a retry has changed meanwhile.</summary>
    public const string StaleState = "NB004";

    private readonly EventPages pages = new(daemon, types);

    /// <summary>One page for runners with equal checkpoints. Returns how many events it had.</summary>
    public async Task<int> Next(IReadOnlyList<Runner> runners, long mark, int limit, CancellationToken ct)
    {
        var wanted = runners.Any(s => s.Projection.Types is null) ? null : runners.SelectMany(s => s.Projection.Types!).ToHashSet();
        var page = await pages.Read(runners[0].Checkpoint, mark, limit, wanted, ct);
        if (runners.Count == 1)
        {
            await Alone(page, runners[0], ct);
            return page.Events.Count;
        }
        try
        {
            await Together(page, runners, ct);
        }
        catch (PostgresException refused) when (!refused.IsTransient)
        {
            // Nothing was written. Whose fault it is shows when each goes alone.
            foreach (var runner in runners) await Alone(page, runner, ct);
        }
        return page.Events.Count;
    }

    /// <summary>
    /// Reads the checkpoints and skips that are not known, and makes those of new projections.
    /// </summary>
    /// <param name="mark">Where one begins that has nothing to do with what came before it.</param>
    public async Task LoadCheckpoints(IReadOnlyList<Runner> runners, CancellationToken ct, long mark = 0)
    {
        // The skips last: an order that comes between the two makes the runner begin anew.
        await using var connection = await daemon.OpenConnectionAsync(ct);
        await using var batch = new NpgsqlBatch(connection);
        var names = runners.Select(s => s.Projection.ProgressionName).ToArray();
        batch.BatchCommands.Add(Checkpoints.MakeFirst([.. runners.Select(s => s.Projection)], mark));
        // A version without a checkpoint is being built; it is fed when its table is whole.
        var read = new NpgsqlBatchCommand("""
            select p.name, coalesce(p.last_seq_id, 0), coalesce(r.generation, 0)
            from events.mt_event_progression p left join nubabel.rebuilds r on r.progression = p.name where p.name = any($1)
            """);
        read.AddArray(names, NpgsqlDbType.Varchar);
        batch.BatchCommands.Add(read);
        var stored = new Dictionary<string, (long Position, long Generation)>();
        await using (var reader = await batch.ExecuteReaderAsync(ct))
        {
            while (await reader.ReadAsync(ct)) stored[reader.GetString(0)] = (reader.GetInt64(1), reader.GetInt64(2));
        }
        var skips = await Skips.Read(connection, runners.Select(r => r.Projection), ct);
        foreach (var runner in runners)
            if (stored.TryGetValue(runner.Projection.ProgressionName, out var found)) runner.Found(found.Position, found.Generation, skips[runner.Projection.ProgressionName]);
    }

    private async Task Alone(EventPage page, Runner runner, CancellationToken ct)
    {
        try
        {
            await Together(page, [runner], ct);
        }
        catch (PostgresException refused) when (refused.SqlState == FenceState)
        {
            runner.Fenced();
        }
        catch (PostgresException stale) when (stale.SqlState == StaleState)
        {
            // A key was retried between the reading and the fence. Nothing was written; the next round folds on what stands there now.
        }
        catch (PostgresException refused) when (UnitWrites.IsFaultOfValues(refused))
        {
            await UnitByUnit(page, runner, ct);
        }
        catch (PostgresException refused) when (!refused.IsTransient)
        {
            runner.Fail($"{refused.SqlState}: {refused.MessageText}");
        }
    }

    private async Task Together(EventPage page, IReadOnlyList<Runner> runners, CancellationToken ct)
    {
        await using var connection = await daemon.OpenConnectionAsync(ct);
        var work = await Folded(connection, page, runners, ct);
        await using var batch = new NpgsqlBatch(connection);
        batch.BatchCommands.Add(Fence(work.Select(w => (w.Runner, w.Fold.UpTo))));
        foreach (var (_, fold) in work)
        {
            fold.AddChecks(batch);
            fold.AddWrites(batch, fold.Units);
            fold.AddStop(batch);
        }
        try
        {
            await batch.ExecuteNonQueryAsync(ct);
        }
        catch (Exception failure) when (failure is not PostgresException)
        {
            // The connection went during the commit: it may have happened.
            foreach (var runner in runners) runner.Forget();
            throw;
        }
        Settle(work);
    }

    /// <summary>
    /// PostgreSQL refused a value of the page, and savepoints find out which: its key is parked or its projection stops, all else is written, in one transaction
    /// under the fence.
    /// </summary>
    private async Task UnitByUnit(EventPage page, Runner runner, CancellationToken ct)
    {
        await using var connection = await daemon.OpenConnectionAsync(ct);
        var work = await Folded(connection, page, [runner], ct);
        var fold = work[0].Fold;
        await using var transaction = await connection.BeginTransactionAsync(ct);
        // The fence to the same place takes the lock first; where the checkpoint goes is known only at the end.
        await UnitWrites.Run(connection, batch =>
        {
            batch.BatchCommands.Add(Fence([(runner, runner.Checkpoint)]));
            fold.AddChecks(batch);
        }, ct);
        await UnitWrites.Write(connection, transaction, fold, ct);
        await UnitWrites.Run(connection, batch =>
        {
            fold.AddStop(batch);
            batch.BatchCommands.Add(Fence([(runner, fold.UpTo)]));
        }, ct);
        await transaction.CommitAsync(ct);
        Settle(work);
    }

    private static async Task<List<(Runner Runner, Fold Fold)>> Folded(NpgsqlConnection connection, EventPage page, IReadOnlyList<Runner> runners, CancellationToken ct)
    {
        var work = runners.Select(s => (Runner: s, Fold: s.Projection.Begin(page, s.Skips))).ToList();
        await using var loads = new NpgsqlBatch(connection) { BatchCommands = { Plans.Command() } };
        foreach (var (_, fold) in work) fold.AddLoads(loads);
        if (loads.BatchCommands.Count > 1)
        {
            await using var reader = await loads.ExecuteReaderAsync(ct);
            await reader.NextResultAsync(ct);
            foreach (var (_, fold) in work) await fold.ReadLoads(reader, ct);
        }
        foreach (var (_, fold) in work) fold.Apply();
        return work;
    }

    private static void Settle(List<(Runner Runner, Fold Fold)> work)
    {
        foreach (var (runner, fold) in work)
        {
            runner.Stored(fold.UpTo);
            fold.Committed();
            if (fold.StoppedBy is { } reason) runner.Stop(reason);
        }
    }

    private static NpgsqlBatchCommand Fence(IEnumerable<(Runner Runner, long To)> steps)
    {
        var all = steps.ToArray();
        var fence = new NpgsqlBatchCommand("select nubabel.fences($1, $2, $3, $4)");
        fence.AddArray(all.Select(s => s.Runner.Projection.ProgressionName).ToArray(), NpgsqlDbType.Varchar);
        fence.AddArray(all.Select(s => s.Runner.Checkpoint).ToArray(), NpgsqlDbType.Bigint);
        fence.AddArray(all.Select(s => s.To).ToArray(), NpgsqlDbType.Bigint);
        fence.AddArray(all.Select(s => s.Runner.Generation).ToArray(), NpgsqlDbType.Bigint);
        return fence;
    }
}
