using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>What making claims anew changed.</summary>
/// <param name="Conflicts">Values that two streams hold by their states, which only a writer that bypasses claims can bring about; nothing was changed for the second.</param>
public sealed record ClaimRebuildResult(long Streams, long Released, long Taken, IReadOnlyList<string> Conflicts);

/// <summary>
/// Makes the claims anew from the log, while everybody works: first it looks at each claim that is there and releases what its stream does not hold, then at each
/// stream and takes what is missing. Each few streams are locked, read and mended in one transaction, so an append to one of them comes before or after it.
/// </summary>
public sealed class ClaimRebuild(NpgsqlDataSource daemon, EventTypes types, IConsequences consequences, string? tenant)
{
    private const int AtOnce = 500;
    private readonly List<string> conflicts = [];

    /// <param name="progress">Told how many streams and claims have been looked at.</param>
    public async Task<ClaimRebuildResult> Run(Action<long> progress, CancellationToken ct)
    {
        long released = 0, taken = 0, streams = 0, looked = 0;
        for (string[] after = ["", "", ""]; await Claims(after, ct) is { Count: > 0 } page; after = [page[^1].Tenant, page[^1].Claim.Scope, page[^1].Claim.Value])
        {
            released += await Again(() => Release(page, ct), ct);
            progress(looked += page.Count);
        }
        for (var after = ("", ""); await Streams(after, ct) is { Count: > 0 } page; after = page[^1])
        {
            var held = page.Where(s => consequences.HoldsClaims(s.Stream)).ToArray();
            if (held.Length > 0) taken += await Again(() => Take(held, ct), ct);
            (streams, looked) = (streams + held.Length, looked + page.Count);
            progress(looked);
        }
        return new ClaimRebuildResult(streams, released, taken, conflicts);
    }

