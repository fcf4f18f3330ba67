using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>
/// A cache that must be fresh on every node. It gets each event of its aliases at least once, as soon as it is visible and not always in
/// the log's order, so it applies per stream by version.
/// </summary>
public interface ITailSubscriber
{
    IReadOnlyCollection<string> Aliases { get; }

    /// <summary>Whether an event whose stored JSON does not fit its type is refused. Where it is not, such an event comes without its data: its stream says all that the cache wants.</summary>
    bool NeedsData => true;

    /// <summary>
    /// Fills the cache from its read model and returns that model's checkpoint, read before the model; the tail begins there. Called at the
    /// start, and again when the tail has lost its place (another server, too many gaps): what was held before is to be forgotten.
    /// </summary>
    Task<long> Load(CancellationToken ct);

    /// <summary>All that was visible when the cache had been loaded has been delivered: from here on it is as fresh as the log.</summary>
    void CaughtUp() { }

    /// <summary>Takes one event. What it throws is counted and named, and the tail goes on.</summary>
    void OnEvent(Recorded e);
}

/// <summary>How the live tail stands.</summary>
/// <param name="Position">The highest position it has seen.</param>
/// <param name="Missing">Numbers below it that may still become visible.</param>
/// <param name="SilentFor">Since it last looked at the log with success; a healthy tail looks every half second.</param>
/// <param name="Alive">False when its loop has died.</param>
public sealed record TailStatus(bool Alive, bool Loaded, long Position, long Missing, TimeSpan SilentFor, string? LastError, long Delivered, long Refused);

/// <summary>
/// Follows the visible rows of the log, also beyond gaps: a session's revocation must not wait for somebody's open transaction. The numbers
/// that were missing are looked at again until the high-water mark has passed them.
/// </summary>
public sealed class Tail : IAsyncDisposable
{
    private const int PageSize = 1_000;

    /// <summary>Ranges of missing numbers that are remembered; beyond it the subscribers load again.</summary>
    private const int MostRanges = 10_000;

    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan PollWithGaps = TimeSpan.FromMilliseconds(50);

    private static readonly string Columns = EventRow.Columns
        .Replace("e.data", "case when e.type = any($3) then e.data end", StringComparison.Ordinal)
        .Replace("e.headers::text", "case when e.type = any($3) then e.headers::text end", StringComparison.Ordinal) + ", e.type = any($3)";

    private readonly NpgsqlDataSource daemon;
    private readonly EventTypes types;
    private readonly Signal signal;
    private readonly ITailSubscriber[] subscribers;
    private readonly string[] aliases;
    private readonly ILogger log;
    private readonly Func<NpgsqlConnection, CancellationToken, Task<string>> serverOf;
    private readonly Action? moved;
    private readonly long maxBytes;
    private readonly Loop loop;
    private readonly Dictionary<string, (ITailSubscriber Subscriber, int Number)[]> byAlias = [];
    private readonly long[] loadedAt;
    private readonly TaskCompletionSource loaded = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Gaps gaps = new();
    private int limit = PageSize;
    private string? identity;
    private bool isLoaded;
    private bool hasCaughtUp;
    private long position;
    private long delivered;
    private long refused;
    private long lastLook = System.Diagnostics.Stopwatch.GetTimestamp();
    private volatile string? subscriberError;

    /// <param name="moved">Told when the log is found on another server or timeline, before its subscribers load again.</param>
    public Tail(NpgsqlDataSource daemon, EventTypes types, Signal signal, IReadOnlyList<ITailSubscriber> subscribers, ILogger? log = null, Action? moved = null)
        : this(daemon, types, signal, subscribers, ServerOf, log, moved: moved)
    {
    }

