using Npgsql;

namespace Nubabel.Store;

/// <summary>How far a run is in one category.</summary>
/// <param name="Reached">Everything up to this name is dealt with.</param>
/// <param name="Oldest">The oldest that was removed.</param>
/// <param name="Hash">Of the list of what was removed (<see cref="ListHash"/>).</param>
/// <param name="Problem">Why it was not done to its end.</param>
public sealed record RemovalProgress(
    string Category, int Days, DateTimeOffset UpTo, string Reached, DateTimeOffset? Oldest, long Removed, long Held, byte[] Hash, bool IsFinished, string? Problem);

/// <summary>What stands against a removal: a stream of the tenant, at the version that it was read at, and what follows from it.</summary>
/// <param name="Stream">Null where nothing can stand against it.</param>
/// <param name="IsHeld">Whether a thing stays.</param>
public sealed record RemovalFence(string? Stream, long Version, Func<DueItem, bool> IsHeld);

/// <summary>The stream of the fence has moved on since it was read: the part is decided again.</summary>
public sealed class FenceMoved() : Exception("What stands against the removal has changed meanwhile.");

/// <summary>Another worker goes on with this run.</summary>
public sealed class RunTakenOver() : Exception("Another worker goes on with this run.");

/// <summary>
/// Removes what is too old, a part at a time, with the daemon login. A part is one transaction: the fence is locked and its version compared, what is due is
/// selected, removed, and counted. Whoever appends to the fence's stream waits for that lock; so once an append has been answered, no part that was decided before
/// it removes anything. Parts of one tenant wait for each other, so that two runs remove a thing once.
/// </summary>
public sealed class Removals(Database database, string tenant, Guid run)
{
    private const int PartMilliseconds = 10_000;

    /// <summary>The advisory locks of tenants whose part is being removed.</summary>
    private const int Parts = 5642171;

    /// <summary>
    /// The statement that destroys the keys of these subjects. However a key is destroyed, every node hears of it. The row that is watched is locked before all others,
    /// as everybody does who destroys.
    /// </summary>
    public static Sql Keys(string tenant, string[] subjects) => Sql.Of($"""
        with first as materialized (select 1 from nubabel.key_watch for update)
        update nubabel.subject_keys set wrapped = null, destroyed = clock_timestamp()
         where tenant_id = {tenant} and subject = any({subjects}) and wrapped is not null and (select count(*) from first) = 1 returning subject
        """);

    /// <summary>Says what the run will do in a category, unless it has said so before: then that counts.</summary>
    public async Task<RemovalProgress> Begin(string category, int days, DateTimeOffset upTo, CancellationToken ct)
    {
        await using var batch = database.Daemon.CreateBatch();
        batch.BatchCommands.Add(Sql.Of($"""
            insert into nubabel.retention_progress (tenant_id, run, category, days, up_to) values ({tenant}, {run}, {category}, {days}, {upTo.UtcDateTime}) on conflict do nothing
            """).ToBatchCommand());
        await batch.ExecuteNonQueryAsync(ct);
        return (await All(ct)).First(p => p.Category == category);
    }

    /// <summary>What the run has done so far, by category.</summary>
    public async Task<IReadOnlyList<RemovalProgress>> All(CancellationToken ct)
    {
        await using var batch = database.Daemon.CreateBatch();
        batch.BatchCommands.Add(Sql.Of($"{Columns} where tenant_id = {tenant} and run = {run} order by category").ToBatchCommand());
        await using var reader = await batch.ExecuteReaderAsync(ct);
        var all = new List<RemovalProgress>();
        while (await reader.ReadAsync(ct)) all.Add(Read(reader));
        return all;
    }

    /// <summary>Notes that the category is done, or why it was left.</summary>
    public Task Finish(string category, string? problem, CancellationToken ct) => Run(Sql.Of($"""
        update nubabel.retention_progress set finished = true, problem = {problem}, touched = now() where tenant_id = {tenant} and run = {run} and category = {category}
        """), ct);

