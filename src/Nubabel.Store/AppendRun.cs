using Npgsql;

namespace Nubabel.Store;

/// <summary>Runs the statements of the append path: one round trip each, one implicit transaction (a batch without BEGIN).</summary>
internal static class AppendRun
{
    /// <summary>Commits one item; null when it was refused, and nothing was written.</summary>
    /// <param name="longestWait">For a lock; null for as long as the server lets a statement run.</param>
    /// <param name="straight">Without looking first, where it <see cref="AppendStraight.Fits"/>.</param>
    /// <exception cref="PostgresException">It failed, and nothing was written. <c>55P03</c>: it has waited too long.</exception>
    /// <exception cref="OutcomeUnknown">The commit may or may not have happened.</exception>
    public static async Task<Appended?> Alone(NpgsqlDataSource source, AppendItem item, TimeSpan? longestWait, bool straight, CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        await using var batch = new NpgsqlBatch(connection);
        batch.BatchCommands.Add(Settings(TenantsOf([item]), longestWait));
        if (item.Enqueued is { } enqueued) batch.BatchCommands.Add(enqueued.Outbox.Command(enqueued.Messages));
        // The usual cases have short statements; who was refused by them and comes again is seen through by the other.
        var one = item.IsPlain && longestWait is not null;
        straight = straight && !one && longestWait is not null && AppendStraight.Fits(item);
        var lines = AppendMany.Lines([item]);
        var before = batch.BatchCommands.Count;
        if (straight) AppendStraight.Add(batch, lines);
        else batch.BatchCommands.Add(one ? AppendOne.Command(item) : AppendMany.Command(lines, waits: true, thorough: longestWait is null));
        try
        {
            await using var reader = await batch.ExecuteReaderAsync(ct);
            for (var skip = before - 1; skip > 0; skip--) await reader.NextResultAsync(ct);
            var next = 0;
            if (straight)
            {
                var (own, all) = await AppendStraight.Read(reader, lines, ct);
                return item.Done(own, all, ref next);
            }
            await reader.NextResultAsync(ct);
            await reader.ReadAsync(ct);
            if (reader.IsDBNull(0)) return null;
            var versions = one ? [reader.GetInt64(0)] : reader.GetFieldValue<long[]>(1);
            var positions = reader.GetFieldValue<long[]>(one ? 1 : 2);
            await reader.CloseAsync();
            return item.Done(versions, positions, ref next);
        }
        catch (PostgresException e) when (IsRefusal(e)) { return null; }
        catch (PostgresException e) when (IsAnswer(e)) { throw; }
        catch (Exception e) when (IsCut(e)) { throw new OutcomeUnknown(e); }
    }

    /// <summary>Commits several single-stream items of any tenants, each for itself; null where one was refused or its row is locked.</summary>
    /// <param name="straight">By short statements, that break where one is refused: see <see cref="IsRefusal"/>. Only for what <see cref="AppendStraight.Fits"/>.</param>
    /// <exception cref="PostgresException">Something among them failed, and nothing was written.</exception>
    /// <exception cref="OutcomeUnknown">The commit may or may not have happened.</exception>
    public static async Task<Appended?[]> Shared(NpgsqlDataSource source, IReadOnlyList<AppendItem> items, TimeSpan longestWait, bool straight)
    {
        await using var connection = await source.OpenConnectionAsync();
        await using var batch = new NpgsqlBatch(connection);
        var lines = AppendMany.Lines(items);
        batch.BatchCommands.Add(Settings(TenantsOf(items), longestWait));
        if (straight) AppendStraight.Add(batch, lines);
        else batch.BatchCommands.Add(AppendMany.Command(lines, waits: false));
        foreach (var outbox in items.Where(i => i.Enqueued is not null).GroupBy(i => i.Enqueued!.Outbox)) batch.BatchCommands.Add(outbox.Key.Behind([.. outbox]));
        try
        {
            await using var reader = await batch.ExecuteReaderAsync();
            if (straight)
            {
                var (own, all) = await AppendStraight.Read(reader, lines, default);
                return Results(items, lines, [.. Enumerable.Range(1, lines.Length).Select(n => (long)n)], own, all);
            }
            await reader.NextResultAsync();
            await reader.ReadAsync();
            var places = reader.IsDBNull(0) ? [] : reader.GetFieldValue<long[]>(0);
            var versions = reader.IsDBNull(1) ? [] : reader.GetFieldValue<long[]>(1);
            var positions = reader.IsDBNull(2) ? [] : reader.GetFieldValue<long[]>(2);
            // A statement behind it may have failed, and with it all.
            while (await reader.NextResultAsync()) { }
            return Results(items, lines, places, versions, positions);
        }
        catch (PostgresException e) when (IsAnswer(e)) { throw; }
        catch (Exception e) when (IsCut(e)) { throw new OutcomeUnknown(e); }
    }

