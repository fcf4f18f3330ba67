using System.Runtime.CompilerServices;
using System.Text.Json;
using Npgsql;

namespace Nubabel.Store;

/// <summary>A signed checkpoint as it is kept.</summary>
public sealed record KeptCheckpoint(long Entries, long Position, DateTimeOffset Created, string Statement);

/// <summary>Reads chains and verifies them against the log of their database.</summary>
public sealed class ChainStore(NpgsqlDataSource daemon)
{
    /// <summary>The tenants that have a chain.</summary>
    public async Task<IReadOnlyList<string>> Tenants(CancellationToken ct)
    {
        await using var command = daemon.CreateCommand("select tenant_id from nubabel.audit_heads union select tenant_id from nubabel.audit_checkpoints order by 1");
        await using var reader = await command.ExecuteReaderAsync(ct);
        var tenants = new List<string>();
        while (await reader.ReadAsync(ct)) tenants.Add(reader.GetString(0));
        return tenants;
    }

    /// <summary>Verifies a tenant's chain.</summary>
    /// <param name="kept">Statements that were kept outside of the database. They count as those in it do.</param>
    /// <param name="progress">Told how many of the log's positions have been looked at.</param>
    public async Task<ChainVerdict> Verify(string tenant, IReadOnlyList<string> kept, Action<long, long>? progress, CancellationToken ct)
    {
        // What is chained from here on is left for the next time.
        var (last, signed) = await End(tenant, ct);
        using var keys = JsonDocument.Parse((await ChainKeys.Published(daemon, ct)).ToJsonString());
        var verifying = ChainKeys.Verifying(keys.RootElement);
        var checkpoints = new List<Checkpoint>();
        var found = 0L;
        await foreach (var own in Checkpoints(tenant, last, ct))
        {
            if (Checkpoint.Read(own.Statement, verifying) is not { } read || read.Tenant != tenant || read.Entries != own.Entries)
                return new ChainVerdict(tenant, 0, 0, 0, new ChainFinding(ChainFault.Checkpoint, own.Entries, own.Position, null, "the checkpoint is not what one of the keys has signed"));
            checkpoints.Add(read);
            found = Math.Max(found, read.Entries);
        }
        if (found < signed) return new ChainVerdict(tenant, 0, 0, 0, new ChainFinding(ChainFault.Checkpoint, signed, last, null, $"{signed} entries were signed, and the youngest checkpoint speaks of {found}"));
        if (ChainVerifier.AddKept(checkpoints, tenant, kept, verifying) is { } unsigned) return new ChainVerdict(tenant, 0, 0, 0, unsigned);
        return await new ChainVerifier(tenant, checkpoints, Find).Verify(Log(tenant, last, progress, ct), Record(tenant, last, ct), ct);
    }

    /// <summary>The tenant's checkpoints up to a position, by number of entries.</summary>
    public async IAsyncEnumerable<KeptCheckpoint> Checkpoints(string tenant, long last, [EnumeratorCancellation] CancellationToken ct)
    {
        await using var command = daemon.CreateCommand("select entries, position, created, statement from nubabel.audit_checkpoints where tenant_id = $1 and position <= $2 order by entries");
        command.Add(tenant);
        command.Add(last);
        await using var reader = await command.ExecuteReaderAsync(ct);
        while (await reader.ReadAsync(ct)) yield return new KeptCheckpoint(reader.GetInt64(0), reader.GetInt64(1), reader.GetFieldValue<DateTimeOffset>(2), reader.GetString(3));
    }

    /// <summary>What the chain says of the tenant's entries up to a position.</summary>
    public async IAsyncEnumerable<ChainEntry> Record(string tenant, long last, [EnumeratorCancellation] CancellationToken ct)
    {
        await using var command = daemon.CreateCommand("select first, positions, ids, digests from nubabel.audit_chain where tenant_id = $1 and last_position <= $2 order by first");
        command.Add(tenant);
        command.Add(last);
        await using var reader = await command.ExecuteReaderAsync(ct);
        while (await reader.ReadAsync(ct))
        {
            var (first, positions, ids, digests) = (reader.GetInt64(0), reader.GetFieldValue<long[]>(1), reader.GetFieldValue<Guid[]>(2), reader.GetFieldValue<byte[]>(3));
            for (var i = 0; i < positions.Length; i++)
                yield return new ChainEntry(first + i, positions[i], i < ids.Length ? ids[i] : Guid.Empty, digests.AsSpan().Slice(Math.Min(digests.Length, i * ChainDigest.Size), Math.Clamp(digests.Length - i * ChainDigest.Size, 0, ChainDigest.Size)).ToArray());
        }
    }

    /// <summary>The tenant's events up to a position, as they are stored.</summary>
    public async IAsyncEnumerable<LoggedEvent> Log(string tenant, long last, Action<long, long>? progress, [EnumeratorCancellation] CancellationToken ct)
    {
        var pages = new LogPages(daemon, tenant);
        for (var at = 0L; at < last;)
        {
            var (events, to) = await pages.Next(at, last, ct);
            foreach (var e in events)
                if (e.Type != EventPages.Tombstone) yield return e;
            at = to;
            progress?.Invoke(at, last);
        }
    }

    /// <summary>How far the log is chained, and how many of the tenant's entries a checkpoint covers.</summary>
    public async Task<(long Last, long Signed)> End(string tenant, CancellationToken ct)
    {
        await using var command = daemon.CreateCommand($"""
            select coalesce((select last_seq_id from events.mt_event_progression where name = '{ChainKeeper.ProgressionName}'), 0),
                   coalesce((select signed from nubabel.audit_heads where tenant_id = $1), 0)
            """);
        command.Add(tenant);
        await using var reader = await command.ExecuteReaderAsync(ct);
        await reader.ReadAsync(ct);
        return (reader.GetInt64(0), reader.GetInt64(1));
    }

    private async ValueTask<long?> Find(Guid id, CancellationToken ct)
    {
        // No index leads there; it is asked for once, when something is wrong already.
        await using var command = daemon.CreateCommand("select min(seq_id) from events.mt_events where id = $1");
        command.Add(id);
        return await command.ExecuteScalarAsync(ct) is long position ? position : null;
    }
}