    /// <param name="serverOf">How a connection's server and timeline are told, so that a test can change them.</param>
    /// <param name="maxBytes">A page ends early rather than hold more than this of stored JSON, as the daemon's do.</param>
    internal Tail(NpgsqlDataSource daemon, EventTypes types, Signal signal, IReadOnlyList<ITailSubscriber> subscribers,
        Func<NpgsqlConnection, CancellationToken, Task<string>> serverOf, ILogger? log = null, long maxBytes = EventPages.MaxBytes, Action? moved = null)
    {
        (this.serverOf, this.maxBytes, this.moved) = (serverOf, maxBytes, moved);
        (this.daemon, this.types, this.signal, this.subscribers, this.log) = (daemon, types, signal, [.. subscribers], log ?? NullLogger.Instance);
        aliases = [.. subscribers.SelectMany(s => s.Aliases).Distinct()];
        loadedAt = new long[this.subscribers.Length];
        foreach (var alias in aliases)
            byAlias[alias] = [.. this.subscribers.Select((s, i) => (s, i)).Where(s => s.s.Aliases.Contains(alias))];
        loop = new Loop("tail", Follow, this.log);
    }

    /// <summary>The stored JSON of the page that had most of it, in bytes.</summary>
    internal long Heaviest { get; private set; }

    /// <summary>Completes when every subscriber has loaded and caught up for the first time.</summary>
    public Task Loaded => loaded.Task;

    public TailStatus Status => new(loop.IsAlive, Volatile.Read(ref isLoaded), Interlocked.Read(ref position), gaps.Count,
        System.Diagnostics.Stopwatch.GetElapsedTime(Interlocked.Read(ref lastLook)), loop.LastError ?? subscriberError,
        Interlocked.Read(ref delivered), Interlocked.Read(ref refused));

    public void Start() => loop.Start();

    public ValueTask DisposeAsync() => loop.DisposeAsync();

    /// <summary>Holds one connection until it breaks, so that a change of server cannot go unnoticed between two rounds.</summary>
    private async Task Follow(CancellationToken ct)
    {
        await using var connection = await daemon.OpenConnectionAsync(ct);
        var server = await serverOf(connection, ct);
        if (server != identity)
        {
            if (identity is not null)
            {
                log.LogWarning("The log is on another server or timeline now: {Identity}. Everything that follows it loads again.", server);
                moved?.Invoke();
            }
            Volatile.Write(ref isLoaded, false);
        }
        identity = server;
        var pace = new Pace();
        while (true)
        {
            if (!isLoaded) await Load(ct);
            var hint = signal.Next;
            pace.Begin();
            var before = Interlocked.Read(ref position);
            var full = await Look(connection, ct);
            loop.Goes();
            if (!full && !hasCaughtUp) CaughtUp();
            if (gaps.Ranges > MostRanges)
            {
                Volatile.Write(ref isLoaded, false);
                throw new InvalidOperationException($"More than {MostRanges} gaps wait above the high-water mark; the followers load again.");
            }
            if (full) continue;
            await pace.Keep(Interlocked.Read(ref position) - before, ct);
            await Loop.Wait(hint, gaps.Count > 0 ? PollWithGaps : Poll, ct);
        }
    }

    private async Task Load(CancellationToken ct)
    {
        for (var i = 0; i < subscribers.Length; i++) loadedAt[i] = await subscribers[i].Load(ct);
        // Below the lowest checkpoint everything is in somebody's read model: a checkpoint never passes the mark.
        Interlocked.Exchange(ref position, loadedAt.Length == 0 ? 0 : loadedAt.Min());
        gaps = new Gaps();
        hasCaughtUp = false;
        Volatile.Write(ref isLoaded, true);
    }

    private void CaughtUp()
    {
        hasCaughtUp = true;
        foreach (var subscriber in subscribers) subscriber.CaughtUp();
        loaded.TrySetResult();
    }

    /// <summary>Reads what is new and what was missing in one snapshot. True when there is more.</summary>
    private async Task<bool> Look(NpgsqlConnection connection, CancellationToken ct)
    {
        var (mark, events, seen, full) = await Read(connection, ct);
        foreach (var number in seen) gaps.See(number, ref position);
        // The mark was read before the rows: a number below it that those did not show will never be one. A page that ends early shows nothing of what lies behind its end.
        gaps.ForgetUpTo(full ? Math.Min(mark, seen[^1]) : mark);
        foreach (var e in events) Deliver(e);
        Interlocked.Exchange(ref lastLook, System.Diagnostics.Stopwatch.GetTimestamp());
        return full;
    }

