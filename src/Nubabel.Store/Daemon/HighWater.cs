using System.Diagnostics;
using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>How far the log is safe to read in order.</summary>
/// <param name="Mark">Every event up to here is visible or will never exist.</param>
/// <param name="HighestVisible">The highest position that the last read saw; above the mark while a gap waits.</param>
/// <param name="Waiting">The gap that holds the mark, if one does.</param>
public sealed record MarkStatus(long Mark, long HighestVisible, WaitingGap? Waiting);

/// <summary>Numbers that were drawn below a visible event and may still be committed by one of the holders.</summary>
public sealed record WaitingGap(long From, long To, TimeSpan Age, IReadOnlyList<Holder> Holders);

/// <summary>
/// The high-water mark. Numbers are drawn before commit, so a reader sees gaps, and a gap is either a transaction still running or one that
/// rolled back. The mark passes a gap only on evidence, never on a clock:
/// (1) read upward from the mark: the contiguous run is safe; (2) at a gap below a visible row, in a separate statement after that read,
/// list who may own it; (3) when all of them are gone, read the gap again in a new snapshot: what is missing then is dead.
/// </summary>
/// <remarks>One caller at a time. Several nodes may each run one: what is proven is the same for all, and the stored mark never goes back.</remarks>
public sealed class HighWater
{
    /// <summary>The row of the mark in <c>mt_event_progression</c>.</summary>
    public const string ProgressionName = "HighWaterMark";

    private const int PageSize = 10_000;

    /// <summary>While a gap stays, what lies above it is not read in full every few milliseconds: only whether it has been filled.</summary>
    private const int WaitingPageSize = 100;

    /// <summary>A gap that waits longer than this gets its holders' names looked up; most are gone before.</summary>
    private static readonly TimeSpan DetailsAfter = TimeSpan.FromMilliseconds(200);

    private readonly NpgsqlDataSource daemon;
    private readonly IGapRule rule;
    private readonly List<(long From, long To)> dead = [];
    private long mark = -1;
    private long stored;
    private long settled;
    private Watch? watch;
    private volatile MarkStatus status = new(0, 0, null);

    public HighWater(NpgsqlDataSource daemon) : this(daemon, new SequenceLockRule())
    {
    }

    internal HighWater(NpgsqlDataSource daemon, IGapRule rule)
    {
        this.daemon = daemon;
        this.rule = rule;
    }

    /// <summary>What the last <see cref="Advance"/> found.</summary>
    public MarkStatus Status => status;

    /// <summary>Moves the mark as far as the evidence reaches now, stores it and returns it. Never waits for a gap: call again.</summary>
    public async Task<long> Advance(CancellationToken ct)
    {
        await Prove(ct);
        await Store(ct);
        return mark;
    }

    /// <summary>Moves the mark without storing it: whoever reads by it first gets on at once and stores afterwards.</summary>
    internal async Task<long> Prove(CancellationToken ct)
    {
        try
        {
            await using var connection = await daemon.OpenConnectionAsync(ct);
            if (mark < 0) mark = stored = await Stored(connection, ct);
            await Prove(connection, ct);
            return mark;
        }
        catch
        {
            // After a failure the next connection may lead to another server: evidence and mark are taken anew.
            Forget();
            throw;
        }
    }

    /// <summary>
    /// This process leaves the mark to others: what it waited for is no longer its business, and when it comes back it begins from what they stored.
    /// </summary>
    internal void Rest()
    {
        if (mark < 0) return;
        Forget();
        status = status with { Waiting = null };
    }

    private void Forget()
    {
        (mark, settled, watch) = (-1, 0, null);
        dead.Clear();
    }

    private async Task Prove(NpgsqlConnection connection, CancellationToken ct)
    {
        while (true)
        {
            var limit = watch?.Waited.Elapsed > DetailsAfter ? WaitingPageSize : PageSize;
            var visible = await ReadAbove(connection, limit, ct);
            Walk(visible);
            var highest = visible.Count == 0 ? mark : Math.Max(mark, visible[^1]);
            if (mark >= highest)
            {
                watch = null;
                status = new MarkStatus(mark, mark, null);
                if (visible.Count < limit) return;
            }
            else if (!await GapIsSettled(connection, visible, ct))
            {
                return;
            }
        }
    }

