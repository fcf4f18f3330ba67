using Npgsql;

namespace Nubabel.Store;

/// <summary>
/// Commits of handlers: the events first, and behind those that were not refused what goes with them, in one transaction. Two round trips and a commit.
/// </summary>
internal static class CarriedCommit
{
    private static readonly TimeSpan LongestWait = TimeSpan.FromMilliseconds(100);

    /// <summary>
    /// Several commits of single streams, no two of them of the same, each for itself; null where one was refused or its row is locked. Or one of any kind, which waits for locks.
    /// </summary>
    /// <param name="behind">Given which of them were not refused: what goes with those.</param>
    /// <exception cref="PostgresException">It failed, and nothing was written.</exception>
    /// <exception cref="OutcomeUnknown">The commit may or may not have happened.</exception>
    public static async Task<Appended?[]> Run(
        NpgsqlDataSource source, IReadOnlyList<AppendItem> items, NpgsqlBatchCommand? fence, Func<Appended?[], IReadOnlyList<NpgsqlBatchCommand>> behind, CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        try
        {
            await using var transaction = await connection.BeginTransactionAsync(ct);
            var results = await Append(connection, items, fence, ct);
            // What is not committed is taken back.
            if (Array.TrueForAll(results, r => r is null)) return results;
            await using var batch = new NpgsqlBatch(connection);
            foreach (var command in behind(results)) batch.BatchCommands.Add(command);
            if (batch.BatchCommands.Count > 0) await batch.ExecuteNonQueryAsync(ct);
            await transaction.CommitAsync(ct);
            return results;
        }
        catch (PostgresException e) when (e.SqlState is "NB001" or PostgresErrorCodes.DeadlockDetected or PostgresErrorCodes.SerializationFailure) { return new Appended?[items.Count]; }
        catch (PostgresException e) when (AppendRun.IsAnswer(e)) { throw; }
        catch (Exception e) when (AppendRun.IsCut(e)) { throw new OutcomeUnknown(e); }
    }

    private static async Task<Appended?[]> Append(NpgsqlConnection connection, IReadOnlyList<AppendItem> items, NpgsqlBatchCommand? fence, CancellationToken ct)
    {
        var together = items.Count == 1;
        var lines = AppendMany.Lines(items);
        await using var batch = new NpgsqlBatch(connection);
        batch.BatchCommands.Add(AppendRun.Settings(AppendRun.TenantsOf(items), together ? null : LongestWait));
        if (fence is not null) batch.BatchCommands.Add(fence);
        batch.BatchCommands.Add(AppendMany.Command(lines, waits: together, thorough: together));
        await using var reader = await batch.ExecuteReaderAsync(ct);
        for (var i = 1; i < batch.BatchCommands.Count; i++) await reader.NextResultAsync(ct);
        await reader.ReadAsync(ct);
        if (reader.IsDBNull(0)) return new Appended?[items.Count];
        var (places, versions, positions) = (reader.GetFieldValue<long[]>(0), reader.GetFieldValue<long[]>(1), reader.GetFieldValue<long[]>(2));
        await reader.CloseAsync();
        if (!together) return AppendRun.Results(items, lines, places, versions, positions);
        var next = 0;
        return [items[0].Done(versions, positions, ref next)];
    }
}