    internal static Appended?[] Results(IReadOnlyList<AppendItem> items, AppendMany.Line[] lines, long[] places, long[] versions, long[] positions)
    {
        var done = new Dictionary<AppendItem, Appended>(places.Length);
        var next = 0;
        // Events were numbered in the order of the lines that were written.
        for (var i = 0; i < places.Length; i++)
        {
            var item = lines[places[i] - 1].Item;
            done.Add(item, item.Done(versions.AsSpan(i, 1), positions, ref next));
        }
        var results = new Appended?[items.Count];
        for (var i = 0; i < results.Length; i++) results[i] = done.GetValueOrDefault(items[i]);
        return results;
    }

    /// <summary>Says why commits were refused, from what stands there now; null where nothing stands in the way any more, or only somebody's lock.</summary>
    public static async Task<Appended?[]> Diagnose(NpgsqlDataSource source, IReadOnlyList<AppendItem> items, CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        await using var batch = new NpgsqlBatch(connection);
        batch.BatchCommands.Add(Settings(TenantsOf(items), null));
        var results = new Appended?[items.Count];
        var streams = items.SelectMany((item, i) => item.Streams.Select(s => (Item: i, Tenant: item.Envelope.Tenant, Append: s))).ToArray();
        var claims = streams.SelectMany(s => s.Append.Take.Select(c => (s.Item, s.Tenant, s.Append.Stream, Claim: c))).ToArray();
        var records = items.Select((item, i) => (Item: i, item.Once)).Where(r => r.Once is not null).ToArray();
        batch.BatchCommands.Add(Sql.Of($"""
            select (select array[r.status] from nubabel.idempotency r where r.tenant_id = u.tenant and r.scope = u.scope and r.key = u.key)
              from unnest({records.Select(r => r.Once!.Tenant).ToArray()}, {records.Select(r => r.Once!.Scope).ToArray()}, {records.Select(r => r.Once!.Key).ToArray()}) with ordinality u (tenant, scope, key, n) order by n
            """).ToBatchCommand());
        batch.BatchCommands.Add(Sql.Of($"""
            select (select array[coalesce(m.version, 0), coalesce(m.is_archived, false)::int] from events.mt_streams m where m.tenant_id = u.tenant and m.id = u.stream)
              from unnest({streams.Select(s => s.Tenant).ToArray()}, {streams.Select(s => s.Append.Stream).ToArray()}) with ordinality u (tenant, stream, n) order by n
            """).ToBatchCommand());
        batch.BatchCommands.Add(Sql.Of($"""
            select (select h.stream_id from nubabel.claims h where h.tenant_id = u.tenant and h.scope = u.scope and h.value = u.value)
              from unnest({claims.Select(c => c.Tenant).ToArray()}, {claims.Select(c => c.Claim.Scope).ToArray()}, {claims.Select(c => c.Claim.Value).ToArray()}) with ordinality u (tenant, scope, value, n) order by n
            """).ToBatchCommand());
        await using var reader = await batch.ExecuteReaderAsync(ct);
        await reader.NextResultAsync(ct);
        for (var i = 0; await reader.ReadAsync(ct); i++)
            if (!reader.IsDBNull(0)) results[records[i].Item] ??= new Appended.Repeated();
        await reader.NextResultAsync(ct);
        // A stale decision comes before a claim that it should perhaps not have wanted.
        for (var i = 0; await reader.ReadAsync(ct); i++)
        {
            var (version, archived) = reader.IsDBNull(0) ? (0, false) : reader.GetFieldValue<long[]>(0) is var row ? (row[0], row[1] > 0) : default;
            var append = streams[i].Append;
            if (archived || append.Expected != StreamAppend.Any && version != append.Expected) results[streams[i].Item] ??= new Appended.Conflict(append.Stream, version, archived);
        }
        await reader.NextResultAsync(ct);
        for (var i = 0; await reader.ReadAsync(ct); i++)
            if (!reader.IsDBNull(0) && reader.GetString(0) is var holder && holder != claims[i].Stream && !HandsOver(items[claims[i].Item], holder, claims[i].Claim)) results[claims[i].Item] ??= new Appended.Taken(claims[i].Claim, holder);
        return results;
    }