    /// <summary>Other runs of the tenant that have left rows here and have not moved for a day.</summary>
    public async Task<IReadOnlyList<Guid>> Left(CancellationToken ct)
    {
        await using var batch = database.Daemon.CreateBatch();
        batch.BatchCommands.Add(Sql.Of($"""
            select run from nubabel.retention_progress where tenant_id = {tenant} and run <> {run} group by run having max(touched) < now() - interval '1 day'
            """).ToBatchCommand());
        await using var reader = await batch.ExecuteReaderAsync(ct);
        var left = new List<Guid>();
        while (await reader.ReadAsync(ct)) left.Add(reader.GetGuid(0));
        return left;
    }

    /// <summary>Deletes the rows of the run, whose events say what it has done.</summary>
    public Task Forget(CancellationToken ct) => Run(Sql.Of($"delete from nubabel.retention_progress where tenant_id = {tenant} and run = {run}"), ct);

    /// <summary>Removes the next part, with rows deleted or keys destroyed in the same transaction.</summary>
    /// <param name="remove">Makes the statement that removes what has these names, and returns those that it removed.</param>
    /// <exception cref="FenceMoved">To be tried again with the fence as it is now.</exception>
    public async Task<RemovalProgress> Next(RemovalProgress before, DueStatement statement, Func<string, string[], Sql> remove, RemovalFence fence, int most, CancellationToken ct)
    {
        await using var connection = await database.Daemon.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        await Lock(connection, before, fence, ct);
        var due = await Query(connection, DueItems.Page(statement, tenant, before.UpTo, before.Reached, most), DueItems.Read, ct);
        var goes = due.Where(item => !fence.IsHeld(item)).ToArray();
        var gone = goes.Length == 0 ? [] : (await Query(connection, remove(tenant, [.. goes.Select(g => g.Id)]), row => row.GetString(0), ct)).ToHashSet();
        var after = Counted(before with { Reached = due.Count == 0 ? before.Reached : due[^1].Id, Held = before.Held + due.Count - goes.Length }, [.. goes.Where(g => gone.Contains(g.Id))]);
        await Query(connection, Write(after, []), _ => 0, ct);
        await transaction.CommitAsync(ct);
        return after with { IsFinished = due.Count < most };
    }

    /// <summary>
    /// The next part of what takes more than a transaction for each: it is noted first, so that a run that is cut off goes on with just these and counts them. Then it
    /// is said that they come again.
    /// </summary>
    public async Task<(RemovalProgress Progress, IReadOnlyList<DueItem> Goes, bool Again)> Take(RemovalProgress before, DueStatement statement, RemovalFence fence, int most, CancellationToken ct)
    {
        await using var connection = await database.Daemon.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        await Lock(connection, before, fence, ct);
        var pending = (await Query(connection, Sql.Of($"select unnest(pending) from nubabel.retention_progress where tenant_id = {tenant} and run = {run} and category = {before.Category}"), row => row.GetString(0), ct)).ToArray();
        if (pending.Length > 0) return (before, [.. pending.Select(Noted)], true);
        var due = await Query(connection, DueItems.Page(statement, tenant, before.UpTo, before.Reached, most), DueItems.Read, ct);
        var goes = due.Where(item => !fence.IsHeld(item)).ToArray();
        // The part is behind it at once; what goes is counted when it has gone.
        var taken = before with { Reached = due.Count == 0 ? before.Reached : due[^1].Id, Held = before.Held + due.Count - goes.Length };
        await Query(connection, Write(taken, [.. goes.Select(Note)]), _ => 0, ct);
        await transaction.CommitAsync(ct);
        return (taken with { IsFinished = due.Count < most }, goes, false);
    }

    /// <summary>Counts what has gone of a part that was taken.</summary>
    /// <param name="gone">Those that this run has removed.</param>
    /// <param name="held">So many of them turned out to be held.</param>
    public async Task<RemovalProgress> Done(RemovalProgress before, IReadOnlyList<DueItem> gone, int held, CancellationToken ct)
    {
        await using var connection = await database.Daemon.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        await Lock(connection, before, new RemovalFence(null, 0, _ => false), ct);
        var after = Counted(before with { Held = before.Held + held }, gone);
        await Query(connection, Write(after, []), _ => 0, ct);
        await transaction.CommitAsync(ct);
        return after;
    }

