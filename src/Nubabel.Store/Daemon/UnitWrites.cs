using Npgsql;

namespace Nubabel.Store;

/// <summary>
/// Writes a fold within a transaction although PostgreSQL may refuse a value of it: a savepoint around each unit, and around its steps, finds out by which
/// event. Its key is parked from there on, or its projection stops before it; all else is written.
/// </summary>
internal static class UnitWrites
{
    private const string Savepoint = "unit";

    /// <summary>Data exceptions, violated constraints, and values too long for an index: the event's fault, whoever tries again.</summary>
    public static bool IsFaultOfValues(PostgresException e) => e.SqlState[..2] is "22" or "23" or "54";

    /// <summary>All units at once, or one by one when that is refused.</summary>
    public static async Task Write(NpgsqlConnection connection, NpgsqlTransaction transaction, Fold fold, CancellationToken ct)
    {
        if (await Refused(connection, transaction, fold, fold.Units, ct) is null) return;
        foreach (var unit in fold.Units)
        {
            if (await Refused(connection, transaction, fold, [unit], ct) is null) continue;
            await StepByStep(connection, transaction, fold, unit, ct);
            if (fold.StoppedBy is not null) return;
        }
    }

    public static async Task Run(NpgsqlConnection connection, Action<NpgsqlBatch> fill, CancellationToken ct)
    {
        await using var batch = new NpgsqlBatch(connection);
        fill(batch);
        if (batch.BatchCommands.Count > 0) await batch.ExecuteNonQueryAsync(ct);
    }

    /// <summary>
    /// The first step that makes a refused value is the one that fails, also where a later one would have healed it. (Where the page as a whole is taken, no
    /// step of it was looked at: what stands only between two events of one page is never written, and so never refused.)
    /// </summary>
    private static async Task StepByStep(NpgsqlConnection connection, NpgsqlTransaction transaction, Fold fold, object unit, CancellationToken ct)
    {
        for (var steps = 1; steps <= fold.Steps(unit); steps++)
        {
            fold.Take(unit, steps, null);
            if (await Refused(connection, transaction, fold, [unit], ct) is not { } error) continue;
            fold.Take(unit, steps - 1, error);
            if (fold.StoppedBy is null) await Run(connection, batch => fold.AddWrites(batch, [unit]), ct);
            return;
        }
    }

    /// <summary>Null when it is written.</summary>
    private static async Task<string?> Refused(NpgsqlConnection connection, NpgsqlTransaction transaction, Fold fold, IReadOnlyList<object> units, CancellationToken ct)
    {
        await transaction.SaveAsync(Savepoint, ct);
        try
        {
            await Run(connection, batch => fold.AddWrites(batch, units), ct);
            await transaction.ReleaseAsync(Savepoint, ct);
            return null;
        }
        catch (PostgresException refused) when (IsFaultOfValues(refused))
        {
            await transaction.RollbackAsync(Savepoint, ct);
            return $"{refused.SqlState}: {refused.MessageText}";
        }
    }
}