    private static bool HandsOver(AppendItem item, string holder, ClaimValue claim) => item.Streams.Any(s => s.Stream == holder && s.Release.Contains(claim));

    /// <summary>The answer to a commit that was refused though nothing stands in its way any more: decide again.</summary>
    public static Appended Crossed(AppendItem item) => new Appended.Conflict(item.Streams[0].Stream, Math.Max(item.Streams[0].Expected, 0), false);

    // What holds for this transaction alone: the tenants; plans that use indexes also where a table was empty when they were made, and are made once.
    internal static NpgsqlBatchCommand Settings(string tenants, TimeSpan? longestWait)
    {
        var command = new NpgsqlBatchCommand(longestWait is null
            ? $"select set_config('app.current_organization_id', $1, true), {Plans.ByLookUp}"
            : $"select set_config('app.current_organization_id', $1, true), {Plans.ByLookUp}, set_config('lock_timeout', $2, true)");
        command.Parameters.Of(tenants);
        if (longestWait is { } wait) command.Parameters.Of($"{wait.TotalMilliseconds:0}");
        return command;
    }

    // The record of a caller who was nobody yet is the platform's.
    internal static string TenantsOf(IReadOnlyList<AppendItem> items)
    {
        var first = items[0].Envelope.Tenant;
        HashSet<string>? all = null;
        foreach (var item in items)
        {
            if (item.Envelope.Tenant != first) (all ??= [first]).Add(item.Envelope.Tenant);
            if (item.Once is { } once && once.Tenant != first) (all ??= [first]).Add(once.Tenant);
        }
        return all is null ? first : string.Join(',', all);
    }

    /// <summary>
    /// Something stood in the way, and all is taken back: a refusal where none may be, a deadlock, or another node that has written the same stream or taken the
    /// same claim since the statement looked.
    /// </summary>
    internal static bool IsRefusal(PostgresException e) => e is
    { SqlState: "NB001" or PostgresErrorCodes.DeadlockDetected or PostgresErrorCodes.SerializationFailure }
        or { SqlState: PostgresErrorCodes.UniqueViolation, ConstraintName: "claims_pkey" or "pkey_mt_streams_tenant_id_id" };

    /// <summary>The server has answered with an error, so nothing was written; not so when it ended the session.</summary>
    internal static bool IsAnswer(PostgresException e) => !e.SqlState.StartsWith("57P", StringComparison.Ordinal);

    internal static bool IsCut(Exception e) => e is NpgsqlException or OperationCanceledException or IOException or TimeoutException || IsConfused(e);

    // What the driver throws when it has lost the thread of the protocol: no type of its own. The server may have committed.
    private static bool IsConfused(Exception e) => e.GetType() == typeof(Exception) && e.Source == "Npgsql";
}