    private static RemovalProgress Counted(RemovalProgress before, IReadOnlyList<DueItem> gone)
    {
        if (gone.Count == 0) return before;
        var oldest = gone.Min(g => g.At);
        return before with
        {
            Removed = before.Removed + gone.Count,
            Oldest = before.Oldest < oldest ? before.Oldest : oldest,
            Hash = ListHash.Add(before.Hash, gone.Select(g => g.Id)),
        };
    }

    private async Task Lock(NpgsqlConnection connection, RemovalProgress before, RemovalFence fence, CancellationToken ct)
    {
        // Who places a hold waits for this transaction: one that hangs, or whose process was stopped, is ended by the server.
        var bound = PartMilliseconds.ToString(System.Globalization.CultureInfo.InvariantCulture);
        await Query(connection, Sql.Of($"select set_config('statement_timeout', {bound}, true), set_config('idle_in_transaction_session_timeout', {bound}, true), {Plans.InOrder}"), _ => 0, ct);
        // Parts of a tenant one after the other: they would otherwise lock the same rows in different orders.
        await Query(connection, Sql.Of($"select pg_advisory_xact_lock({Parts}, hashtext({tenant}))"), _ => 0, ct);
        if (fence.Stream is { } stream)
        {
            var version = await Query(connection, Sql.Of($"select version from events.mt_streams where tenant_id = {tenant} and id = {stream} for share"), row => row.GetInt64(0), ct);
            if (version is not [var now] || now != fence.Version) throw new FenceMoved();
        }
        var stands = await Query(connection, Sql.Of($"{Columns} where tenant_id = {tenant} and run = {run} and category = {before.Category} for update"), Read, ct);
        // A worker whose lease was lost does not know it yet.
        if (stands is not [var at] || at.Reached != before.Reached || at.Removed != before.Removed || at.Held != before.Held) throw new RunTakenOver();
    }

    private static Sql Columns => Sql.Of($"select category, days, up_to, reached, oldest, removed, held, hash, finished, problem from nubabel.retention_progress");

    private Sql Write(RemovalProgress p, string[] pending) => Sql.Of($"""
        update nubabel.retention_progress
           set reached = {p.Reached}, oldest = {p.Oldest?.UtcDateTime}, removed = {p.Removed}, held = {p.Held}, hash = {p.Hash}, pending = {pending}::varchar[], touched = now()
         where tenant_id = {tenant} and run = {run} and category = {p.Category}
        """);

    // A time and a name, as one text.
    private static string Note(DueItem item) => $"{item.At.UtcTicks.ToString(System.Globalization.CultureInfo.InvariantCulture)} {item.Person} {item.Id}";

    private static DueItem Noted(string note)
    {
        var parts = note.Split(' ', 3);
        return new DueItem(parts[2], parts[1].Length == 0 ? null : parts[1], new DateTimeOffset(long.Parse(parts[0], System.Globalization.CultureInfo.InvariantCulture), TimeSpan.Zero));
    }

    private static RemovalProgress Read(NpgsqlDataReader row) => new(
        row.GetString(0), row.GetInt32(1), new DateTimeOffset(row.GetDateTime(2), TimeSpan.Zero), row.GetString(3), row.IsDBNull(4) ? null : new DateTimeOffset(row.GetDateTime(4), TimeSpan.Zero), row.GetInt64(5),
        row.GetInt64(6), row.GetFieldValue<byte[]>(7), row.GetBoolean(8), row.IsDBNull(9) ? null : row.GetString(9));

    private async Task Run(Sql sql, CancellationToken ct)
    {
        await using var batch = database.Daemon.CreateBatch();
        batch.BatchCommands.Add(sql.ToBatchCommand());
        await batch.ExecuteNonQueryAsync(ct);
    }

    private static async Task<IReadOnlyList<T>> Query<T>(NpgsqlConnection connection, Sql sql, Func<NpgsqlDataReader, T> map, CancellationToken ct)
    {
        await using var batch = new NpgsqlBatch(connection);
        batch.BatchCommands.Add(sql.ToBatchCommand());
        await using var reader = await batch.ExecuteReaderAsync(ct);
        var rows = new List<T>();
        while (await reader.ReadAsync(ct)) rows.Add(map(reader));
        return rows;
    }
}