    /// <summary>Goes up from the mark to the first gap that is not settled; the dead ranges below are to be recorded.</summary>
    private void Walk(List<long> visible)
    {
        foreach (var position in visible)
        {
            if (position > mark + 1)
            {
                if (position - 1 > settled) break;
                dead.Add((mark + 1, position - 1));
            }
            mark = position;
        }
    }

    /// <summary>True when the gap above the mark can be read for the last time now, in a new snapshot.</summary>
    private async Task<bool> GapIsSettled(NpgsqlConnection connection, List<long> visible, CancellationToken ct)
    {
        var above = visible.First(position => position > mark);
        var isNew = watch is null || mark + 1 > watch.UpTo;
        // Everything below the highest row of that read was drawn before the read, so one listing settles all gaps below it.
        if (isNew) watch = new Watch(visible[^1], Stopwatch.StartNew());
        var holders = await rule.MayStillFill(connection, isNew, ct);
        if (holders.Count == 0)
        {
            settled = watch!.UpTo;
            watch = null;
            return true;
        }
        if (watch!.Waited.Elapsed > DetailsAfter) holders = await Holders.Details(connection, holders, ct);
        status = new MarkStatus(mark, visible[^1], new WaitingGap(mark + 1, above - 1, watch.Waited.Elapsed, holders));
        return false;
    }

    private async Task<List<long>> ReadAbove(NpgsqlConnection connection, int limit, CancellationToken ct)
    {
        var command = new NpgsqlBatchCommand("select seq_id from events.mt_events where seq_id > $1 order by seq_id limit $2");
        command.Add(mark);
        command.Add(limit);
        await using var batch = new NpgsqlBatch(connection) { BatchCommands = { Plans.Command(), command } };
        await using var reader = await batch.ExecuteReaderAsync(ct);
        await reader.NextResultAsync(ct);
        var positions = new List<long>();
        while (await reader.ReadAsync(ct)) positions.Add(reader.GetInt64(0));
        return positions;
    }

    private static async Task<long> Stored(NpgsqlConnection connection, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand("select last_seq_id from events.mt_event_progression where name = $1", connection);
        command.Add(ProgressionName);
        return await command.ExecuteScalarAsync(ct) is long stored ? stored : 0;
    }

    /// <summary>Writes the dead ranges and the mark in one implicit transaction, and takes over a mark that another node has brought further.</summary>
    internal async Task Store(CancellationToken ct)
    {
        if (mark <= stored) return;
        await using var batch = daemon.CreateBatch();
        // Not waited for on disk: a mark that a crash takes back is found again.
        batch.BatchCommands.Add(new NpgsqlBatchCommand("select set_config('synchronous_commit', 'off', true)"));
        if (dead.Count > 0)
        {
            var skips = new NpgsqlBatchCommand("""
                insert into events.mt_high_water_skips (starting_sequence, ending_sequence)
                select * from unnest($1::bigint[], $2::bigint[]) on conflict do nothing
                """);
            skips.AddArray(dead.Select(d => d.From).ToArray(), NpgsqlDbType.Bigint);
            skips.AddArray(dead.Select(d => d.To).ToArray(), NpgsqlDbType.Bigint);
            batch.BatchCommands.Add(skips);
        }
        var store = new NpgsqlBatchCommand("""
            insert into events.mt_event_progression as p (name, last_seq_id) values ($1, $2)
            on conflict (name) do update set last_seq_id = greatest(p.last_seq_id, excluded.last_seq_id), last_updated = transaction_timestamp()
            returning last_seq_id
            """);
        store.Add(ProgressionName);
        store.Add(mark);
        batch.BatchCommands.Add(store);

        await using var reader = await batch.ExecuteReaderAsync(ct);
        // The mark is the last result; the first is the setting's, and an insert without returning has none.
        await reader.NextResultAsync(ct);
        await reader.ReadAsync(ct);
        mark = stored = Math.Max(mark, reader.GetInt64(0));
        dead.Clear();
    }

    private sealed record Watch(long UpTo, Stopwatch Waited);
}