    /// <summary>Whoever meets an append that takes the same streams and values in another order does it again.</summary>
    private static async Task<int> Again(Func<Task<int>> work, CancellationToken ct)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return await work();
            }
            catch (Exception lost) when (attempt < 8 && lost is ImportChunk.Raced or PostgresException { SqlState: PostgresErrorCodes.DeadlockDetected })
            {
                await Task.Delay(Random.Shared.Next(5, 20 << attempt), ct);
            }
        }
    }

    private async Task<int> Release(List<Claimed> page, CancellationToken ct)
    {
        await using var connection = await daemon.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        var states = await Locked(connection, [.. page.Select(c => (c.Tenant, c.Stream)).Distinct()], ct);
        // A stream that is not there holds nothing.
        var released = await ClaimTable.Release(connection, [.. page.Where(c => !states.TryGetValue((c.Tenant, c.Stream), out var holds) || !holds.Contains(c.Claim))], ct);
        await transaction.CommitAsync(ct);
        return released;
    }

    private async Task<int> Take((string Tenant, string Stream)[] page, CancellationToken ct)
    {
        await using var connection = await daemon.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        var states = await Locked(connection, page, ct);
        var wanted = states.SelectMany(s => s.Value.Select(c => new Claimed(s.Key.Tenant, s.Key.Stream, c))).ToArray();
        var missing = await Missing(connection, wanted, ct);
        var contested = new List<string>();
        foreach (var claim in missing)
            if (await ClaimTable.Take(connection, [claim], ct) is { } refused) contested.Add($"{claim.Claim.Scope} of {claim.Tenant}: {claim.Stream} and {refused.Holder} hold the same value.");
        await transaction.CommitAsync(ct);
        conflicts.AddRange(contested);
        return missing.Count - contested.Count;
    }

    private async Task<List<Claimed>> Claims(string[] after, CancellationToken ct)
    {
        await using var command = daemon.CreateCommand("""
            select tenant_id, stream_id, scope, value from nubabel.claims where (tenant_id, scope, value) > ($1, $2, $3) and ($4 is null or tenant_id = $4) order by tenant_id, scope, value limit $5
            """);
        foreach (var part in after) command.Add(part);
        AddTenant(command);
        await using var reader = await command.ExecuteReaderAsync(ct);
        var page = new List<Claimed>();
        while (await reader.ReadAsync(ct)) page.Add(new Claimed(reader.GetString(0), reader.GetString(1), new ClaimValue(reader.GetString(2), reader.GetString(3))));
        return page;
    }

    private async Task<List<(string Tenant, string Stream)>> Streams((string Tenant, string Stream) after, CancellationToken ct)
    {
        await using var command = daemon.CreateCommand("select tenant_id, id from events.mt_streams where (tenant_id, id) > ($1, $2) and ($3 is null or tenant_id = $3) order by tenant_id, id limit $4");
        command.Add(after.Tenant);
        command.Add(after.Stream);
        AddTenant(command);
        await using var reader = await command.ExecuteReaderAsync(ct);
        var page = new List<(string, string)>();
        while (await reader.ReadAsync(ct)) page.Add((reader.GetString(0), reader.GetString(1)));
        return page;
    }

    /// <summary>What these streams hold now, and until the transaction ends. One that is not there is not in it.</summary>
    private async Task<Dictionary<(string Tenant, string Stream), HashSet<ClaimValue>>> Locked(NpgsqlConnection connection, (string Tenant, string Stream)[] names, CancellationToken ct)
    {
        var histories = new Dictionary<(string, string), List<Recorded>>();
        await using (var locks = new NpgsqlCommand("""
            select s.tenant_id, s.id from events.mt_streams s join unnest($1, $2) k (tenant, stream) on s.tenant_id = k.tenant and s.id = k.stream
             order by s.tenant_id collate "C", s.id collate "C" for update of s
            """, connection))
        {
            AddNames(locks);
            await using var reader = await locks.ExecuteReaderAsync(ct);
            while (await reader.ReadAsync(ct)) histories[(reader.GetString(0), reader.GetString(1))] = [];
        }
        // Behind the locks and in a snapshot of its own, so that it sees what those have committed who held them before.
        await using var events = new NpgsqlCommand($"""
            select {EventRow.Columns} from events.mt_events e join unnest($1, $2) k (tenant, stream) on e.tenant_id = k.tenant and e.stream_id = k.stream order by e.tenant_id, e.stream_id, e.version
            """, connection);
        AddNames(events);
        await using (var reader = await events.ExecuteReaderAsync(ct))
        {
            while (await reader.ReadAsync(ct))
                if (EventRow.Read(reader, types, out _).Event is var e && histories.TryGetValue((e.Tenant, e.Stream), out var history)) history.Add(e);
        }
        return histories.ToDictionary(h => h.Key, h => consequences.ClaimsOf(h.Key.Item2, h.Value).ToHashSet());

        void AddNames(NpgsqlCommand command)
        {
            command.AddArray(names.Select(n => n.Tenant).ToArray(), NpgsqlDbType.Varchar);
            command.AddArray(names.Select(n => n.Stream).ToArray(), NpgsqlDbType.Varchar);
        }
    }

    private static async Task<List<Claimed>> Missing(NpgsqlConnection connection, Claimed[] wanted, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand("""
            select u.n from unnest($1, $2, $3, $4) with ordinality u (tenant, stream, scope, value, n)
             where not exists (select from nubabel.claims h where h.tenant_id = u.tenant and h.scope = u.scope and h.value = u.value and h.stream_id = u.stream) order by u.n
            """, connection);
        ClaimTable.Add(command, wanted);
        await using var reader = await command.ExecuteReaderAsync(ct);
        var missing = new List<Claimed>();
        while (await reader.ReadAsync(ct)) missing.Add(wanted[reader.GetInt64(0) - 1]);
        return missing;
    }

    private void AddTenant(NpgsqlCommand command)
    {
        command.Parameters.Add(new NpgsqlParameter { Value = (object?)tenant ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Varchar });
        command.Add(AtOnce);
    }
}
