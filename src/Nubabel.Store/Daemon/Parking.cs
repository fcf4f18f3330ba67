using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>An event that waits in the park, as it is read again.</summary>
internal readonly record struct ParkedEvent(string Tenant, string Key, PageEvent Event);

/// <summary>The statements on <c>nubabel.parked</c>. All of them run in a transaction that holds the row lock of the projection's checkpoint.</summary>
internal static class Parking
{
    /// <summary>The key that stands for a whole projection.</summary>
    public const string WholeKey = "*";

    /// <summary>What is said of an event that is sound itself and whose key is parked. The index of the failed ones knows this text.</summary>
    public const string WaitsBehind = "waits behind a parked event";

    /// <summary>The rows of failed events, one for each parked key; as an SQL condition over the row <c>p</c>.</summary>
    public const string IsFailed = $"p.error <> '{WaitsBehind}'";

    /// <summary>A stop that the checkpoint has gone past is history, which nobody has cleared away yet. As an SQL condition over the row <c>p</c>.</summary>
    public static string Counts(string checkpoint) => $"(p.key <> '{WholeKey}' or p.seq_id > {checkpoint})";

    private const int LongestError = 2_000;

    /// <summary>Parks events of keys, the failed ones and those behind them.</summary>
    public static NpgsqlBatchCommand Park(Projection projection, IReadOnlyList<(string Tenant, string Key, long Position, string Error)> events)
    {
        var command = new NpgsqlBatchCommand("""
            insert into nubabel.parked (name, version, tenant_id, key, seq_id, error)
            select $1, $2, * from unnest($3::varchar[], $4::varchar[], $5::bigint[], $6::varchar[]) on conflict do nothing
            """);
        Add(command, projection, [.. events.Select(p => (p.Tenant, p.Key, p.Position))]);
        command.AddArray(events.Select(p => Stored(p.Error)).ToArray(), NpgsqlDbType.Varchar);
        return command;
    }

    /// <summary>Records the event that a whole projection stands before. It may have stood there before; what it once stood before is gone.</summary>
    public static IEnumerable<NpgsqlBatchCommand> Stop(Projection projection, string tenant, long position, string error)
    {
        var gone = new NpgsqlBatchCommand("delete from nubabel.parked where name = $1 and version = $2 and key = $3 and (tenant_id, seq_id) <> ($4, $5)");
        gone.Add(projection.Name);
        gone.Add(projection.Version);
        gone.Add(WholeKey);
        gone.Add(tenant);
        gone.Add(position);
        yield return gone;
        var stop = new NpgsqlBatchCommand("""
            insert into nubabel.parked as p (name, version, tenant_id, key, seq_id, error) values ($1, $2, $3, $4, $5, $6)
            on conflict (name, version, tenant_id, key, seq_id) do update set error = excluded.error, attempts = p.attempts + 1
            """);
        stop.Add(projection.Name);
        stop.Add(projection.Version);
        stop.Add(tenant);
        stop.Add(WholeKey);
        stop.Add(position);
        stop.Add(Stored(error));
        yield return stop;
    }

    /// <summary>Takes events out of the park.</summary>
    public static NpgsqlBatchCommand Release(Projection projection, IReadOnlyList<(string Tenant, string Key, long Position)> events)
    {
        var command = new NpgsqlBatchCommand("""
            delete from nubabel.parked p using unnest($3::varchar[], $4::varchar[], $5::bigint[]) k (tenant_id, key, seq_id)
            where p.name = $1 and p.version = $2 and p.tenant_id = k.tenant_id and p.key = k.key and p.seq_id = k.seq_id
            """);
        Add(command, projection, events);
        return command;
    }

    /// <summary>Events that failed once more, or for the first time because those before them did not.</summary>
    /// <param name="order">The place of the retry in the projection's stream of orders.</param>
    public static NpgsqlBatchCommand FailAgain(Projection projection, IReadOnlyList<(string Tenant, string Key, long Position, string Error)> events, long order)
    {
        var command = new NpgsqlBatchCommand($"""
            update nubabel.parked p set error = k.error, retried = $7, attempts = case when {IsFailed} then p.attempts + 1 else 1 end
            from unnest($3::varchar[], $4::varchar[], $5::bigint[], $6::varchar[]) k (tenant_id, key, seq_id, error)
            where p.name = $1 and p.version = $2 and p.tenant_id = k.tenant_id and p.key = k.key and p.seq_id = k.seq_id
            """);
        Add(command, projection, [.. events.Select(p => (p.Tenant, p.Key, p.Position))]);
        command.AddArray(events.Select(p => Stored(p.Error)).ToArray(), NpgsqlDbType.Varchar);
        command.Add(order);
        return command;
    }

    // A text of a foreign exception: bounded, and without what PostgreSQL takes in no text.
    private static string Stored(string error)
    {
        var clean = error.Replace("\0", "", StringComparison.Ordinal);
        if (clean.Length <= LongestError) return clean;
        return clean[..(char.IsHighSurrogate(clean[LongestError - 1]) ? LongestError - 1 : LongestError)];
    }

    private static void Add(NpgsqlBatchCommand command, Projection projection, IReadOnlyList<(string Tenant, string Key, long Position)> events)
    {
        command.Add(projection.Name);
        command.Add(projection.Version);
        command.AddArray(events.Select(p => p.Tenant).ToArray(), NpgsqlDbType.Varchar);
        command.AddArray(events.Select(p => p.Key).ToArray(), NpgsqlDbType.Varchar);
        command.AddArray(events.Select(p => p.Position).ToArray(), NpgsqlDbType.Bigint);
    }
}