    private async Task<(long Mark, List<PageEvent> Events, List<long> Seen, bool Full)> Read(NpgsqlConnection connection, CancellationToken ct)
    {
        await using var batch = new NpgsqlBatch(connection) { BatchCommands = { Plans.Command() } };
        var markCommand = new NpgsqlBatchCommand("select coalesce(max(last_seq_id), 0) from events.mt_event_progression where name = $1");
        markCommand.Add(HighWater.ProgressionName);
        batch.BatchCommands.Add(markCommand);
        batch.BatchCommands.Add(Rows());

        await using var reader = await batch.ExecuteReaderAsync(ct);
        await reader.NextResultAsync(ct);
        await reader.ReadAsync(ct);
        var mark = reader.GetInt64(0);
        await reader.NextResultAsync(ct);
        var events = new List<PageEvent>();
        var seen = new List<long>();
        long bytes = 0;
        while (bytes <= maxBytes && await reader.ReadAsync(ct))
        {
            seen.Add(reader.GetInt64(0));
            if (!reader.GetBoolean(reader.FieldCount - 1)) continue;
            events.Add(EventRow.Read(reader, types, out var size));
            bytes += size;
        }
        Heaviest = Math.Max(Heaviest, bytes);
        var full = bytes > maxBytes || seen.Count >= limit;
        // What a page leaves behind has been sent for nothing: the next one asks for no more than would have fitted, and those after it for more again.
        limit = bytes > maxBytes ? seen.Count : Math.Min(PageSize, limit * 2);
        return (mark, events, seen, full);
    }

    /// <summary>
    /// What is new and what was missing. One statement, so that a stream's later event is never seen before its earlier one. There is no join
    /// that could be planned as a scan of the log. Of events that nobody wants the large columns stay where they are. A page is the beginning of all that there is, in the
    /// order of the log.
    /// </summary>
    private NpgsqlBatchCommand Rows()
    {
        var fresh = $"(select {Columns} from events.mt_events e where e.seq_id > $1 order by e.seq_id limit $2)";
        var rows = new NpgsqlBatchCommand(gaps.Count == 0 ? fresh : $"""
            {fresh}
            union all
            select {Columns} from unnest($4::bigint[], $5::bigint[]) r (low, high)
            cross join lateral (select * from events.mt_events m where m.seq_id between r.low and r.high order by m.seq_id limit $2) e
            order by 1 limit $2
            """);
        rows.Add(Interlocked.Read(ref position));
        rows.Add(limit);
        rows.AddArray(aliases, NpgsqlDbType.Varchar);
        if (gaps.Count == 0) return rows;
        rows.AddArray(gaps.Lows, NpgsqlDbType.Bigint);
        rows.AddArray(gaps.Highs, NpgsqlDbType.Bigint);
        return rows;
    }

    private void Deliver(PageEvent e)
    {
        foreach (var (subscriber, number) in byAlias[e.Event.Type])
        {
            if (e.Event.Position <= loadedAt[number]) continue;
            // One cache that cannot take an event must not keep it from the others, nor what comes after it from anybody.
#pragma warning disable CA1031
            try
            {
                if (e.Unreadable is not null && subscriber.NeedsData) throw e.Unreadable;
                subscriber.OnEvent(e.Event);
                Interlocked.Increment(ref delivered);
            }
            catch (Exception poison)
            {
                Interlocked.Increment(ref refused);
                subscriberError = $"event {e.Event.Position}: {poison.GetType().Name}: {poison.Message}";
                log.LogError(poison, "{Subscriber} could not take event {Position}.", subscriber.GetType().Name, e.Event.Position);
            }
#pragma warning restore CA1031
        }
    }

    /// <summary>Which server and timeline this is; it changes with a failover or a restore, and with it what is visible.</summary>
    private static async Task<string> ServerOf(NpgsqlConnection connection, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand(
            "select system_identifier::text || '/' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) from pg_control_system()", connection);
        return (string)(await command.ExecuteScalarAsync(ct))!;
    }
}
